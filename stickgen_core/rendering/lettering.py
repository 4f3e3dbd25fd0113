"""Captions: a bar of text under a picture, set in Pillow's own font so that a bare machine needs none."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from stickgen_core.rendering.packages import needed
from stickgen_core.rendering.styles import RGB


@lru_cache(maxsize=64)
def caption_bar(text: str, width: int, height: int, font_px: int, ink: RGB, paper: RGB) -> np.ndarray:
    """[height, width, 3] uint8, the text wrapped to as many lines as fit and shortened with an ellipsis."""
    Image, ImageDraw, ImageFont = (needed(f"PIL.{name}") for name in ("Image", "ImageDraw", "ImageFont"))
    bar = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(bar)
    font = ImageFont.load_default(size=font_px)
    line_px = int(font_px * 1.25)
    lines = _wrapped(" ".join(text.split()), lambda words: draw.textlength(words, font=font) <= width - 12, max(1, (height - 4) // line_px))
    top = (height - line_px * len(lines)) / 2
    for number, line in enumerate(lines):
        left = (width - draw.textlength(line, font=font)) / 2
        draw.text((left, top + number * line_px), line, font=font, fill=ink)
    return np.asarray(bar)


def _wrapped(text: str, fits: Callable[[str], bool], most: int) -> list[str]:
    lines: list[str] = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if fits(longer):
            lines[-1] = longer
        elif len(lines) < most and lines[-1]:
            lines.append(word)
        else:
            last = longer
            while last and not fits(last + "…"):
                last = last[:-1]
            lines[-1] = last.rstrip() + "…"
            break
    return lines
