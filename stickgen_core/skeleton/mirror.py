"""Mirroring, defined on joints: x becomes −x and the sides change names, so that a left hand's wave is a right hand's wave."""

import numpy as np

from stickgen_core.skeleton.body import MIRROR


def mirror_joints(joints: np.ndarray) -> np.ndarray:
    """[..., 22, 3] -> [..., 22, 3]; sticks, physics and camera are derived again from the result."""
    mirrored = joints[..., MIRROR, :].copy()
    mirrored[..., 0] *= -1
    return mirrored
