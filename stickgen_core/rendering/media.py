"""Pictures to files: PNG, GIF, H.264 MP4 (PyAV's own x264, no ffmpeg program) and SVG, each published whole or not at all."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.records.publish import publish_bytes, publish_text, publishing
from stickgen_core.rendering.config import VideoConfig
from stickgen_core.rendering.packages import needed
from stickgen_core.rendering.strokes import Strokes
from stickgen_core.rendering.styles import Style


def png_bytes(picture: np.ndarray, compression: int = 3) -> bytes:
    """[H, W, 3|4] uint8 RGB or RGBA -> PNG."""
    cv2 = needed("cv2")
    swapped = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    # Flat colours compress best unfiltered: a third of the time of OpenCV's own choice and smaller files (bench/rendering.py).
    options = [
        cv2.IMWRITE_PNG_COMPRESSION, compression, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
        cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE,
    ]  # fmt: skip
    done, data = cv2.imencode(".png", swapped, options)
    if not done:
        raise StickgenError(f"a picture of shape {list(picture.shape)} could not be encoded as PNG")
    return data.tobytes()


def write_png(path: Path, picture: np.ndarray) -> None:
    publish_bytes(path, png_bytes(picture))


def write_gif(path: Path, frames: Iterable[np.ndarray], fps: float, video: VideoConfig) -> int:
    """Frames thinned to the GIF's rate (its clock ticks in hundredths of a second); returns how many were written."""
    Image = needed("PIL.Image")
    kept = [Image.fromarray(picture).quantize(64) for picture in _thinned(frames, fps, min(fps, video.gif_fps))]
    if not kept:
        raise StickgenError(f"{path}: no frames to write")
    with publishing(path) as temporary:
        kept[0].save(temporary, format="GIF", save_all=True, append_images=kept[1:], duration=round(1000 / min(fps, video.gif_fps)), loop=0)
    return len(kept)


def _thinned(frames: Iterable[np.ndarray], fps: float, wanted: float) -> Iterator[np.ndarray]:
    due = 0.0
    for number, picture in enumerate(frames):
        if number / fps >= due - 1e-9:
            due += 1 / wanted
            yield picture


def write_mp4(path: Path, frames: Iterable[np.ndarray], fps: float, video: VideoConfig) -> int:
    """H.264 in yuv420p at the given rate, streamed frame by frame; returns how many were written. Equal frames give equal bytes."""
    av = needed("av")
    written = 0
    longest = int(video.longest_s * fps)
    with publishing(path) as temporary, av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = None
        for picture in frames:
            if written >= longest:
                raise StickgenError(
                    f"{path}: more than rendering.video.longest_s = {video.longest_s} seconds of video; raise it to render more"
                )
            picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
                stream.options = {"crf": str(video.crf), "preset": video.preset}
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
            written += 1
        if stream is None:
            raise StickgenError(f"{path}: no frames to write")
        container.mux(stream.encode())
    return written


def read_mp4(path: Path) -> tuple[list[np.ndarray], float]:
    """All frames of a video [H, W, 3] and its rate."""
    with needed("av").open(str(path)) as container:
        stream = container.streams.video[0]
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)], float(stream.average_rate)


def svg_text(strokes: Strokes, frame: int, style: Style, caption: str = "") -> str:
    """One frame as SVG: a round-ended line a stroke, from far to near; a tapering one has its mean width."""
    width, height = strokes.size
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" stroke-linecap="round">',
        f'<rect width="{width}" height="{height}" fill="{_hex(style.background)}"/>',
    ]
    for n in strokes.order[frame]:
        if strokes.visible[frame, n]:
            (x0, y0), (x1, y1) = strokes.ends[frame, n]
            thick = strokes.widths[frame, n].mean()
            lines.append(f'<path d="M{x0:.2f} {y0:.2f}L{x1:.2f} {y1:.2f}" stroke="{_hex(strokes.colours[n])}" stroke-width="{thick:.2f}"/>')
    if caption:
        lines.append(
            f'<text x="{width / 2:g}" y="{height - 8}" text-anchor="middle" font-family="sans-serif" fill="{_hex(style.caption)}">'
            f"{escape(caption)}</text>"
        )
    return "\n".join([*lines, "</svg>", ""])


def write_svg(path: Path, strokes: Strokes, frame: int, style: Style, caption: str = "") -> None:
    publish_text(path, svg_text(strokes, frame, style, caption))


def _hex(colour: Iterable[int]) -> str:
    return "#" + "".join(f"{int(c):02x}" for c in colour)
