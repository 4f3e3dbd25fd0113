"""From scenes to frames: which view, which size, side by side or in a grid, with captions. Frames are streamed, never all in memory."""

from collections.abc import Iterator, Sequence

import numpy as np

from stickgen_core.rendering.camera import View, framed, track_view
from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.figure import figure_of
from stickgen_core.rendering.lettering import caption_bar
from stickgen_core.rendering.raster import rasterise
from stickgen_core.rendering.scene import Scene
from stickgen_core.rendering.strokes import Strokes, strokes_of
from stickgen_core.rendering.styles import STYLES
from stickgen_core.skeleton import SkeletonConfig

Size = tuple[int, int]


def scene_strokes(
    scene: Scene, config: RenderingConfig, size: Size | None = None, *, three_d: bool = False, style: str | None = None,
    azimuth_deg: float | np.ndarray | None = None, use_camera: bool = False, ground: bool = True, skeleton: SkeletonConfig | None = None,
) -> Strokes:  # fmt: skip
    """The strokes of all frames. In the stick plane the view is orthographic; in space it is perspective and may orbit (azimuth [T])."""
    size = size or (config.width_px, config.height_px)
    figure = figure_of(scene, three_d, skeleton)
    if figure.flat and use_camera and scene.camera is not None:
        view: View = track_view(scene.camera)
    else:
        azimuth = config.azimuth_deg if azimuth_deg is None else azimuth_deg
        view = framed(
            figure, size, 0.0 if figure.flat else np.deg2rad(azimuth), 0.0 if figure.flat else np.deg2rad(config.elevation_deg),
            fov_rad=0.0 if figure.flat else float(np.deg2rad(config.fov_deg)), margin=config.margin,
            smallest_figure=config.smallest_figure, follow_frames=config.follow_s * scene.fps,
        )  # fmt: skip
    return strokes_of(scene, figure, view, size, STYLES[style or config.style], config, ground)


def frames_of(
    scene: Scene, config: RenderingConfig, size: Size | None = None, *, three_d: bool = False, style: str | None = None,
    azimuth_deg: float | np.ndarray | None = None, use_camera: bool = False, caption: bool = True,
) -> Iterator[np.ndarray]:  # fmt: skip
    """[H, W, 3] uint8 a frame; with a caption its bar takes the bottom of the frame."""
    width, height = size or (config.width_px, config.height_px)
    look = STYLES[style or config.style]
    bar_px = config.video.caption_px if caption and scene.captions else 0
    strokes = scene_strokes(
        scene, config, (width, height - bar_px), three_d=three_d, style=style, azimuth_deg=azimuth_deg, use_camera=use_camera
    )
    for number, picture in enumerate(rasterise(strokes, look)):
        if bar_px:
            text = scene.caption_at(number / scene.fps)
            bar = caption_bar(text, width, bar_px, config.video.caption_font_px, look.caption, look.background)
            picture = np.concatenate([picture, bar])
        yield picture


def side_by_side(scenes: Sequence[Scene], config: RenderingConfig, size: Size | None = None, **options: object) -> Iterator[np.ndarray]:
    """The scenes at the same time, left to right in the wide frame; a shorter one holds its last frame."""
    width, height = size or (config.wide_px, config.height_px)
    each = width // len(scenes) // 2 * 2
    streams = [frames_of(scene, config, (each, height), **options) for scene in scenes]  # type: ignore[arg-type]
    shown: list[np.ndarray] = []
    for _ in range(max(scene.frames for scene in scenes)):
        fresh = [next(stream, None) for stream in streams]
        shown = [new if new is not None else shown[n] for n, new in enumerate(fresh)]
        row = np.concatenate(shown, axis=1)
        if row.shape[1] < width:
            edge = np.broadcast_to(row[:, -1:], (height, width - row.shape[1], 3))
            row = np.concatenate([row, edge], axis=1)
        yield row


def still(scene: Scene, config: RenderingConfig, frame: int, size: Size | None = None, **options: object) -> np.ndarray:
    """One frame of a scene."""
    for number, picture in enumerate(frames_of(scene, config, size, **options)):  # type: ignore[arg-type]
        if number == frame:
            return picture
    raise IndexError(f"{scene.id}: frame {frame} of {scene.frames}")


def strip(scene: Scene, config: RenderingConfig, size: Size, moments: int, **options: object) -> np.ndarray:
    """[H, W, 3]: moments of a clip from left to right, its caption below."""
    width, height = size
    look, bar_px = STYLES[str(options.get("style") or config.style)], config.video.caption_px
    wanted = np.linspace(0, scene.frames - 1, moments).round().astype(int)
    each = width // moments
    chosen: dict[int, np.ndarray] = {}
    options = {**options, "caption": False}
    for number, picture in enumerate(frames_of(scene, config, (each, height - bar_px), **options)):  # type: ignore[arg-type]
        if number in wanted:
            chosen[number] = picture
    row = np.concatenate([chosen[int(n)] for n in wanted], axis=1)
    text = " · ".join(dict.fromkeys(c.text for c in scene.captions)) or scene.id
    bar = caption_bar(text, row.shape[1], bar_px, config.video.caption_font_px, look.caption, look.background)
    tile = np.concatenate([row, bar])
    return np.pad(tile, ((0, 0), (0, width - tile.shape[1]), (0, 0)), mode="edge")


def contact_sheet(
    scenes: Sequence[Scene], config: RenderingConfig, *, columns: int = 2, moments: int = 5, tile: Size | None = None, **options: object
) -> np.ndarray:
    """A grid of clips for people to look over: each a strip of moments with its caption. [H, W, 3] uint8."""
    width, height = tile or (config.width_px, config.height_px // 2)
    look = STYLES[str(options.get("style") or config.style)]
    rows = -(-len(scenes) // columns)
    gap = 6
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), look.ground, np.uint8)
    for number, scene in enumerate(scenes):
        top, left = gap + number // columns * (height + gap), gap + number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = strip(scene, config, (width, height), moments, **options)
    return sheet
