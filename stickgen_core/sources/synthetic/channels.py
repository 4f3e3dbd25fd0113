"""The control channels of a body: a pose is a short vector of smooth signals, in units that fit every stature.

Lateral channels are written as seen from one side: `hand_left_x` is outward for the left arm, `foot_right_x` outward for the
right leg; `pelvis_x`, `*_roll`, `*_twist`, `*_yaw` are positive to the left. Hands are relative to their shoulder in the chest's
axes, in arm lengths. Feet are offsets from their foothold in the heading's axes, in leg lengths. Angles are radians.
"""

import numpy as np

_SIDED = ("hand_{}_x", "hand_{}_y", "hand_{}_z", "elbow_{}", "shrug_{}", "foot_{}_x", "foot_{}_y", "foot_{}_z", "foot_{}_pitch",
          "foot_{}_yaw", "knee_{}")  # fmt: skip
MIDLINE = (
    "pelvis_x", "pelvis_y", "pelvis_z", "pelvis_yaw", "pelvis_pitch", "pelvis_roll",
    "spine_pitch", "spine_roll", "spine_twist", "head_pitch", "head_yaw", "head_roll",
)  # fmt: skip
# Positive to the left: their sign changes when a move is done with the right side.
LATERAL = frozenset({"pelvis_x", "pelvis_yaw", "pelvis_roll", "spine_roll", "spine_twist", "head_yaw", "head_roll"})
SIDES = ("left", "right")
OTHER = {"left": "right", "right": "left"}
NAMES: tuple[str, ...] = MIDLINE + tuple(name.format(side) for side in SIDES for name in _SIDED)
INDEX: dict[str, int] = {name: index for index, name in enumerate(NAMES)}
COUNT = len(NAMES)
FEET: dict[str, tuple[int, ...]] = {side: tuple(i for n, i in INDEX.items() if n.startswith(f"foot_{side}")) for side in SIDES}
LEGS_AND_PELVIS = frozenset(n for n in NAMES if n.startswith(("foot", "knee", "pelvis")))

_STANDING = {
    "pelvis_y": 1.0,
    **{f"hand_{side}_{axis}": value for side in SIDES for axis, value in (("x", 0.11), ("y", -0.962), ("z", 0.06))},
    **{f"foot_{side}_yaw": 0.10 for side in SIDES},
}


def standing() -> np.ndarray:
    """[COUNT] the relaxed standing pose."""
    pose = np.zeros(COUNT)
    for name, value in _STANDING.items():
        pose[INDEX[name]] = value
    return pose


def span(first: str, count: int) -> slice:
    """Consecutive channels from a named one on."""
    return slice(INDEX[first], INDEX[first] + count)
