"""Timed prompts, "0–3 s walk, 3–5 s wave": each part is a window of one timeline, and the windows are made to agree while they are drawn.

Neighbouring windows overlap by `join_s` round the moment where the text changes. After every denoising step their estimates are blended
there and written back into both, so what is sampled is already one motion; nothing is cross-faded afterwards.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stickgen_core.errors import StickgenError
from stickgen_core.model.normalise import Normaliser, pelvis_columns

_PART = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(\d+(?:\.\d+)?)\s*s(?:ec(?:onds?)?)?\s*:?\s+(.+?)\s*$")


@dataclass(frozen=True)
class Part:
    """One stretch of a timed prompt."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Window:
    """The frames of the timeline that a part is drawn on: its own and half of each overlap."""

    start: int
    stop: int
    text: str


def timed_parts(prompt: str) -> tuple[Part, ...]:
    """The parts of a timed prompt in order, () for an ordinary one; gaps and overlaps are errors."""
    found = [_PART.match(piece) for piece in re.split(r"[,;]\s*(?=\d)", prompt)]
    if not all(found):
        return ()
    parts = tuple(Part(float(m[1]), float(m[2]), m[3]) for m in found if m)
    expected = 0.0
    for part in parts:
        if part.start_s != expected or part.end_s <= part.start_s:
            raise StickgenError(f"timed prompt: expected a part from {expected:g} s on, found {part.start_s:g}–{part.end_s:g} s")
        expected = part.end_s
    return parts


def windows_of(parts: Sequence[Part], fps: float, join_s: float, most_frames: int) -> tuple[Window, ...]:
    """A window a part; a part must last as long as a join, and no window may be longer than what the model was trained on."""
    overlap = overlap_frames(fps, join_s)
    before, after = overlap // 2, overlap - overlap // 2
    found = []
    for number, part in enumerate(parts):
        start, stop = round(part.start_s * fps), round(part.end_s * fps)
        if len(parts) > 1 and stop - start < overlap:
            raise StickgenError(f"timed prompt: {part.text!r} lasts {part.end_s - part.start_s:g} s, expected at least {overlap / fps:g} s")
        window = Window(start - (before if number else 0), stop + (after if number + 1 < len(parts) else 0), part.text)
        if window.stop - window.start > most_frames:
            longest = math.floor((most_frames - overlap) / fps * 10) / 10
            raise StickgenError(f"timed prompt: {part.text!r} is too long; this model draws parts of up to {longest:g} s")
        found.append(window)
    return tuple(found)


def overlap_frames(fps: float, join_s: float) -> int:
    return max(2, round(join_s * fps))


def stitched(pieces: Sequence[Tensor], windows: Sequence[Window]) -> tuple[Tensor, list[Tensor]]:
    """Metres [T_p,A,W] a window -> (timeline [T,A,W], sideways shift [A] of each window).

    A window is moved to where the one before it stands, on average over their overlap, and they turn into each other with smooth weights.
    """
    u, _ = pelvis_columns(pieces[0].shape[-1])
    whole, shifts = pieces[0], [torch.zeros_like(pieces[0][0, :, u])]
    for number in range(1, len(pieces)):
        overlap = windows[number - 1].stop - windows[number].start
        shift = (whole[-overlap:, :, u] - pieces[number][:overlap, :, u]).mean(0)
        moved = _aside(pieces[number], shift)
        weight = torch.linspace(0, 1, overlap + 2, dtype=whole.dtype, device=whole.device)[1:-1, None, None]
        weight = weight * weight * (3 - 2 * weight)
        blend = whole[-overlap:] * (1 - weight) + moved[:overlap] * weight
        whole = torch.cat([whole[:-overlap], blend, moved[overlap:]])
        shifts.append(shift)
    return whole, shifts


def agreeing(normaliser: Normaliser, windows: Sequence[Window]) -> Callable[[Tensor], Tensor]:
    """Clean estimates [P,T,A,W] -> the same with equal content wherever two windows show the same moment."""

    def mend(clean: Tensor) -> Tensor:
        metres = normaliser.metres(clean)
        pieces = [metres[n, : window.stop - window.start] for n, window in enumerate(windows)]
        whole, shifts = stitched(pieces, windows)
        agreed = metres.clone()
        for n, window in enumerate(windows):
            agreed[n, : window.stop - window.start] = _aside(whole[window.start : window.stop], -shifts[n])
        return normaliser.motion(agreed)

    return mend


def _aside(motion: Tensor, shift: Tensor) -> Tensor:
    """[T,A,W] moved by [A] metres along u."""
    along = torch.zeros(motion.shape[-1], dtype=motion.dtype, device=motion.device)
    along[0::2] = 1.0
    return motion + shift[None, :, None] * along
