"""The canonical body: the 22 SMPL body joints, their tree and their sides."""

import numpy as np

JOINT_NAMES: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle", "spine3",
    "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
PARENTS: tuple[int, ...] = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
JOINT_COUNT = len(JOINT_NAMES)
JOINT: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}


def _mirrored(name: str) -> str:
    side, _, rest = name.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)


# Index of the joint on the other side; a joint on the midline is its own partner.
MIRROR: np.ndarray = np.array([JOINT[_mirrored(name)] for name in JOINT_NAMES])
