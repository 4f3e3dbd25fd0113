"""The six physics numbers of a stick motion, one pure function for NumPy arrays and torch tensors alike.

vx, vy (m/s) and ax, ay (m/s²) of the pelvis, then momentum x, y per kg of body mass (m/s): the mass centre's velocity.
Central differences; at the ends one-sided of the same order, so a uniform motion has no false acceleration at its first frame.
Too short for that order: with three frames the one central second difference holds for all, with two the only
difference is the velocity of both and acceleration is 0, a single frame has neither.
"""

from typing import Any

import numpy as np

from stickgen_core.skeleton.sticks import StickLayout, layout_of_width

PHYSICS_NAMES: tuple[str, ...] = ("vx", "vy", "ax", "ay", "momentum_x", "momentum_y")


def physics(motion: Any, fps: float, layout: StickLayout | None = None) -> Any:
    """[T, W], [T, A, W] or [..., T, A, W] -> the same with 6 in place of W; time is the third axis from the end (first of two).

    Computed in the input's dtype, which is float64 wherever the result is stored.
    """
    layout = layout or layout_of_width(motion.shape[-1])
    axis = 0 if motion.ndim == 2 else motion.ndim - 3
    points = motion.reshape(*motion.shape[:-1], len(layout.points), 2)
    pelvis = _combine(points, layout.pelvis_weights)
    centre = _combine(points, layout.mass_weights)
    speeds = _velocity(_concatenate([pelvis, centre], -1), fps, axis)
    return _concatenate([speeds[..., :2], _acceleration(pelvis, fps, axis), speeds[..., 2:]], -1)


def physics_where_present(motion: np.ndarray, present: np.ndarray, fps: float, layout: StickLayout | None = None) -> np.ndarray:
    """[T, A, W], [T, A] -> [T, A, 6]: each unbroken stay of a person is differentiated by itself, absence is 0."""
    if present.all():
        return physics(motion, fps, layout)
    result = np.zeros((*motion.shape[:2], len(PHYSICS_NAMES)), dtype=motion.dtype)
    for actor in range(motion.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], present[:, actor].astype(np.int8), [0]])))
        for start, stop in edges.reshape(-1, 2):
            result[start:stop, actor] = physics(motion[start:stop, actor], fps, layout)
    return result


def _combine(points: Any, weights: np.ndarray) -> Any:
    """[..., P, 2] and [P] -> [..., 2] in the points' own library, dtype and device."""
    if isinstance(points, np.ndarray):
        if np.count_nonzero(weights) == 1 and weights.sum() == 1:
            return points[..., int(weights.argmax()), :] + 0.0  # the same as the sum, whose zeros have no sign
        return np.einsum("...pc,p->...c", points, weights.astype(points.dtype))
    return (points * points.new_tensor(weights.tolist())[:, None]).sum(-2)


def _cut(values: Any, axis: int, start: int, stop: int | None) -> Any:
    return values[(slice(None),) * axis + (slice(start, stop),)]


def _velocity(x: Any, fps: float, axis: int) -> Any:
    frames = x.shape[axis]
    if frames < 3:
        step = (_cut(x, axis, -1, None) - _cut(x, axis, 0, 1)) * fps
        return _concatenate([step] * frames, axis)

    def at(index: int) -> Any:
        return _cut(x, axis, index, index + 1 or None)

    first = (-3 * at(0) + 4 * at(1) - at(2)) * (fps / 2)
    last = (3 * at(-1) - 4 * at(-2) + at(-3)) * (fps / 2)
    inner = (_cut(x, axis, 2, None) - _cut(x, axis, 0, -2)) * (fps / 2)
    return _concatenate([first, inner, last], axis)


def _acceleration(x: Any, fps: float, axis: int) -> Any:
    frames = x.shape[axis]
    if frames < 3:
        return x * 0

    def at(index: int) -> Any:
        return _cut(x, axis, index, index + 1 or None)

    inner = (_cut(x, axis, 2, None) - 2 * _cut(x, axis, 1, -1) + _cut(x, axis, 0, -2)) * fps**2
    if frames == 3:
        return _concatenate([inner] * frames, axis)
    first = (2 * at(0) - 5 * at(1) + 4 * at(2) - at(3)) * fps**2
    last = (2 * at(-1) - 5 * at(-2) + 4 * at(-3) - at(-4)) * fps**2
    return _concatenate([first, inner, last], axis)


def _concatenate(parts: list[Any], axis: int) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis)
    import torch

    return torch.cat(parts, axis)
