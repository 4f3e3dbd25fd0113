"""A performed move: what was drawn for it, how long it takes, and how it is written into a person's track."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from stickgen_core.sources.synthetic.catalogue import Catalogue, Gesture, Posture, Value, channels_of
from stickgen_core.sources.synthetic.channels import NAMES, SIDES, standing
from stickgen_core.sources.synthetic.footwork import step_along
from stickgen_core.sources.synthetic.going import descent_s, write_gait
from stickgen_core.sources.synthetic.track import Track, around, bump, ease, envelope, pulses

# Seconds to raise the hands into a held pose close by, and to let them sink again, at normal tempo.
LEAD_S = 0.45
# Gaps between the bands keep slow, normal and fast apart for the checker.
TEMPO = {"slow": (1.35, 1.60), "normal": (0.92, 1.08), "fast": (0.60, 0.72)}
# A pose whose pelvis is below this share of its standing height is on the floor.
_ON_THE_FLOOR = 0.3
# Seconds of a tumble at normal tempo.
TUMBLE_S = {"roll": 1.5, "cartwheel": 2.35, "backflip": 1.32, "frontflip": 1.32}
_NEUTRAL_OF = dict(zip(NAMES, standing(), strict=True))


@dataclass(frozen=True)
class Act:
    """One move by one person.

    kind     gesture | into | hold | outof | gait     move   its name in the catalogue
    side     acting side or direction, None where the move has none     count   strokes, steps or jumps
    tempo    slow | normal | fast, with the drawn factor on every period   size   share of full stroke
    path, degrees   of a gait                                             below  True while another act goes on below it
    """

    kind: str
    move: str
    side: str | None = None
    count: int = 0
    tempo: str = "normal"
    factor: float = 1.0
    size: float = 1.0
    path: str = "straight"
    degrees: int = 0
    start: float = 0.0
    stop: float = 0.0
    below: bool = False
    cut_in: bool = False
    cut_out: bool = False

    def at(self, start: float, stop: float) -> "Act":
        return replace(self, start=start, stop=stop)


def action_of(act: Act, moves: Catalogue) -> str:
    """The name of the action that the act's frames are labelled with."""
    if act.kind in ("into", "hold", "outof"):
        return str(getattr(moves.postures[act.move], act.kind))
    return moves.gaits[act.move].action if act.kind == "gait" else moves.gestures[act.move].action


def lead_s(act: Act, moves: Catalogue) -> float:
    """Seconds in which the hands get to where the strokes begin: longer where they have farther to go."""
    gesture = moves.gestures[act.move]
    return LEAD_S * gesture.lead * act.factor**0.5 * (1.0 + 0.5 * _farthest(tuple(gesture.hold.items()), "both" if gesture.sides else None))


@lru_cache(maxsize=1024)
def _farthest(hold: tuple[tuple[str, Value], ...], side: str | None) -> float:
    """How far a pose takes a hand from hanging, 1 for straight up."""
    pose = channels_of(dict(hold), side)
    ways = [[pose.get(n := f"hand_{one}_{a}", float(_NEUTRAL_OF[n])) - float(_NEUTRAL_OF[n]) for a in "xyz"] for one in SIDES]
    return min(0.5 * max(sum(w * w for w in way) for way in ways) ** 0.5, 1.0)


def natural_duration(act: Act, moves: Catalogue) -> float | None:
    """Seconds the act takes, None where it lasts as long as it is given."""
    if act.kind in ("into", "outof"):
        return moves.postures[act.move].rise_s * act.factor
    if act.kind == "hold":
        return None
    if act.kind == "gait":
        gait = moves.gaits[act.move]
        if gait.tumble:
            return TUMBLE_S[gait.tumble] * act.factor
        return act.count * gait.step_s * act.factor + 2 * descent_s(gait, act.factor) if act.count else None
    gesture = moves.gestures[act.move]
    if not gesture.period_s:
        return None
    return 2 * lead_s(act, moves) + act.count * gesture.period_s * act.factor


def write(track: Track, act: Act, moves: Catalogue, rng: np.random.Generator, room: float = 1.0) -> None:
    """Put the act's motion into the track; room: share of its footwork that there is room for, 0 where it lies over another act."""
    gesture = moves.gestures[act.move] if act.kind == "gesture" else None
    if act.kind != "hold" and (gesture is None or gesture.period_s):
        head_only = gesture is not None and not gesture.hold and all(n.startswith("head") for n in gesture.stroke) and bool(gesture.stroke)
        track.busy(act.start, act.stop, head_only=head_only)
    if act.kind == "gesture":
        _gesture(track, act, moves.gestures[act.move], lead_s(act, moves), room)
    elif act.kind == "gait":
        write_gait(track, act, moves.gaits[act.move], rng)
    else:
        _posture(track, act, moves.postures[act.move])


def _posture(track: Track, act: Act, posture: Posture) -> None:
    pose = channels_of(posture.pose, act.side)
    rise = posture.rise_s * act.factor
    if act.kind == "into":
        track.posture(act.start, np.inf, act.stop - act.start, 0.0, pose)
        effort = bump((track.t - act.start) / (act.stop - act.start))
    elif act.kind == "outof":
        track.posture(-np.inf, act.stop, 0.0, act.stop - act.start, pose)
        effort = bump((track.t - act.start) / (act.stop - act.start))
    else:
        track.posture(-np.inf, np.inf, 0.0, 0.0, pose)
        effort = np.zeros_like(track.t)
    if rise > 0:
        track.blend(effort, channels_of(posture.lean, act.side), add=True)
    if act.kind == "outof" and pose.get("pelvis_y", 1.0) < _ON_THE_FLOOR:
        pitch = pose.get("pelvis_pitch", 0.0)
        _struggle(track, act, -1.0 if pitch > 0 else 1.0, lying=abs(pitch) > 1.0)


def _struggle(track: Track, act: Act, curl: float, lying: bool) -> None:
    """Getting up from the floor goes in pushes, now with one side, now with the other: a roll of the trunk, an arm, a leg.

    curl   1 bends the trunk on the way, -1 lifts the chest from the ground
    """
    s = (track.t - act.start) / (act.stop - act.start)
    # Of the legs only those of somebody who lies push: a seat on the floor has them stretched on it.
    leg = 0.10 * lying
    for n, start in enumerate((0.06, 0.30, 0.54)):
        side, sign = SIDES[n % 2], 1.0 - 2.0 * (n % 2)
        push = bump((s - start - 0.10 * (curl < 0)) / 0.34)
        track.blend(push, {"spine_roll": (0.16 + 0.06 * curl) * sign, "spine_twist": 0.26 * sign, "spine_pitch": 0.16 * curl, "pelvis_yaw": 0.10 * sign,
                           "head_pitch": -0.15, f"hand_{side}_y": -0.22, f"hand_{side}_x": 0.14, f"foot_{side}_y": leg,
                           f"foot_{side}_z": leg}, add=True)  # fmt: skip
        track.lift(n % 2, push > 1e-9)


def _gesture(track: Track, act: Act, gesture: Gesture, lead: float, room: float) -> None:
    period = gesture.period_s * act.factor
    if gesture.footwork and room:
        step_along(track, act, gesture.footwork, lead, period, room)
    t = track.t
    hold = channels_of(gesture.hold, act.side)
    weight = track.posture(act.start, act.stop, lead, lead, hold)
    first = act.start + lead
    scaled = {n: v * act.size for n, v in channels_of(gesture.stroke, act.side).items()}
    if gesture.before:
        track.blend(envelope(t, -np.inf, first + 0.5 * period, 0.0, 0.5 * period), channels_of(gesture.before, act.side))
    if gesture.after:
        track.blend(envelope(t, first + 0.5 * period, np.inf, 0.5 * period, 0.0), channels_of(gesture.after, act.side))
    if gesture.profile == "pulse" and scaled:
        _add(track, pulses(t, first, period, act.count, gesture.width, _snap(gesture)), scaled, hold)
    elif gesture.profile == "snap":
        _snaps(track, act, gesture, first, period, scaled, hold)
    elif gesture.profile == "alternate":
        start_side = act.side or "left"
        other = SIDES[1 - SIDES.index(start_side)]
        for n, side in ((0, start_side), (1, other)):
            strokes = {k: v * act.size for k, v in channels_of(gesture.stroke, side).items()}
            turns = (act.count + 1 - n) // 2
            wave = pulses(t, first + n * period, 2 * period, turns, 0.5 * min(gesture.width * 1.15, 1.9), _snap(gesture))
            _add(track, wave, strokes, hold)
    elif gesture.profile == "swing":
        phase = np.clip((t - first) / (act.count * period), 0, 1) * act.count
        fade = envelope(t, first, first + act.count * period, 0.35 * period, 0.35 * period)
        track.blend(fade * np.sin(2 * np.pi * phase), scaled, add=True)
    elif gesture.profile == "circle":
        phase = 2 * np.pi * act.count * _wind((t - first) / (act.count * period), 0.5 / act.count)
        for name, value in scaled.items():
            shift = -np.cos(phase) if name.endswith("_y") else np.sin(phase)
            track.blend(weight * shift, {name: value}, add=True)
    elif gesture.profile == "throw":
        _throw(track, act, gesture, first, period, scaled)
    elif gesture.profile in ("jump", "jack"):
        _jumps(track, act, gesture, first, period)
    elif gesture.profile == "climb":
        _climb(track, act, gesture, first, period)


def _snap(gesture: Gesture) -> float:
    """How much faster a stroke goes out than it comes back: strikes, which take a small part of their period, most."""
    return 1.5 if gesture.width < 0.7 else 1.15


def _wind(s: np.ndarray, ramp: float) -> np.ndarray:
    """0 -> 1 at constant speed but for an eased ramp at either end: phase of a circling limb."""
    ramp = min(ramp, 0.5)
    s = np.clip(s, 0.0, 1.0)
    area = lambda u: u**4 * (2.5 - 3.0 * u + u * u)  # noqa: E731 - integral of ease
    up = ramp * area(np.minimum(s / ramp, 1.0))
    flat = np.clip(s - ramp, 0.0, 1.0 - 2.0 * ramp)
    down = ramp * (0.5 - area(1.0 - np.clip((s - 1.0 + ramp) / ramp, 0.0, 1.0)))
    return (up + flat + down) / (1.0 - ramp)


def _add(track: Track, wave: np.ndarray, strokes: dict[str, float], start: dict[str, float]) -> None:
    """Strokes on top of the pose they start from, hands swinging round their shoulders."""
    track.blend(wave, strokes, add=True)
    for i, side in enumerate(SIDES):
        track.blend(4.0 * wave * (1.0 - wave), around(start, strokes, side), add=True)
        if any(n.startswith(f"foot_{side}") and n[-1] in "xyz" for n in strokes):
            track.lift(i, wave > 1e-9)


def _snaps(track: Track, act: Act, gesture: Gesture, first: float, period: float, strokes: dict[str, float],
           start: dict[str, float]) -> None:  # fmt: skip
    """Coil, snap out and back quicker than coiled, and uncoil: a kick from a lifted knee, a punch from a turned back shoulder."""
    windup = {n: v * act.size for n, v in channels_of(gesture.windup, act.side).items()}
    out = {n: strokes.get(n, 0.0) - windup.get(n, 0.0) for n in {**strokes, **windup}}
    for n in range(act.count):
        s = ((track.t - first) / period - n) / gesture.width
        coiled = ease(s / 0.36) * (1.0 - ease((s - 0.52) / 0.48))
        u = np.clip((s - 0.04) / 0.84, 0.0, 1.0)
        _add(track, coiled, windup, start)
        _add(
            track, bump(1.0 - (1.0 - u) ** 1.25), out, {**start, **{k: start.get(k, float(_NEUTRAL_OF[k])) + v for k, v in windup.items()}}
        )


def _throw(track: Track, act: Act, gesture: Gesture, first: float, period: float, strokes: dict[str, float]) -> None:
    """Wind-up, a quick pass through to the follow-through, and back: three eases a stroke."""
    windup = channels_of(gesture.windup, act.side)
    for n in range(act.count):
        s = (track.t - first) / period - n
        swept = ease((s - 0.34) / 0.30)
        back, through = ease(s / 0.34) * (1 - swept), swept * (1 - ease((s - 0.68) / 0.32))
        track.blend(np.minimum(back, 1.0), windup)
        goal = {name: float(_NEUTRAL_OF[name]) + value for name, value in strokes.items()}
        track.blend(through, goal)
        for side in SIDES:
            way = {name: value - windup.get(name, float(_NEUTRAL_OF[name])) for name, value in goal.items()}
            track.blend(4.0 * swept * (1.0 - swept), around(windup, way, side), add=True)


def _jumps(track: Track, act: Act, gesture: Gesture, first: float, period: float) -> None:
    """Crouch, flight with the feet following the body, landing: a share of the period each."""
    hopping = act.side if act.move == "hop" else None
    feet = SIDES if hopping is None else (hopping,)
    rise = gesture.rise * act.size
    for n in range(act.count):
        s = (track.t - first) / period - n
        flight = bump((s - 0.36) / 0.38)
        dip = bump(s / 0.50) + 0.85 * bump((s - 0.62) / 0.38)
        deep = 0.24 if hopping is None else 0.10
        track.blend(flight, {"pelvis_y": rise}, add=True)
        track.blend(dip, {"pelvis_y": -deep, "spine_pitch": 1.2 * deep, "pelvis_pitch": 0.8 * deep, "pelvis_z": -0.25 * deep}, add=True)
        for side in feet:
            track.blend(flight, {f"foot_{side}_y": rise * 1.05, f"foot_{side}_pitch": 0.6}, add=True)
            track.lift(SIDES.index(side), flight > 1e-9)
        if gesture.profile == "jack":
            wide = ease((s - 0.30) / 0.30) if n % 2 == 0 else 1 - ease((s - 0.30) / 0.30)
            on = ((s >= 0) & (s < 1)).astype(float)
            wide = wide * on
            last = n == act.count - 1 and n % 2 == 0
            wide = wide * (1 - ease((s - 0.72) / 0.28)) if last else wide
            for i, side in enumerate(SIDES):
                track.blend(wide, {f"foot_{side}_x": 0.34}, add=True)
                track.blend(wide, {f"hand_{side}_x": 0.30, f"hand_{side}_y": 0.90, f"hand_{side}_z": 0.05})
                track.blend(4.0 * wide * (1.0 - wide), {f"hand_{side}_x": 0.62}, add=True)
                track.lift(i, (wide > 1e-9) & (wide < 1 - 1e-9))
        elif hopping is None:
            arms = {f"hand_{side}_{a}": v for side in SIDES for a, v in (("y", 0.58), ("z", 0.42))}
            track.blend(bump((s - 0.20) / 0.62), arms, add=True)
            track.blend(bump(s / 0.40), {f"hand_{side}_z": -0.30 for side in SIDES}, add=True)


def _climb(track: Track, act: Act, gesture: Gesture, first: float, period: float) -> None:
    """Rung by rung: one foot and the other hand go up together, the body follows; what was climbed stays climbed."""
    t, rung, shape = track.t, gesture.rise, track.shape
    on = envelope(t, first - 0.4, np.inf, 0.4, 0.0)
    for i, side in enumerate(SIDES):
        track.blend(on, {f"foot_{side}_z": 0.14}, add=True)
        track.lift(i, (on > 1e-9) & (on < 1 - 1e-9))
        track.blend(on, {f"hand_{side}_x": 0.0, f"hand_{side}_y": 0.42, f"hand_{side}_z": 0.60})
    for n in range(act.count):
        foot = n % 2
        side, other = SIDES[foot], SIDES[1 - foot]
        sign = 1.0 - 2.0 * foot
        s = (t - first) / period - n
        # The first foot goes up one rung, every later one two, past the other.
        high = rung if n == 0 else 2 * rung
        track.blend(ease(s / 0.62), {f"foot_{side}_y": high}, add=True)
        if n > 0:
            track.blend(ease((s - 0.30) / 0.62), {"pelvis_y": rung * shape.leg / shape.standing}, add=True)
        track.blend(bump(s / 0.62), {f"foot_{side}_z": -0.20, f"foot_{side}_x": 0.06}, add=True)
        track.lift(foot, (s > 0) & (s < 0.62))
        # Weight goes to the other leg, gives before it pushes, and the pulling arm turns the trunk.
        track.blend(
            bump(s / 0.70), {"pelvis_x": -0.09 * sign, "pelvis_y": -0.022, "spine_roll": 0.16 * sign, "pelvis_roll": -0.07 * sign}, add=True
        )
        track.blend(bump((s - 0.28) / 0.72), {"spine_twist": -0.26 * sign, "pelvis_yaw": -0.12 * sign, "spine_pitch": 0.10}, add=True)
        track.blend(bump(s / 0.60), {"head_pitch": -0.26, "head_yaw": -0.16 * sign}, add=True)
        track.blend(bump((s - 0.02) / 0.86), {f"hand_{other}_y": 0.34, f"hand_{other}_z": -0.14}, add=True)
        track.blend(bump((s - 0.10) / 0.90), {f"hand_{side}_y": -0.26, f"hand_{side}_z": -0.10}, add=True)
