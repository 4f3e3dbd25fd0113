"""Strokes to pixels: every capsule is one antialiased convex polygon with 1/16 pixel corners, drawn by OpenCV.

Chosen by measurement against Pillow with 2x supersampling (bench/rendering.py prints both).
"""

from collections.abc import Iterator

import numpy as np

from stickgen_core.rendering.packages import needed
from stickgen_core.rendering.strokes import Strokes
from stickgen_core.rendering.styles import RGB, Style

# Corners of a stroke's round end, and fractional bits of a pixel coordinate.
CORNERS, SHIFT = 9, 4
# Frames whose outlines are computed together: bounds memory, keeps the arithmetic in large arrays.
CHUNK = 64


def outlines(ends: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Capsules [T, N, 2, 2] with end widths [T, N, 2] -> closed polygons [T, N, 2*CORNERS, 2] in pixels."""
    along = ends[:, :, 1] - ends[:, :, 0]
    heading = np.arctan2(along[..., 1], along[..., 0])[..., None]
    half = np.linspace(np.pi / 2, 3 * np.pi / 2, CORNERS)
    corners = []
    for end, arc in ((0, half), (1, half + np.pi)):
        angle = heading + arc
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        corners.append(ends[:, :, end, None] + 0.5 * widths[:, :, end, None, None] * ring)
    return np.concatenate(corners, axis=2)


def rasterise(strokes: Strokes, style: Style, transparent: bool = False) -> Iterator[np.ndarray]:
    """One uint8 picture a frame: [H, W, 3] RGB, or [H, W, 4] RGBA on nothing. The array is a new one each time."""
    cv2 = needed("cv2")
    cv2.setNumThreads(1)
    width, height = strokes.size
    colours = [tuple(int(c) for c in colour) + ((255,) if transparent else ()) for colour in strokes.colours]
    blank = np.zeros((height, width, 4), np.uint8) if transparent else np.full((height, width, 3), style.background, np.uint8)
    limit = 8 * max(width, height)
    for first in range(0, strokes.frames, CHUNK):
        chunk = slice(first, first + CHUNK)
        corners = outlines(np.clip(strokes.ends[chunk], -limit, limit), strokes.widths[chunk])
        corners = np.round((corners - 0.5) * (1 << SHIFT)).astype(np.int32)
        for polygons, order, visible in zip(corners, strokes.order[chunk], strokes.visible[chunk], strict=True):
            picture = blank.copy()
            for n in order[visible[order]]:
                cv2.fillConvexPoly(picture, polygons[n], colours[n], cv2.LINE_AA, SHIFT)
            if style.glow:
                picture = _glowing(picture, style.background)
            yield _straight_alpha(picture) if transparent else picture


def _glowing(picture: np.ndarray, background: RGB) -> np.ndarray:
    """Light that spreads: a quarter-size blur added back."""
    cv2 = needed("cv2")
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(width // 4, 1), max(height // 4, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.subtract(small, np.full_like(small, (*background, 0)[: small.shape[2]]))
    halo = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3.0), (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.addWeighted(picture, 1.0, halo, 0.9, 0.0)


def _straight_alpha(picture: np.ndarray) -> np.ndarray:
    """Antialiased edges were mixed with transparent black; divide it out again, as PNG wants it."""
    cv2 = needed("cv2")
    edges = cv2.findNonZero(cv2.inRange(picture[..., 3], 1, 254))
    if edges is None:
        return picture
    columns, rows = edges.reshape(-1, 2).T
    edge = picture[rows, columns].astype(np.uint16)
    edge[:, :3] = np.minimum((edge[:, :3] * 255 + edge[:, 3:] // 2) // edge[:, 3:], 255)
    picture[rows, columns] = edge.astype(np.uint8)
    return picture
