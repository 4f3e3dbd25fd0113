"""What a body does of itself: breathing, shifting weight, small moves of head and hands, and the tremor of held limbs.

Signals are uniform cubic B-splines through drawn values, so they are smooth to the second derivative and bounded. They are written
over a finished track with less weight while an act moves the body, so that a pose that is held lives and a stroke stays what it is.
"""

import numpy as np

from stickgen_core.sources.synthetic.channels import INDEX, SIDES
from stickgen_core.sources.synthetic.track import Track

# Seconds between the values that are drawn: shifts of weight and idle hands; the fine tremor above them (some 3 to 6 Hz).
_IDLE_S, _TREMOR_S = 0.40, 0.09
# Largest excursions: radians for angles, leg lengths for the pelvis, arm lengths for the hands.
_IDLE = {
    "pelvis_x": 0.075, "pelvis_z": 0.025, "pelvis_yaw": 0.05, "spine_pitch": 0.08, "spine_roll": 0.07, "spine_twist": 0.26,
    "head_pitch": 0.12, "head_yaw": 0.30, "head_roll": 0.08, "shrug_left": 0.03, "shrug_right": 0.03, "knee_left": 0.14, "knee_right": 0.14,
}  # fmt: skip
_HANDS = {"x": 0.24, "y": 0.24, "z": 0.38}
# A hand that rests moves now and then, not all the time: the share of drawn values that move it.
_HAND_MOVES = 0.5
_TREMOR = {
    "pelvis_x": 0.0014, "pelvis_z": 0.0010, "pelvis_y": 0.0012, "spine_pitch": 0.0030, "spine_roll": 0.0025, "spine_twist": 0.0045,
    "head_pitch": 0.008, "head_yaw": 0.010, "head_roll": 0.006,
    **{f"hand_{side}_{axis}": 0.0032 for side in SIDES for axis in "xyz"},
}  # fmt: skip
# What is left of the idle moves, of the body and of the hands, while an act moves the body.
_BUSY_SHARE, _BUSY_HANDS = 0.30, 0.12
# What a lying trunk loses of them.
_LYING_LOSS = 0.75
_BREATHS_HZ = (0.20, 0.36)
_BREATH = {"spine_pitch": -0.014, "shrug_left": 0.022, "shrug_right": 0.022}


def wander(rng: np.random.Generator, t: np.ndarray, knot_s: float, columns: int, moving: float = 1.0) -> np.ndarray:
    """[T, columns] within ±1: uniform cubic B-splines of values drawn every `knot_s` seconds, a share of them `moving`, the rest 0."""
    u = (t - t[0]) / knot_s + rng.random()
    values = rng.uniform(-1.0, 1.0, (int(u[-1]) + 5, columns))
    if moving < 1.0:
        values *= rng.random(values.shape) < moving
    first = u.astype(np.int64)
    f = (u - first)[:, None]
    g = 1.0 - f
    weights = (g * g * g / 6.0, (3.0 * f * f * f - 6.0 * f * f + 4.0) / 6.0, (3.0 * g * g * g - 6.0 * g * g + 4.0) / 6.0, f * f * f / 6.0)
    out = weights[0] * values[first]
    for n in (1, 2, 3):
        out += weights[n] * values[first + n]
    return out


def enliven(track: Track, rng: np.random.Generator) -> None:
    """Add a body's own small moves to a written track."""
    t, channels = track.t, track.channels
    restless = float(rng.uniform(0.85, 1.25))
    quiet = track.quiet[:, None]
    weight = restless * (_BUSY_SHARE + (1.0 - _BUSY_SHARE) * quiet)
    idle = weight * wander(rng, t, _IDLE_S, len(_IDLE)) * _AMOUNT_IDLE
    idle[:, _HEAD] *= track.head_free[:, None]
    # A trunk that lies has the ground below it.
    idle[:, _TRUNK] *= 1.0 - _LYING_LOSS * np.minimum(channels[:, INDEX["pelvis_pitch"], None] ** 2, 1.0)
    channels[:, [INDEX[n] for n in _IDLE]] += idle
    hands = wander(rng, t, _IDLE_S, 2 * len(_HANDS), _HAND_MOVES)
    channels[:, _HAND_CHANNELS] += restless * (_BUSY_HANDS + (1.0 - _BUSY_HANDS) * quiet) * hands * _AMOUNT_HANDS
    channels[:, [INDEX[n] for n in _TREMOR]] += wander(rng, t, _TREMOR_S, len(_TREMOR)) * _AMOUNT_TREMOR
    breath = np.sin(2 * np.pi * (rng.uniform(*_BREATHS_HZ) * t + rng.random()))
    for name, amount in _BREATH.items():
        channels[:, INDEX[name]] += amount * breath


_HEAD = [n for n, name in enumerate(_IDLE) if name.startswith("head")]
_TRUNK = [n for n, name in enumerate(_IDLE) if name.startswith(("pelvis", "spine"))]
_AMOUNT_IDLE = np.array(list(_IDLE.values()))
_AMOUNT_TREMOR = np.array(list(_TREMOR.values()))
_HAND_CHANNELS = [INDEX[f"hand_{side}_{axis}"] for side in SIDES for axis in _HANDS]
_AMOUNT_HANDS = np.array(list(_HANDS.values()) * 2)
