"""Cameras: one view a frame, orthographic or perspective, and the framing that never lets a figure leave the picture."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.rendering.figure import Figure


@dataclass(frozen=True)
class View:
    """T cameras that look at `centre` [T, 3] from azimuth and elevation [T] (radians); `height_m` [T] is visible at the centre.

    fov_rad   vertical field of view; 0 is orthographic
    """

    azimuth: np.ndarray
    elevation: np.ndarray
    centre: np.ndarray
    height_m: np.ndarray
    fov_rad: float

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """right, up and toward the viewer, each [T, 3]."""
        return camera_axes(self.azimuth, self.elevation)

    def distance(self) -> np.ndarray:
        """[T] metres from the eye to the centre (infinite for an orthographic camera)."""
        return self.height_m / (2 * np.tan(self.fov_rad / 2)) if self.fov_rad else np.full_like(self.height_m, np.inf)

    def look(self, points: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[T, N, 3] -> pixels [T, N, 2] (y down), depth [T, N] (larger is nearer), pixels a metre [T, N]."""
        width, height = size
        right, up, toward = self.axes()
        relative = points - self.centre[:, None]
        x, y, depth = (np.einsum("tnc,tc->tn", relative, axis) for axis in (right, up, toward))
        scale = np.broadcast_to((height / self.height_m)[:, None], depth.shape)
        if self.fov_rad:
            away = self.distance()[:, None]
            scale = scale * away / np.maximum(away - depth, 0.1 * away)
        return np.stack([width / 2 + x * scale, height / 2 - y * scale], axis=-1), depth, scale


def camera_axes(azimuth: np.ndarray, elevation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """right, up, toward [T, 3]; at azimuth 0 the viewer stands at +Z and sees +X to the right."""
    ca, sa, ce, se = np.cos(azimuth), np.sin(azimuth), np.cos(elevation), np.sin(elevation)
    right = np.stack([ca, np.zeros_like(ca), sa], axis=-1)
    toward = np.stack([-sa * ce, se, ca * ce], axis=-1)
    return right, np.cross(toward, right), toward


def track_view(camera: np.ndarray) -> View:
    """The clip's own camera [T, 3]: centre x, y in the stick plane and zoom = 2 m / visible height."""
    camera = np.asarray(camera, dtype=np.float64)
    zeros = np.zeros(len(camera))
    centre = np.stack([camera[:, 0], camera[:, 1], zeros], axis=-1)
    return View(zeros, zeros, centre, 2.0 / np.maximum(camera[:, 2], 1e-3), 0.0)


def framed(
    figure: Figure, size: tuple[int, int], azimuth: np.ndarray | float, elevation: np.ndarray | float, *, fov_rad: float, margin: float,
    smallest_figure: float, follow_frames: float, room_m: float = 0.15,
) -> View:  # fmt: skip
    """A still camera if the whole clip then shows its figures large enough, else one that follows them smoothly.

    Either way every point of every present person is inside the frame, `margin` from its border; `room_m` is added for hands and strokes.
    """
    frames = len(figure.points)
    azimuth, elevation = (np.broadcast_to(np.asarray(angle, dtype=np.float64), (frames,)).copy() for angle in (azimuth, elevation))
    low, high = _extent(figure, azimuth, elevation, room_m)
    clip_low, clip_high = low.min(0), high.max(0)
    tall = np.median(high[:, 1] - low[:, 1])
    whole = _height_for(clip_high - clip_low, size, margin) + _drawn_back(clip_high - clip_low, fov_rad)
    if tall / whole >= smallest_figure:
        middle = np.broadcast_to((clip_low + clip_high) / 2, low.shape)
        half = np.broadcast_to((clip_high - clip_low) / 2, low.shape)
    else:
        middle = _smooth((low + high) / 2, follow_frames)
        reach = np.maximum(high - middle, middle - low)
        half = np.broadcast_to(reach.max(0), reach.shape)
    right, up, toward = camera_axes(azimuth, elevation)
    centre = middle[:, :1] * right + middle[:, 1:2] * up + middle[:, 2:] * toward
    height = _height_for(2 * half[0], size, margin) + _drawn_back(2 * half[0], fov_rad)
    return View(azimuth, elevation, centre, np.full(frames, height), fov_rad)


def _extent(figure: Figure, azimuth: np.ndarray, elevation: np.ndarray, room_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Bounds [T, 3] of the present people along right, up and toward; frames without anyone take their neighbours'."""
    axes = np.stack(camera_axes(azimuth, elevation), axis=-1)
    seen = np.einsum("tapc,tcd->tapd", figure.points, axes)
    there = figure.present[:, :, None, None]
    low = np.where(there, seen, np.inf).min(axis=(1, 2)) - room_m
    high = np.where(there, seen, -np.inf).max(axis=(1, 2)) + room_m
    empty = ~figure.present.any(1)
    if empty.all():
        return np.full_like(low, -1.0), np.full_like(high, 1.0)
    if empty.any():
        frames = np.arange(len(low))
        nearest = frames[~empty][np.abs(frames[:, None] - frames[~empty][None]).argmin(1)]
        low, high = low[nearest], high[nearest]
    return low, high


def _height_for(extent: np.ndarray, size: tuple[int, int], margin: float) -> float:
    width, height = size
    return float(max(extent[1], extent[0] * height / width, 0.5) / (1 - 2 * margin))


def _drawn_back(extent: np.ndarray, fov_rad: float) -> float:
    """What the visible height at the centre must grow by so that the nearest face of the box, magnified most, still fits."""
    return float(extent[2] * np.tan(fov_rad / 2))


def _smooth(values: np.ndarray, frames: float) -> np.ndarray:
    """Gaussian average over time with mirrored ends."""
    reach = min(int(3 * frames), len(values) - 1)
    if reach < 1:
        return values
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="reflect")
    return np.stack([np.convolve(padded[:, c], kernel / kernel.sum(), mode="valid") for c in range(values.shape[1])], axis=-1)
