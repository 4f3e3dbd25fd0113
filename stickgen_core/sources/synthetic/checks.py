"""What a synthetic clip must satisfy before it is accepted: the same kinds of limits that real data are held to."""

import numpy as np

from stickgen_core.skeleton.body import JOINT, PARENTS

_BONES = np.arange(1, len(PARENTS))
_PARENTS = np.array(PARENTS[1:])
FEET = (JOINT["left_foot"], JOINT["right_foot"])


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """[T, A, 22, 3] -> [T, A, 21] metres."""
    d = joints[:, :, _BONES] - joints[:, :, _PARENTS]
    return np.sqrt((d * d).sum(-1))


def stance_slide(joints: np.ndarray, planted: np.ndarray, fps: float) -> float:
    """Fastest movement (m/s) of a foot over two frames in both of which it is planted."""
    feet = joints[:, :, FEET, :]
    v = np.sqrt(((feet[1:] - feet[:-1]) ** 2).sum(-1)) * fps
    return float((v * (planted[1:] & planted[:-1])).max(initial=0.0))


def bend_deg(joints: np.ndarray, above: str, joint: str, below: str) -> np.ndarray:
    """Angle [T, A] between the two bones at a joint: 180 is straight."""
    a = joints[:, :, JOINT[above]] - joints[:, :, JOINT[joint]]
    b = joints[:, :, JOINT[below]] - joints[:, :, JOINT[joint]]
    cos = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.rad2deg(np.arccos(np.clip(cos, -1, 1)))


# Least angle at a joint, degrees: full flexion of an adult, and how far spine and neck fold.
_LIMITS: list[tuple[str, str, str, float]] = [
    *((f"{side}_hip", f"{side}_knee", f"{side}_ankle", 24.0) for side in ("left", "right")),
    *((f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", 24.0) for side in ("left", "right")),
    ("pelvis", "spine1", "spine2", 110.0),
    ("spine1", "spine2", "spine3", 110.0),
    ("spine3", "neck", "head", 85.0),
]


def faults(joints: np.ndarray, planted: np.ndarray, fps: float) -> list[tuple[str, float, float]]:
    """(name, value, limit) of every rule that the clip breaks."""
    found = [
        ("bone_length_m", float(np.ptp(bone_lengths(joints), axis=0).max()), 1e-9),
        ("below_ground_m", float(-joints[..., 1].min()), 0.01),
        ("stance_slide_m_s", stance_slide(joints, planted, fps), 0.01),
        ("speed_m_s", float(np.abs(np.diff(joints, axis=0)).max()) * fps, 16.0),
        ("acceleration_m_s2", float(np.abs(np.diff(joints, 2, axis=0)).max()) * fps**2, 400.0),
        ("flexion_deg", max(least - float(bend_deg(joints, a, j, b).min()) for a, j, b, least in _LIMITS), 0.0),
    ]
    return [row for row in found if not row[1] <= row[2]]
