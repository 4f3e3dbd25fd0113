"""Timed prompts: "0–3 s walk, 3–5 s wave": each part is generated with a little more than its time and blended into the next."""

import re
from dataclasses import dataclass, replace

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.generation.generator import Generated, Generator
from stickgen_core.generation.request import Request
from stickgen_core.model.normalise import pelvis_columns
from stickgen_core.skeleton import physics

_PART = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(\d+(?:\.\d+)?)\s*s(?:ec(?:onds?)?)?\s*:?\s+(.+?)\s*$")


@dataclass(frozen=True)
class Part:
    """One stretch of a timed prompt."""

    start_s: float
    end_s: float
    text: str


def timed_parts(prompt: str) -> list[Part]:
    """The parts of a timed prompt in order, [] for an ordinary one; gaps and overlaps are errors."""
    found = [_PART.match(piece) for piece in re.split(r"[,;]\s*(?=\d)", prompt)]
    if not all(found):
        return []
    parts = [Part(float(m[1]), float(m[2]), m[3]) for m in found if m]
    expected = 0.0
    for part in parts:
        if part.start_s != expected or part.end_s <= part.start_s:
            raise StickgenError(f"timed prompt: expected a part from {expected:g} s on, found {part.start_s:g}–{part.end_s:g} s")
        expected = part.end_s
    return parts


def generate_timed(generator: Generator, parts: list[Part], request: Request) -> Generated:
    """All parts as one motion: where a part begins, its figure stands where the last one's does, and over `join_s` one turns into the other."""
    fps = generator.fps
    overlap = max(2, round(generator.config.join_s * fps))
    pieces: list[Generated] = []
    for number, part in enumerate(parts):
        extra = overlap / fps if number + 1 < len(parts) else 0.0
        asked = replace(request, prompts=(part.text,), seconds=part.end_s - part.start_s + extra, seed=request.seed + number)
        pieces += generator.generate(asked)
    motion = pieces[0].motion
    for piece in pieces[1:]:
        motion = joined(motion, piece.motion, overlap)
    first, reasons = pieces[0], "; ".join(piece.reason for piece in pieces if piece.reason)
    camera = np.concatenate([piece.camera[: len(piece.camera) - overlap] for piece in pieces[:-1]] + [pieces[-1].camera])
    actions = np.concatenate([piece.actions[: len(piece.actions) - overlap] for piece in pieces[:-1]] + [pieces[-1].actions])
    return replace(
        first, prompt=", ".join(f"{p.start_s:g}–{p.end_s:g} s {p.text}" for p in parts), motion=motion, camera=camera, actions=actions,
        physics=physics(motion.astype(np.float64), fps).astype(np.float32), accepted=not reasons, reason=reasons,
        attempts=max(piece.attempts for piece in pieces), safety=generator.check_motion_safety(motion),
    )  # fmt: skip


def joined(before: np.ndarray, after: np.ndarray, overlap: int) -> np.ndarray:
    """[T1, A, W] and [T2, A, W] -> [T1 + T2 − overlap, A, W]: `after` is moved sideways to where `before` is, then they cross-fade."""
    u, _ = pelvis_columns(before.shape[-1])
    moved = after.copy()
    moved[..., 0::2] += (before[-overlap, :, u] - after[0, :, u])[None, :, None]
    weight = np.linspace(0, 1, overlap + 2)[1:-1]
    weight = (weight * weight * (3 - 2 * weight))[:, None, None].astype(before.dtype)
    blend = before[-overlap:] * (1 - weight) + moved[:overlap] * weight
    return np.concatenate([before[:-overlap], blend, moved[overlap:]])
