"""Space of the canonical clip: proper rotations to Y up, ground, heading, re-centring. float64 throughout."""

import math
from typing import NamedTuple

import numpy as np

from stickgen_core.skeleton.body import JOINT
from stickgen_core.sources.registry import Axes

_HEAD, _PELVIS, _NECK = JOINT["head"], JOINT["pelvis"], JOINT["neck"]
_SIDES = [(JOINT[f"left_{part}"], JOINT[f"right_{part}"]) for part in ("hip", "shoulder")]
_FEET = [JOINT["left_foot"], JOINT["right_foot"]]


def to_y_up(joints: np.ndarray, axes: Axes) -> np.ndarray:
    """[..., 3] -> [..., 3]: (x, y, z) -> (x, z, -y) from Z up; determinant +1, so left stays left."""
    if axes == "y_up":
        return joints
    return np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], axis=-1)


def upright_frames(joints: np.ndarray, present: np.ndarray, axes: Axes) -> tuple[int, int]:
    """[T, A, 22, 3] in the source's axes, [T, A] -> (person-frames with the feet below the head, person-frames)."""
    height = joints[..., 1 if axes == "y_up" else 2]
    below = height[:, :, _FEET[0]] + height[:, :, _FEET[1]] < 2 * height[:, :, _HEAD]
    return int((below & present).sum()), int(present.sum())


def ground_height(joints: np.ndarray, present: np.ndarray, percentile: float) -> float:
    """Percentile over frames of the lowest joint of anybody present: [T, A, 22, 3], [T, A] -> metres."""
    # Joint after joint over all frames: 22 long passes instead of a short one for every frame.
    lowest = np.ascontiguousarray(np.moveaxis(joints[..., 1], -1, 0)).min(0)
    lowest = np.where(present, lowest, np.inf).min(-1)
    ordered = np.sort(lowest)
    ordered = ordered[: np.searchsorted(ordered, np.inf)]
    return float(np.interp(percentile / 100 * (len(ordered) - 1), np.arange(len(ordered)), ordered))


def heading(body: np.ndarray, frame: int, valid: np.ndarray, min_share: float) -> float:
    """Yaw (rad) that the body faces at a frame, 0 = +Z: [T, 22, 3], [T] bool.

    Forward is (left - right of hips plus shoulders), flattened, crossed with up. Where that line is steep (lying on a
    side, upside down) the nearest frame where it is not decides; where there is none, pelvis to neck, flattened.
    """
    # The frame itself nearly always serves: the others are looked at only where it does not.
    x, y, z = sum(body[frame, left] - body[frame, right] for left, right in _SIDES).tolist()
    if valid[frame] and _says_heading(x, y, z, min_share):
        return float(np.arctan2(-z, x))  # (x, 0, z) cross up = (-z, 0, x)
    across = sum(body[:, left] - body[:, right] for left, right in _SIDES)
    lines = zip(valid.tolist(), across.tolist(), strict=True)
    usable = np.flatnonzero([there and _says_heading(x, y, z, min_share) for there, (x, y, z) in lines])
    if usable.size:
        x, _, z = across[usable[np.argmin(np.abs(usable - frame))]]
        return float(np.arctan2(-z, x))
    spine = body[frame, _NECK] - body[frame, _PELVIS]
    return float(np.arctan2(spine[0], spine[2]))


def _says_heading(x: float, y: float, z: float, min_share: float) -> bool:
    """Whether a left-right line is flat enough to say where forward is."""
    flat = math.sqrt(x * x + z * z)
    return flat > 0 and flat >= min_share * math.sqrt(x * x + y * y + z * z)


class Placement(NamedTuple):
    """The transform that a clip was freed from."""

    origin_xz_m: tuple[float, float]
    yaw_rad: float


def placement_of(joints: np.ndarray, present: np.ndarray, min_share: float) -> Placement:
    """Where actor 0 stands and faces when it first appears: [T, A, 22, 3], [T, A]."""
    first = int(np.argmax(present[:, 0]))
    x, _, z = joints[first, 0, _PELVIS]
    return Placement((float(x), float(z)), heading(joints[:, 0], first, present[:, 0], min_share))


def placed_at_origin(joints: np.ndarray, placement: Placement) -> np.ndarray:
    """Remove a placement: actor 0 over the origin, facing +Z, left = +X; one transform for everybody."""
    cosine, sine = np.cos(placement.yaw_rad), np.sin(placement.yaw_rad)
    x, z = joints[..., 0] - placement.origin_xz_m[0], joints[..., 2] - placement.origin_xz_m[1]
    placed = np.empty_like(joints)
    placed[..., 1] = joints[..., 1]
    np.subtract(x * cosine, z * sine, out=placed[..., 0])
    np.add(x * sine, z * cosine, out=placed[..., 2])
    return placed
