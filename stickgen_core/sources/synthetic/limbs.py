"""Rotations and two-bone limbs on planes: coordinates first, elementwise, so that no library's summation order matters."""

import numpy as np

# Longest reach of a limb as a share of its length: short of straight, where the bend would jump.
REACH = 0.995
# Shortest reach: an elbow or knee does not close further (about 25 degrees between the bones).
FOLD = 0.24


def rotation(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray | float) -> np.ndarray:
    """[3, 3, ...] = Ry(yaw) Rx(pitch) Rz(roll): heading first, then leaning forward, then to the side."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    out = np.empty((3, 3, *np.shape(yaw)))
    out[0, 0] = cy * cr + sy * sp * sr
    out[0, 1] = -cy * sr + sy * sp * cr
    out[0, 2] = sy * cp
    out[1, 0] = cp * sr
    out[1, 1] = cp * cr
    out[1, 2] = -sp
    out[2, 0] = -sy * cr + cy * sp * sr
    out[2, 1] = sy * sr + cy * sp * cr
    out[2, 2] = cy * cp
    return out


def turn(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """[3, 3, ...] applied to [3] or [3, ...] -> [3, ...]."""
    return matrix[:, 0] * vector[0] + matrix[:, 1] * vector[1] + matrix[:, 2] * vector[2]


def times(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product of rotations [3, 3, T]."""
    return left[:, 0, None] * right[0] + left[:, 1, None] * right[1] + left[:, 2, None] * right[2]


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[3, ...] x [3, ...] -> [...]."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def soft_cap(value: np.ndarray, limit: float, knee: float) -> np.ndarray:
    """`value` below limit - knee, smoothly approaching `limit` above it (continuous to the second derivative)."""
    over = np.maximum(value - (limit - knee), 0.0) / knee
    return np.where(over > 0, limit - knee + knee * np.tanh(over), value)


def soft_floor(value: np.ndarray, knee: float) -> np.ndarray:
    """max(value, 0), smoothed: never below 0, within knee/2 of the value above it."""
    return 0.5 * (value + np.sqrt(value * value + knee * knee))


def spread_down(value: np.ndarray, frames: int) -> np.ndarray:
    """[T] -> [T], never less than `value`, without its corners: the largest within `frames`, then a smooth mean as wide."""
    if frames < 1 or len(value) < 2:
        return value
    padded = np.concatenate([np.full(2 * frames, value[0]), value, np.full(2 * frames, value[-1])])
    width = len(value) + 2 * frames
    largest = padded[:width]
    for n in range(1, 2 * frames + 1):
        largest = np.maximum(largest, padded[n : n + width])
    kernel = np.hanning(2 * frames + 3)[1:-1]
    kernel /= kernel.sum()
    out = kernel[0] * largest[: len(value)]
    for n in range(1, 2 * frames + 1):
        out = out + kernel[n] * largest[n : n + len(value)]
    return np.maximum(out, value)


def reach(start: np.ndarray, target: np.ndarray, first: float, second: float, pole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two bones from `start` towards `target`, bending towards `pole`: [3, ...] each -> middle joint, end joint.

    Both lengths hold to rounding, because each joint is placed at its length along a unit direction.
    """
    length = first + second
    line = target - start
    distance = np.sqrt(dot(line, line) + 1e-12)
    direction = line / distance
    d = soft_cap(distance, REACH * length, 0.006 * length)
    d = FOLD * length + soft_floor(d - FOLD * length, 0.02 * length)
    d = np.minimum(d, REACH * length)
    side = pole - dot(pole, direction) * direction
    side = side / np.sqrt(dot(side, side) + 1e-12)
    along = (first * first + d * d - second * second) / (2.0 * d)
    out = np.sqrt(np.maximum(first * first - along * along, 0.0))
    bone = along * direction + out * side
    middle = start + bone * (first / np.sqrt(dot(bone, bone)))
    bone = start + d * direction - middle
    return middle, middle + bone * (second / np.sqrt(dot(bone, bone)))
