"""What drawing costs on one core: rasterising, video, RGBA frames with PNG, `.motion` files; OpenCV against Pillow with supersampling.

    OMP_NUM_THREADS=1 python bench/rendering.py

Seconds are CPU seconds of this process, so a busy machine changes little. Targets: 300 frames/s rasterised at 640x480, 120 to a finished
MP4, 100 RGBA frames/s at 512x512 with PNG.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from stickgen_core.rendering import RenderingConfig, Scene, scene_of_motion
from stickgen_core.rendering.media import png_bytes, write_mp4
from stickgen_core.rendering.motionfile import motion_text
from stickgen_core.rendering.parallax import parallax_view
from stickgen_core.rendering.pictures import frames_of, scene_strokes
from stickgen_core.rendering.raster import rasterise
from stickgen_core.rendering.strokes import Strokes
from stickgen_core.rendering.styles import STYLES, Style
from stickgen_core.skeleton import stick_layout, sticks
from tests.core.rendering.rendering_people import FPS, clip, walker

FRAMES = 250


def rate(label: str, work: Callable[[], int], target: float | None = None, repeats: int = 3) -> None:
    """The best of some repeats: the others paid for a busy machine."""
    best = 0.0
    for _ in range(repeats):
        start = time.process_time()
        count = work()
        best = max(best, count / (time.process_time() - start))
    verdict = "" if target is None else f"   target {target:g}: {'met' if best >= target else 'MISSED'}"
    print(f"{label:<58}{best:9.0f} /s{verdict}")


def drained(frames: Iterator[np.ndarray]) -> int:
    return sum(1 for _ in frames)


def pillow_frames(strokes: Strokes, style: Style, factor: int) -> Iterator[np.ndarray]:
    """The same stroke list drawn by Pillow at a multiple of the size and reduced."""
    from PIL import Image, ImageDraw

    width, height = strokes.size
    for frame in range(strokes.frames):
        picture = Image.new("RGB", (width * factor, height * factor), style.background)
        draw = ImageDraw.Draw(picture)
        for n in strokes.order[frame]:
            if strokes.visible[frame, n]:
                (x0, y0), (x1, y1) = strokes.ends[frame, n] * factor
                half, colour = strokes.widths[frame, n].mean() * factor / 2, tuple(int(c) for c in strokes.colours[n])
                draw.line((x0, y0, x1, y1), fill=colour, width=max(1, round(2 * half)))
                for x, y in ((x0, y0), (x1, y1)):
                    draw.ellipse((x - half, y - half, x + half, y + half), fill=colour)
        yield np.asarray(picture.resize((width, height), Image.Resampling.BOX))


def parallax_pngs(config: RenderingConfig, views: int) -> int:
    made = clip(FRAMES)
    count = 0
    for view in range(views):
        for picture in parallax_view(made, 0, view, config, FPS, 1)[2]:
            png_bytes(picture, config.parallax.png_compression)
            count += 1
    return count


def scene() -> Scene:
    joints = walker(FRAMES)
    return scene_of_motion(sticks(joints, stick_layout(), 45.0), FPS, "a person walks and waves", joints=joints)


def main() -> None:
    config, made = RenderingConfig(), scene()
    style = STYLES["normal"]
    flat, solid = scene_strokes(made, config), scene_strokes(made, config, three_d=True)
    print(f"{FRAMES} frames of one person, {config.width_px}x{config.height_px}, one core")
    rate("raster, stick motion (OpenCV polygons)", lambda: drained(rasterise(flat, style)), 300)
    rate("raster, 3D with ground grid (OpenCV polygons)", lambda: drained(rasterise(solid, style)), 300)
    rate("raster, stick motion (Pillow, 2x supersampled)", lambda: drained(pillow_frames(flat, style, 2)), repeats=1)
    for name in STYLES:
        rate(f"frames with strokes and caption, {name}", lambda name=name: drained(frames_of(made, config, style=name)), 300)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.mp4"
        rate("finished MP4, stick motion", lambda: write_mp4(file, frames_of(made, config), FPS, config.video), 120)
        rate("finished MP4, 3D", lambda: write_mp4(file, frames_of(made, config, three_d=True), FPS, config.video), 120)
    rate("RGBA 512x512 with PNG, one frame a view", lambda: parallax_pngs(config, 100), 100)
    many = config.model_copy(update={"parallax": config.parallax.model_copy(update={"frames_per_view": 50})})
    rate("RGBA 512x512 with PNG, 50 frames a view", lambda: parallax_pngs(many, 4), 100)
    rate(".motion files of 10 s", lambda: sum(1 for _ in range(20) if motion_text(made)))
    print(f"a .motion file of 10 s with joints: {len(motion_text(made)) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
