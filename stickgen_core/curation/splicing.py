"""Two captured motions of one body joined where their poses match; what differs at the join fades away."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.canonical.space import heading
from stickgen_core.skeleton.body import PARENTS

_CHILDREN = np.arange(1, len(PARENTS))
_PARENTS = np.array(PARENTS[1:])
_HEADING_MIN_SHARE = 0.2


@dataclass(frozen=True)
class Join:
    """The first motion is left before frame `leave`, the second entered at frame `enter`; how far apart they are there."""

    leave: int
    enter: int
    pose_m: float
    velocity_m_s: float


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """[T, A, 22, 3] -> [21] mean lengths of the first person's bones, metres."""
    body = joints[:, 0].astype(np.float64)
    return np.linalg.norm(body[:, _CHILDREN] - body[:, _PARENTS], axis=-1).mean(0)


def local_frames(body: np.ndarray, frames: range, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Poses and velocities [n, 22, 3] of frames, each over the origin and facing +Z, heights kept: body [T, 22, 3]."""
    valid = np.ones(len(body), bool)
    velocity = np.gradient(body, axis=0) * fps
    poses, moving = [], []
    for frame in frames:
        yaw = heading(body, frame, valid, _HEADING_MIN_SHARE)
        poses.append(_turned(body[frame] - body[frame, 0] * np.array([1.0, 0.0, 1.0]), -yaw))
        moving.append(_turned(velocity[frame], -yaw))
    return np.stack(poses), np.stack(moving)


def _turned(points: np.ndarray, yaw: float) -> np.ndarray:
    """[..., 3] turned about the vertical by yaw (0 faces +Z, positive to the left, +X)."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([cos * x + sin * z, y, -sin * x + cos * z], -1)


def best_join(first: np.ndarray, second: np.ndarray, seek: int, fps: float) -> Join:
    """The pair of frames, near the end of `first` and the start of `second` [T, 22, 3], whose poses and velocities differ least.

    A velocity counts as the way that is gone in a tenth of a second.
    """
    leaving = range(max(len(first) - seek, 2), len(first) - 1)
    entering = range(1, min(seek, len(second) - 2))
    poses, moving = local_frames(first, leaving, fps)
    others, going = local_frames(second, entering, fps)
    apart = np.linalg.norm(poses[:, None] - others[None], axis=-1).mean(-1)
    speed = np.linalg.norm(moving[:, None] - going[None], axis=-1).mean(-1)
    a, b = np.unravel_index(int(np.argmin(apart + 0.1 * speed)), apart.shape)
    return Join(leaving[int(a)], entering[int(b)], float(apart[a, b]), float(speed[a, b]))


def joined(first: np.ndarray, second: np.ndarray, join: Join, blend: int) -> np.ndarray:
    """[T1, 22, 3], [T2, 22, 3] -> [leave + T2 − enter, 22, 3]: `second` carried to where `first` is left, bones of `first` throughout."""
    valid = np.ones(len(first), bool)
    yaw = heading(first, join.leave, valid, _HEADING_MIN_SHARE) - heading(
        second, join.enter, np.ones(len(second), bool), _HEADING_MIN_SHARE
    )
    rest = _turned(second[join.enter :] - second[join.enter, 0] * np.array([1.0, 0.0, 1.0]), yaw)
    rest = rest + first[join.leave, 0] * np.array([1.0, 0.0, 1.0])
    s = np.clip(np.arange(len(rest)) / max(blend, 1), 0.0, 1.0)[:, None, None]
    fade = 1.0 - s**3 * (10.0 - 15.0 * s + 6.0 * s * s)
    rest = rest + fade * (first[join.leave] - rest[0])
    return np.concatenate([first[: join.leave], with_bones(rest, bone_lengths(first[:, None]))])


def with_bones(body: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """[T, 22, 3] with every bone at its length [21], directions kept, from the pelvis outwards."""
    out = body.copy()
    for child, parent, length in zip(_CHILDREN, _PARENTS, lengths, strict=True):
        bone = body[:, child] - body[:, parent]
        out[:, child] = out[:, parent] + bone * (length / np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9))
    return out
