"""Feet under strokes: a striker steps in and bounces, a kicker hops on the other leg, a dancer goes from side to side and round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stickgen_core.sources.synthetic.catalogue import Footwork
from stickgen_core.sources.synthetic.channels import SIDES
from stickgen_core.sources.synthetic.track import Track, envelope

if TYPE_CHECKING:
    from stickgen_core.sources.synthetic.acts import Act

# Of the way in, what is gone back after the last stroke.
_STEP_BACK = 0.45
# A kick takes this share of its period; the foot below it hops in the first part, so that it stands when the kick snaps.
# A lift above this, in leg lengths, is a step also where it leads nowhere.
_STEPS_IN_PLACE = 0.08
_KICK_HOP, _KICK_CARRY = (0.02, 0.36), 0.6


def step_along(track: Track, act: Act, way: Footwork, lead: float, period: float, room: float) -> None:
    """Write the footwork of an act whose first stroke begins `lead` seconds after its start; room: share of the way that there is room for."""
    first, leg = act.start + lead, track.shape.leg
    acting = SIDES.index(act.side) if act.side in SIDES else 0
    if way.approach * room:
        track.shift(act.start + 0.08 * lead, 0.9 * lead, way.approach * room * leg, 0.0, first=1 - acting)
    sign = 1.0 - 2.0 * acting
    for n in range(act.count):
        start = first + n * period
        ahead, aside = way.advance * room * leg, way.aside * room * leg * (1.0 if n % 4 < 2 else -1.0)
        turned = -sign * np.deg2rad(way.turn_deg) * (room > 0)
        if way.hop and (ahead or turned):
            track.shift(
                start,
                0.9 * period,
                ahead,
                0.0,
                turned,
                first=1 - acting,
                windows=(_KICK_HOP, (0.0, _KICK_CARRY)),
                pivot=bool(turned),
                carry=0.6,
            )
        elif ahead or aside or turned or way.lift > _STEPS_IN_PLACE:
            if not way.aside and way.turn_deg == 0.0 and way.approach == 0.0:
                ahead *= 1.0 if n % 2 == 0 else -1.0
            track.shift(
                start, 0.92 * period, ahead, aside, turned, first=0 if aside > 0 or n % 2 else 1, height=way.lift * (0.4 + 0.6 * room) * leg
            )
    if way.approach * room:
        track.shift(first + act.count * period + 0.02 * lead, 0.9 * lead, -_STEP_BACK * way.approach * room * leg, 0.0, first=acting)
    if way.bounce:
        _bounce(track, act, way)


def _bounce(track: Track, act: Act, way: Footwork) -> None:
    """Knees that give and push off again at the rhythm of the act, with the trunk and the head a little late."""
    on = envelope(track.t, act.start, act.stop, 0.3, 0.3)
    phase = 2 * np.pi * (track.t - act.start) / (way.bounce_s * act.factor)
    track.blend(on, {
        "pelvis_y": -way.bounce * (1.1 - np.cos(phase)), "pelvis_x": 0.5 * way.bounce * np.sin(0.5 * phase),
        "spine_pitch": way.bounce * 1.1 * np.cos(phase - 0.9), "head_pitch": -way.bounce * 0.9 * np.cos(phase - 1.5),
        "spine_twist": 2.2 * way.bounce * np.sin(0.5 * phase),
    }, add=True)  # fmt: skip
