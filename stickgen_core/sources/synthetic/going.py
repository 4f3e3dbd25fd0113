"""Going: paths over the ground, the swing of arms and trunk that belongs to a gait, leaps and tumbles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from stickgen_core.sources.synthetic.catalogue import Gait, channels_of
from stickgen_core.sources.synthetic.channels import INDEX, SIDES
from stickgen_core.sources.synthetic.limbs import soft_floor
from stickgen_core.sources.synthetic.pose import Pins
from stickgen_core.sources.synthetic.track import Track, bump, ease, envelope

if TYPE_CHECKING:
    from stickgen_core.sources.synthetic.acts import Act

# Getting down on hands and knees at normal tempo; heights of the middle of a bearing knee and hand; how far hands are ahead of knees,
# in statures, and farther apart than they.
_DESCENT_S, _KNEE_M, _PALM_M, _TRUNK_SHARE, _HANDS_APART_M = 1.0, 0.05, 0.03, 0.285, 0.06
# How long the blow of a landing runs through a body.
_STRIKE_S = 0.17
_HEADING = {"forward": 0.0, "backward": np.pi, "left": np.pi / 2, "right": -np.pi / 2}
# Whole angle walked round on a path, radians; positive is to the left.
_BEND = {"straight": 0.0, "left": 1.25, "right": -1.25, "circle_left": 2 * np.pi, "circle_right": -2 * np.pi}


def progress(seconds: np.ndarray, length: float, ramp: float) -> np.ndarray:
    """0 -> 1 over `length` at constant speed between an eased start and stop of `ramp` seconds each."""
    ramp = min(ramp, 0.5 * length)
    area = lambda u: u**4 * (2.5 - 3.0 * u + u * u)  # noqa: E731 - integral of the quintic ease
    up = ramp * area(np.clip(seconds / ramp, 0, 1))
    flat = np.clip(seconds - ramp, 0.0, length - 2 * ramp)
    down = ramp * (0.5 - area(1.0 - np.clip((seconds - length + ramp) / ramp, 0.0, 1.0)))
    return (up + flat + down) / (length - ramp)


def path_from(base: np.ndarray, start: float, length: float, ramp: float, metres: float, toward: float,
              bend: float, sway: Callable[[np.ndarray], np.ndarray] | None = None,
              drift: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:  # fmt: skip
    """Seconds [n] -> x, z, heading [n, 3]: `metres` along an arc that turns by `bend`, body turned `toward` off its heading.

    drift   metres straight on, whatever the turn: a spin that travels
    """
    x0, z0, h0 = base

    def path(t: np.ndarray) -> np.ndarray:
        s = progress(np.asarray(t, dtype=np.float64) - start, length, ramp)
        turned = bend * s
        if abs(bend) < 1e-9:
            forth, side = metres * s, np.zeros_like(s)
        else:
            radius = metres / bend
            forth, side = radius * np.sin(turned), radius * (1.0 - np.cos(turned))
        if sway is not None:
            side = side + sway(s)
        forth = forth + drift * s
        a = h0 + toward
        return np.stack([x0 + np.sin(a) * forth + np.cos(a) * side, z0 + np.cos(a) * forth - np.sin(a) * side, h0 + turned], -1)

    return path


def write_gait(track: Track, act: Act, gait: Gait, rng: np.random.Generator) -> None:
    """Put a gait, a turn, leaps or a tumble into the track, from wherever its base is at the act's start."""
    where = int(np.clip(np.searchsorted(track.t, act.start), 0, len(track.t) - 1))
    base = track.base[where].copy()
    if gait.tumble:
        _tumble(track, act, gait.tumble, base)
    elif gait.together:
        _leaps(track, act, gait, base)
    else:
        _steps(track, act, gait, base, rng)


def descent_s(gait: Gait, factor: float) -> float:
    """Seconds to get down on hands and knees, and as many to get up again; nothing for gaits on foot."""
    return _DESCENT_S * factor**0.5 if gait.crawl else 0.0


def _go_on_all_fours(track: Track, act: Act, down_s: float) -> None:
    """Pin the knees to the footholds, and each hand to what the other side's knee does: opposite limbs go together."""
    shape = track.shape
    t, base, feet = track.t, track.base, track.footholds
    sin, cos = np.sin(base[:, 2]), np.cos(base[:, 2])
    lifted = np.stack([track.channels[:, INDEX[f"foot_{side}_y"]] for side in SIDES], 1) * shape.leg
    knees = feet.copy()
    knees[..., 1] = _KNEE_M + lifted
    hands = feet[:, ::-1].copy()
    for i in range(2):
        # From the other side of the body to one's own, and ahead by the length of the trunk.
        side = (1.0 - 2.0 * i) * (2.0 * shape.stance + _HANDS_APART_M)
        hands[:, i, 0] += cos * side + sin * _TRUNK_SHARE * shape.stature
        hands[:, i, 2] += -sin * side + cos * _TRUNK_SHARE * shape.stature
        hands[:, i, 1] = _PALM_M + 1.5 * lifted[:, 1 - i]
    weight = envelope(t, act.start + 0.35 * down_s, act.stop - 0.35 * down_s, 0.65 * down_s, 0.65 * down_s)
    track.planted[(weight > 0) & (weight < 1)] = False
    if track.pins is not None:
        earlier = track.pins
        knees = np.where((weight > 0)[:, None, None], knees, earlier.knees)
        hands = np.where((weight > 0)[:, None, None], hands, earlier.hands)
        weight = np.maximum(weight, earlier.weight)
    track.pins = Pins(knees, hands, weight)


def _steps(track: Track, act: Act, gait: Gait, base: np.ndarray, rng: np.random.Generator) -> None:
    down_s = min(descent_s(gait, act.factor), 0.3 * (act.stop - act.start))
    start, length = act.start + down_s, act.stop - act.start - 2 * down_s
    steps = act.count or max(2, round(length / (gait.step_s * act.factor)))
    step_s = length / steps
    leg = track.shape.leg
    metres = steps * gait.stride * leg * act.size
    way = _HEADING[act.side if gait.toward == "side" else gait.toward]  # type: ignore[index]
    sign = -1.0 if act.side == "right" else 1.0
    bend = sign * np.deg2rad(act.degrees) if gait.turns else _BEND[act.path]
    sway = None
    if gait.wobble:
        a, b = rng.uniform(0.5, 1.5, 2)
        sway = lambda s: leg * 0.28 * s * (1 - s) * 4 * np.sin(2 * np.pi * (a * s + b))  # noqa: E731
    if gait.figure:
        sway = lambda s: 0.35 * leg * np.sin(2 * np.pi * steps / 6 * s)  # noqa: E731
    ramp = min((0.7 if gait.crawl else 1.3) * step_s, 0.3 * length)
    if gait.swing > 1.0:
        # A short run is as fast as a long one, but for its start and end.
        metres *= (length - ramp) / length
    path = path_from(base, start, length, ramp, metres, way, bend, sway, steps * gait.drift * leg)
    if act.side in SIDES and (gait.turns or gait.toward == "side"):
        first = SIDES.index(act.side)
    else:
        first = int(rng.integers(2))
    phase = track.travel(path, start, step_s, steps, swing=gait.swing, height=gait.height * leg / 0.8, first=first,
                         spread=gait.spread, tiptoe=gait.tiptoe, strike=0.0 if gait.tiptoe or gait.crawl else 0.22,
                         push=0.0 if gait.crawl else 0.25 + 0.45 * min(gait.stride, 1.2))  # fmt: skip
    fade = min(1.2 * step_s, 0.4 * length)
    on = envelope(track.t, start, start + length, fade, fade)
    _carriage(track, act, gait, phase, on, first, down_s, step_s)
    if gait.crawl:
        _go_on_all_fours(track, act, down_s)


def _carriage(track: Track, act: Act, gait: Gait, phase: np.ndarray, on: np.ndarray, first: int, down_s: float,
              step_s: float) -> None:  # fmt: skip
    """Arms against legs, trunk against pelvis, weight over the standing foot."""
    rise = down_s or min(0.45, 0.3 * (act.stop - act.start))
    track.posture(act.start, act.stop, rise, rise, channels_of(gait.hold, None))
    forth = np.cos(np.pi * (phase - 1.0))
    lead = 1.0 - 2.0 * first
    pose: dict[str, float | np.ndarray] = {}
    for i, side in enumerate(SIDES):
        ahead = -(forth if i == first else -forth) * gait.arm * act.size
        pose[f"hand_{side}_z"] = ahead + gait.pump * 0.55
        if gait.pump:
            pose[f"hand_{side}_y"] = gait.pump + 0.25 * ahead
        else:
            pose[f"hand_{side}_y"] = 0.18 * np.abs(gait.arm) * forth * forth
    if not gait.crawl:
        pose["pelvis_yaw"] = -lead * 0.07 * forth * min(gait.stride, 1.0)
        pose["pelvis_x"] = -lead * 0.028 * np.sin(np.pi * phase)
    pose["spine_twist"] = lead * 0.16 * forth * min(gait.stride, 1.0)
    pose["pelvis_y"] = -gait.low + gait.bob * np.cos(2 * np.pi * (phase + 0.5 * max(gait.swing - 1.0, 0.0)))
    pose["spine_pitch"], pose["pelvis_pitch"] = 0.65 * gait.lean, 0.45 * gait.lean
    if gait.strike:
        # The blow of each landing goes through the body from below.
        struck = np.where(phase > 0.9, bump((phase % 1.0) * step_s / _STRIKE_S), 0.0)
        pose["pelvis_y"] = pose["pelvis_y"] - gait.strike * struck
        pose["spine_pitch"] = pose["spine_pitch"] + 2.5 * gait.strike * struck
        pose["head_pitch"] = 4.0 * gait.strike * struck
    if gait.limp:
        bad = SIDES.index(act.side or "left")
        dip = 0.5 + 0.5 * np.cos(np.pi * (phase - (0.5 if bad == first else 1.5)))
        pose["pelvis_y"] = pose["pelvis_y"] - 0.05 * (1 - dip)
        pose["spine_roll"] = (1.0 - 2.0 * bad) * 0.30 * (1 - dip)
    if gait.wobble:
        pose["spine_roll"] = 0.28 * np.sin(0.8 * np.pi * phase)
        pose["spine_pitch"] = 0.15 + 0.20 * np.sin(0.55 * np.pi * phase + 1.0)
        pose["head_roll"] = 0.20 * np.sin(0.8 * np.pi * phase + 0.8)
    if gait.figure:
        pose["spine_roll"] = 0.16 * np.sin(2 * np.pi * phase / 3)
        pose["pelvis_y"] = pose["pelvis_y"] - 0.03 + 0.03 * np.cos(2 * np.pi * phase / 3)
    track.blend(on, pose, add=True)


def _leaps(track: Track, act: Act, gait: Gait, base: np.ndarray) -> None:
    """Both feet leave and land together, `count` times."""
    t, leg = track.t, track.shape.leg
    period = (act.stop - act.start) / act.count
    reach = gait.stride * leg * act.size
    ahead = np.array([np.sin(base[2]), np.cos(base[2])])
    for n in range(act.count):
        s = (t - act.start) / period - n
        flight = (s - 0.34) / gait.swing
        track.base[:, :2] += np.where(s > 0, ease((s - 0.24) / (gait.swing + 0.2)), 0.0)[:, None] * ahead * reach
        for i, side in enumerate(SIDES):
            track.footholds[:, i, [0, 2]] += ease(flight)[:, None] * ahead * reach
            track.blend(bump(flight), {f"foot_{side}_y": gait.height, f"foot_{side}_pitch": 0.3}, add=True)
            track.lift(i, (flight > 0) & (flight < 1))
            track.blend(bump(s / 0.40), {f"hand_{side}_z": -0.45, f"hand_{side}_y": 0.1}, add=True)
            track.blend(bump((s - 0.18) / 0.62), {f"hand_{side}_z": 0.52, f"hand_{side}_y": 0.55}, add=True)
        track.blend(bump(s / 0.46) + 0.8 * bump((s - 0.70) / 0.30), {"pelvis_y": -0.20, "spine_pitch": 0.35, "pelvis_pitch": 0.2}, add=True)
        track.blend(bump(flight), {"pelvis_y": gait.height * 0.8, "spine_pitch": 0.15}, add=True)


def _tumble(track: Track, act: Act, kind: str, base: np.ndarray) -> None:
    """Once round about a horizontal axis, the feet carried round with the pelvis."""
    t, shape = track.t, track.shape
    s = (t - act.start) / (act.stop - act.start)
    inside = (s > 0) & (s < 1)
    # When the body starts and ends its turn, in shares of the act; a cartwheel has a stride before and after it.
    begins, lasts = (0.25, 0.50) if kind == "cartwheel" else (0.14, 0.72)
    turned = np.where(inside, 2 * np.pi * ease((s - begins) / lasts), 0.0)
    free = ease((s - begins + 0.06) / 0.18) * (1 - ease((s - begins - lasts + 0.10) / 0.20))
    upside = 0.5 * (1 - np.cos(turned)) * inside
    sign = -1.0 if act.side == "right" else 1.0
    # metres travelled / leg, pelvis height upside down (of standing), free leg length / leg, spine curl
    far, high, long, curl, direction = {
        "roll": (1.25, 0.60, 0.62, 1.5, 1.0), "cartwheel": (1.9, 1.10, 0.93, 0.0, 1.0),
        "backflip": (-0.5, 1.55, 0.62, 0.7, -1.0), "frontflip": (0.9, 1.55, 0.62, 0.9, 1.0),
    }[kind]  # fmt: skip
    side_on = kind == "cartwheel"
    along = base[2] + (sign * np.pi / 2 if side_on else 0.0)
    move = ease((s - 0.1) / 0.8)[:, None] * np.array([np.sin(along), np.cos(along)]) * far * shape.leg
    track.base[:, :2] += move
    track.footholds[:, :, [0, 2]] += move[:, None]
    crouch = bump(s / 0.30) + bump((s - 0.72) / 0.28)
    height = 1.0 + (high - 1.0) * upside - (0.0 if side_on else 0.22) * crouch
    if kind == "roll":
        height = 1.0 + (high - 1.0) * ease(s / 0.30) * (1 - ease((s - 0.72) / 0.28))
    track.blend(inside * 1.0, {"pelvis_y": height})
    tuck = free * (1.0 if kind == "roll" else upside)
    length = shape.leg * (1.0 + (long - 1.0) * tuck)
    angle = turned * direction
    level = height * shape.standing
    for i, name in enumerate(SIDES):
        out = 1.0 - 2.0 * i
        y = soft_floor(level - length * np.cos(turned), 0.05)
        apart = 0.35 * shape.leg * upside if side_on else 0.0
        if side_on:
            x = -out * sign * length * np.sin(turned) + apart * np.abs(np.cos(turned))
            z = 0.0 * turned
        else:
            x = 0.0 * turned
            z = -length * np.sin(angle)
        track.blend(free, {f"foot_{name}_y": y / shape.leg, f"foot_{name}_x": x / shape.leg, f"foot_{name}_z": z / shape.leg})
        if not side_on:
            track.channels[:, INDEX[f"foot_{name}_pitch"]] += np.where(
                inside, free * np.where(s < 0.5, angle, angle - direction * 2 * np.pi), 0.0
            )
        track.lift(i, inside)
        hands = {"roll": (0.1, 0.35, 0.6), "cartwheel": (0.25, 0.95, 0.05)}.get(kind, (0.15, -0.35, 0.55))
        track.blend(ease(s / 0.2) * (1 - ease((s - 0.8) / 0.2)), {f"hand_{name}_{a}": v for a, v in zip("xyz", hands, strict=True)})
    if side_on:
        track.channels[:, INDEX["pelvis_roll"]] += -sign * turned
    else:
        track.channels[:, INDEX["pelvis_pitch"]] += angle
        track.blend(tuck, {"spine_pitch": curl, "head_pitch": 0.5 * min(curl, 1.0)})
