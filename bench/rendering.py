"""What drawing costs on one core: rasterising, video, RGBA frames with PNG, `.motion` files; OpenCV against Pillow with supersampling.

    OMP_NUM_THREADS=1 python -m bench rendering

Seconds are CPU seconds of this process, so a busy machine changes little. Targets: 300 frames/s rasterised at 640x480, 120 to a finished
MP4, 100 RGBA frames/s at 512x512 with PNG.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.measure import Measure
from stickgen_core.rendering import RenderingConfig, Scene, scene_of_motion
from stickgen_core.rendering.media import png_bytes, write_mp4
from stickgen_core.rendering.motionfile import motion_text
from stickgen_core.rendering.parallax import parallax_view
from stickgen_core.rendering.pictures import frames_of, scene_strokes
from stickgen_core.rendering.raster import rasterise
from stickgen_core.rendering.strokes import Strokes
from stickgen_core.rendering.styles import STYLES, Style
from stickgen_core.skeleton import physics, stick_layout, sticks
from tests.core.rendering.rendering_people import FPS, clip, walker

FRAMES = 250


def rate(name: str, work: Callable[[], int], target: float | None = None, repeats: int = 3, unit: str = "frames/s") -> Measure:
    """The best of some repeats: the others paid for a busy machine."""
    best = 0.0
    for _ in range(repeats):
        start = time.process_time()
        count = work()
        best = max(best, count / (time.process_time() - start))
    return Measure(name, best, unit, at_least=target)


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


def scene(frames: int) -> Scene:
    joints = walker(frames)
    motion = sticks(joints, stick_layout(), 45.0)
    return scene_of_motion(motion, FPS, "a person walks and waves", joints=joints, physics=physics(motion, FPS))


def encoded(picture: np.ndarray, config: RenderingConfig, count: int) -> int:
    return sum(1 for _ in range(count) if png_bytes(picture, config.parallax.png_compression))


def run(quick: bool) -> list[Measure]:
    """One person, 250 frames (50 with --quick) at 640x480."""
    frames, repeats = (50, 1) if quick else (FRAMES, 3)
    config, made = RenderingConfig(), scene(frames)
    style = STYLES["normal"]
    flat, solid = scene_strokes(made, config), scene_strokes(made, config, three_d=True)
    found = [
        rate("raster, stick motion", lambda: drained(rasterise(flat, style)), 300, repeats),
        rate("raster, 3D with ground grid", lambda: drained(rasterise(solid, style)), 300, repeats),
        rate("raster, Pillow at twice the size", lambda: drained(pillow_frames(flat, style, 2)), repeats=1),
    ]
    for name in STYLES:
        found.append(
            rate(f"strokes, frames, caption: {name}", lambda name=name: drained(frames_of(made, config, style=name)), 300, repeats)
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.mp4"
        found.append(rate("finished MP4, stick motion", lambda: write_mp4(file, frames_of(made, config), FPS, config.video), 120, repeats))
        solid_frames = lambda: frames_of(made, config, three_d=True)  # noqa: E731
        found.append(rate("finished MP4, 3D", lambda: write_mp4(file, solid_frames(), FPS, config.video), 120, repeats))
        still_frame = next(solid_frames())
        found.append(rate("x264 alone", lambda: write_mp4(file, (still_frame for _ in range(frames)), FPS, config.video), None, repeats))
    views = 20 if quick else 100
    found.append(rate("RGBA 512x512 with PNG, one frame a view", lambda: parallax_pngs(config, views), 100, repeats))
    many = config.model_copy(update={"parallax": config.parallax.model_copy(update={"frames_per_view": 50})})
    found.append(rate("RGBA 512x512 with PNG, 50 frames a view", lambda: parallax_pngs(many, 4), 100, repeats))
    picture = next(parallax_view(clip(FRAMES), 0, 0, config, FPS, 1)[2])
    found.append(rate("PNG encoding alone, 512x512 RGBA", lambda: encoded(picture, config, views), None, repeats))
    found.append(rate(".motion files", lambda: sum(1 for _ in range(10) if motion_text(made)), None, repeats, "files/s"))
    full = scene(FRAMES)
    pair = two_people(FRAMES)
    found.append(Measure(".motion of 10 s with joints", len(motion_text(full).encode()) / 1000, "kB", at_most=200))
    found.append(Measure(".motion of 10 s, two people", len(motion_text(pair).encode()) / 1000, "kB", at_most=200))
    return found


def two_people(frames: int) -> Scene:
    joints = np.concatenate([walker(frames), walker(frames) + [1.0, 0, 0]], axis=1)
    motion = sticks(joints, stick_layout(), 45.0)
    return scene_of_motion(motion, FPS, "two people walk", joints=joints, physics=physics(motion, FPS))
