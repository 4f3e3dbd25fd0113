"""A body seen in its own axes, and how often and how long a signal of it rises."""

import numpy as np

from stickgen_core.skeleton.body import JOINT


def heading(joints: np.ndarray) -> np.ndarray:
    """[T, 22, 3] -> [T] unwrapped angle of the way the hips face; 0 is +Z, positive is to the left."""
    across = joints[:, JOINT["left_hip"]] - joints[:, JOINT["right_hip"]]
    return np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))


def own_frame(joints: np.ndarray) -> np.ndarray:
    """[T, 22, 3] with the pelvis' place and the first frame's heading taken away; heights stay."""
    a = heading(joints)[0]
    d = joints - joints[:1, :1] * np.array([1.0, 0.0, 1.0])
    x = np.cos(a) * d[..., 0] - np.sin(a) * d[..., 2]
    z = np.sin(a) * d[..., 0] + np.cos(a) * d[..., 2]
    return np.stack([x, d[..., 1], z], -1)


def moving_frame(joints: np.ndarray) -> np.ndarray:
    """[T, 22, 3] with every frame's own pelvis place and heading taken away, for moves that travel or turn; heights stay."""
    a = heading(joints)[:, None]
    d = joints - joints[:, :1] * np.array([1.0, 0.0, 1.0])
    return np.stack([np.cos(a) * d[..., 0] - np.sin(a) * d[..., 2], d[..., 1], np.sin(a) * d[..., 0] + np.cos(a) * d[..., 2]], -1)


def along_way(x: np.ndarray) -> np.ndarray:
    """[T, D] -> [T]: how far a signal goes from its first value towards where it is farthest from it; never below 0."""
    d = x - x[:1]
    far = d[(d * d).sum(1).argmax()]
    return np.maximum(d @ far / max(float(np.sqrt(far @ far)), 1e-9), 0.0)


def chest_axes(joints: np.ndarray) -> np.ndarray:
    """[T, 22, 3] -> [T, 3, 3]: unit vectors to the left, up and forward of the chest."""
    across = joints[:, JOINT["left_collar"]] - joints[:, JOINT["right_collar"]]
    across = across / np.sqrt((across * across).sum(-1, keepdims=True))
    up = joints[:, JOINT["neck"]] - joints[:, JOINT["spine2"]]
    up = up - (up * across).sum(-1, keepdims=True) * across
    up = up / np.sqrt((up * up).sum(-1, keepdims=True))
    return np.stack([across, up, np.cross(across, up)], -2)


def rises(signal: np.ndarray, high: float = 0.55, low: float = 0.40) -> np.ndarray:
    """Frames at which a signal goes above `high` of its maximum, having been below `low` of it since the last time."""
    top = signal.max()
    found, armed = [], True
    for frame, value in enumerate(signal / max(top, 1e-9)):
        if armed and value > high:
            found.append(frame)
            armed = False
        elif value < low:
            armed = True
    return np.array(found)


def dwell(signal: np.ndarray) -> float:
    """Frames, with fractions, that a signal is above half of its greatest value."""
    u = signal / max(float(signal.max()), 1e-9) - 0.5
    over = np.flatnonzero(u > 0)
    first, last = int(over[0]), int(over[-1])
    before = u[first] / (u[first] - u[first - 1]) if first > 0 else 0.0
    after = u[last] / (u[last] - u[last + 1]) if last + 1 < len(u) else 0.0
    return float(last - first + before + after)
