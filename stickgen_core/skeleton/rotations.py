"""Rotations as matrices, quaternions (wxyz), axis-angle, 6D and Euler angles: float64, vectorised over leading axes."""

from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike

# Below this angle or sine the closed forms divide by almost nothing and series or conventions take over.
TINY = 1e-8
_AXES = "XYZ"


def _f64(values: ArrayLike) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


def normalised(vectors: ArrayLike) -> np.ndarray:
    """Unit vectors along the last axis; a zero vector stays zero."""
    vectors = _f64(vectors)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def axis_angle_to_quaternion(vectors: ArrayLike) -> np.ndarray:
    """[..., 3] -> [..., 4]."""
    vectors = _f64(vectors)
    half = 0.5 * np.linalg.norm(vectors, axis=-1, keepdims=True)
    # np.sinc(x) = sin(pi x)/(pi x) is exact at 0.
    return np.concatenate([np.cos(half), 0.5 * np.sinc(half / np.pi) * vectors], axis=-1)


def quaternion_to_axis_angle(quaternions: ArrayLike) -> np.ndarray:
    """[..., 4] -> [..., 3], angle in [0, pi]; the quaternion need not be of unit length."""
    q = normalised(quaternions)
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[..., :1])
    return q[..., 1:] * np.where(sine > TINY, angle / np.where(sine > TINY, sine, 1.0), 2.0)


def quaternion_to_matrix(quaternions: ArrayLike) -> np.ndarray:
    """[..., 4] -> [..., 3, 3]."""
    w, x, y, z = np.moveaxis(normalised(quaternions), -1, 0)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, axis=-1).reshape(*w.shape, 3, 3)


def matrix_to_quaternion(matrices: ArrayLike) -> np.ndarray:
    """[..., 3, 3] -> [..., 4] with w >= 0, from whichever of the four components is largest (Shepperd)."""
    m = _f64(matrices)
    d0, d1, d2 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    candidates = np.stack(
        [
            np.stack([1 + d0 + d1 + d2, a, b, c], axis=-1),
            np.stack([a, 1 + d0 - d1 - d2, d, e], axis=-1),
            np.stack([b, d, 1 - d0 + d1 - d2, f], axis=-1),
            np.stack([c, e, f, 1 - d0 - d1 + d2], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.diagonal(candidates, axis1=-2, axis2=-1), axis=-1)
    q = normalised(np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :])
    return np.where(q[..., :1] < 0, -q, q)


def axis_angle_to_matrix(vectors: ArrayLike) -> np.ndarray:
    """[..., 3] -> [..., 3, 3] (Rodrigues)."""
    return quaternion_to_matrix(axis_angle_to_quaternion(vectors))


def matrix_to_axis_angle(matrices: ArrayLike) -> np.ndarray:
    """[..., 3, 3] -> [..., 3]."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrices))


def matrix_to_6d(matrices: ArrayLike) -> np.ndarray:
    """[..., 3, 3] -> [..., 6]: the first column, then the second (the order that HumanML3D stores)."""
    m = _f64(matrices)
    return np.concatenate([m[..., :, 0], m[..., :, 1]], axis=-1)


def matrix_from_6d(values: ArrayLike) -> np.ndarray:
    """[..., 6] -> [..., 3, 3] by Gram-Schmidt; any two independent columns give a proper rotation."""
    values = _f64(values)
    first = normalised(values[..., :3])
    along = np.sum(first * values[..., 3:], axis=-1, keepdims=True)
    second = normalised(values[..., 3:] - along * first)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def quaternion_multiply(left: ArrayLike, right: ArrayLike) -> np.ndarray:
    """Hamilton product [..., 4]: apply `right` first, then `left`."""
    left, right = np.broadcast_arrays(_f64(left), _f64(right))
    w = left[..., :1] * right[..., :1] - np.sum(left[..., 1:] * right[..., 1:], axis=-1, keepdims=True)
    v = left[..., :1] * right[..., 1:] + right[..., :1] * left[..., 1:] + np.cross(left[..., 1:], right[..., 1:])
    return np.concatenate([w, v], axis=-1)


def slerp(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> np.ndarray:
    """Quaternions along the shorter arc: [..., 4], [..., 4], [...] in [0, 1] -> [..., 4]."""
    start, end = np.broadcast_arrays(normalised(start), normalised(end))
    t = _f64(fraction)[..., None]
    cosine = np.sum(start * end, axis=-1, keepdims=True)
    end = np.where(cosine < 0, -end, end)
    angle = np.arctan2(np.linalg.norm(end - start, axis=-1, keepdims=True), np.linalg.norm(end + start, axis=-1, keepdims=True)) * 2
    sine = np.sin(angle)
    apart = sine > TINY
    safe = np.where(apart, sine, 1.0)
    first = np.where(apart, np.sin((1 - t) * angle) / safe, 1 - t)
    second = np.where(apart, np.sin(t * angle) / safe, t)
    return normalised(first * start + second * end)


def rotation_about(axis: str, angle_rad: ArrayLike) -> np.ndarray:
    """[...] -> [..., 3, 3] about "X", "Y" or "Z"."""
    angle = _f64(angle_rad)
    i = _AXES.index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    m = np.zeros((*angle.shape, 3, 3))
    m[..., i, i] = 1.0
    m[..., j, j] = m[..., k, k] = np.cos(angle)
    m[..., k, j] = np.sin(angle)
    m[..., j, k] = -m[..., k, j]
    return m


def _axes_of(order: str) -> tuple[int, int, int]:
    axes = tuple(_AXES.find(letter) for letter in order)
    if len(axes) != 3 or min(axes) < 0 or axes[0] == axes[1] or axes[1] == axes[2]:
        raise ValueError(f"Euler order {order!r}: expected three of X, Y, Z with neighbours that differ, such as ZXY")
    return axes


def euler_to_matrix(angles_rad: ArrayLike, order: str) -> np.ndarray:
    """[..., 3] in the order's sequence -> [..., 3, 3] = R(first) R(second) R(third): a BVH joint's channels as they are written."""
    angles = _f64(angles_rad)
    _axes_of(order)
    first, second, third = (rotation_about(letter, angles[..., n]) for n, letter in enumerate(order))
    return first @ second @ third


def matrix_to_euler(matrices: ArrayLike, order: str) -> np.ndarray:
    """[..., 3, 3] -> [..., 3] for any of the twelve orders; where two axes line up the third angle is 0."""
    m = _f64(matrices)
    i, j, k = _axes_of(order)
    proper = i == k
    if proper:
        k = 3 - i - j
    sign = 1.0 if (i, j, k) in ((0, 1, 2), (1, 2, 0), (2, 0, 1)) else -1.0
    if proper:
        sine = np.hypot(m[..., i, j], m[..., i, k])
        second = np.arctan2(sine, m[..., i, i])
        free = sine > TINY
        first = np.arctan2(m[..., j, i], -sign * m[..., k, i])
        third = np.arctan2(m[..., i, j], sign * m[..., i, k])
    else:
        cosine = np.hypot(m[..., i, i], m[..., i, j])
        second = np.arctan2(sign * m[..., i, k], cosine)
        free = cosine > TINY
        first = np.arctan2(-sign * m[..., j, k], m[..., k, k])
        third = np.arctan2(-sign * m[..., i, j], m[..., i, i])
    aligned = np.arctan2(sign * m[..., k, j], m[..., j, j])
    return np.stack([np.where(free, first, aligned), second, np.where(free, third, 0.0)], axis=-1)


EULER_ORDERS: tuple[str, ...] = tuple("".join(p) for p in permutations(_AXES)) + tuple(a + b + a for a in _AXES for b in _AXES if a != b)
