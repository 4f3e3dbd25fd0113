"""A picture as a condition: its bytes within bounds, and the camera it was taken with, for checkpoints that were trained on views."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.generation.config import GenerationConfig
from stickgen_core.rendering.packages import needed
from stickgen_core.rendering.parallax import METADATA
from stickgen_core.training.images import VIEWPOINT_WIDTH, picture_pixels, viewpoint_of


@dataclass(frozen=True)
class Picture:
    """data      an encoded picture
    viewpoint    position and look-at target in metres, vertical field of view in degrees; None means the configured one
    """

    data: bytes
    viewpoint: tuple[float, ...] | None = None


def picture_from(path: Path) -> Picture:
    """A file; beside parallax metadata that names it, with the camera recorded there."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingInput(f"{path}: {error.strerror or error}") from None
    return Picture(data, _recorded_viewpoint(path))


def _recorded_viewpoint(path: Path) -> tuple[float, ...] | None:
    beside = path.with_name(METADATA)
    if not beside.exists():
        return None
    try:
        frames = json.loads(beside.read_text(encoding="utf-8"))["frames"]
        camera = next((frame["camera"] for frame in frames if frame["file"] == path.name), None)
        return None if camera is None else (*camera["position_m"], *camera["target_m"], camera["fov_deg"])
    except (ValueError, KeyError, TypeError) as error:
        raise StickgenError(f"{beside}: not parallax metadata ({error!r})") from None


def condition_of(picture: Picture, size: tuple[int, int], config: GenerationConfig) -> tuple[np.ndarray, np.ndarray]:
    """(image [3,H,W] in -1..1 as training sees it, viewpoint [7])."""
    Image = needed("PIL.Image")
    if len(picture.data) > config.max_image_kb * 1000:
        raise StickgenError(
            f"image: expected at most {config.max_image_kb} kB (generation.max_image_kb), found {len(picture.data) // 1000}"
        )
    try:
        with Image.open(io.BytesIO(picture.data)) as opened:
            if opened.width * opened.height > config.max_image_px**2:
                raise StickgenError(
                    f"image: expected at most {config.max_image_px}x{config.max_image_px} pixels (generation.max_image_px), "
                    f"found {opened.width}x{opened.height}"
                )
            pixels = picture_pixels(opened, size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise StickgenError("image: not a readable picture; expected PNG or JPEG") from None
    return pixels, _viewpoint(picture.viewpoint if picture.viewpoint is not None else config.image_viewpoint)


def _viewpoint(values: Any) -> np.ndarray:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (VIEWPOINT_WIDTH,) or not np.isfinite(numbers).all() or not 0 < numbers[-1] < 180:
        raise StickgenError(f"viewpoint: expected {VIEWPOINT_WIDTH} numbers (position, target in metres, field of view in degrees)")
    return np.asarray(viewpoint_of(numbers[:3], numbers[3:6], float(numbers[6])), np.float32)
