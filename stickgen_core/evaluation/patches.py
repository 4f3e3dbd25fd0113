"""Clips as padded batches of patch tokens: the one way in which motion enters the networks that judge."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stickgen_core.evaluation.finite import finite


@dataclass(frozen=True)
class Scale:
    """Per-number mean and spread of the training clips: [W], [W]."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, motions: Sequence[np.ndarray], present: Sequence[np.ndarray]) -> "Scale":
        frames = np.concatenate([np.asarray(m, np.float64)[p] for m, p in zip(motions, present, strict=True)])
        # A number that never varies would blow rounding up: half a centimetre is the least spread.
        return cls(frames.mean(0), np.maximum(frames.std(0), 0.005))


@dataclass(frozen=True)
class Patches:
    """patches [B,L,P·W], place [B,L] (patch number in time), person [B,L], valid [B,L]."""

    patches: Tensor
    place: Tensor
    person: Tensor
    valid: Tensor

    def of(self, rows: Tensor) -> "Patches":
        """Some clips of the batch, cut to their longest."""
        longest = int(self.valid[rows].sum(1).max())
        return Patches(*(t[rows][:, :longest] for t in (self.patches, self.place, self.person, self.valid)))

    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.patches, self.place, self.person, self.valid


def patchify(motions: Sequence[np.ndarray], present: Sequence[np.ndarray], scale: Scale, frames: int, max_actors: int) -> Patches:
    """Patches in which a person is seen come first in each row, in order of person then time; the rest is padding."""
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for number, (motion, seen) in enumerate(zip(motions, present, strict=True)):
        values = (finite(f"motion {number}", motion, 3)[:, :max_actors] - scale.mean) / scale.std
        values = np.where(seen[:, :max_actors, None], values, 0.0)
        count = -(-len(values) // frames)
        padded = np.zeros((count * frames, *values.shape[1:]))
        padded[: len(values)] = values
        there = np.zeros((count * frames, values.shape[1]), bool)
        there[: len(values)] = seen[:, :max_actors]
        # [count, frames, A, W] -> [A, count, frames * W]
        tokens = padded.reshape(count, frames, *values.shape[1:]).transpose(2, 0, 1, 3).reshape(values.shape[1], count, -1)
        person, place = np.nonzero(there.reshape(count, frames, -1).any(1).T)
        rows.append((tokens[person, place], place, person))
    longest = max(max(len(tokens) for tokens, _, _ in rows), 1)
    width = rows[0][0].shape[-1]
    patches = np.zeros((len(rows), longest, width), np.float32)
    place, person = np.zeros((2, len(rows), longest), np.int64)
    valid = np.zeros((len(rows), longest), bool)
    for number, (tokens, at, who) in enumerate(rows):
        patches[number, : len(tokens)], place[number, : len(tokens)], person[number, : len(tokens)] = tokens, at, who
        valid[number, : len(tokens)] = True
    return Patches(torch.from_numpy(patches), torch.from_numpy(place), torch.from_numpy(person), torch.from_numpy(valid))


def in_batches(motions: Sequence[np.ndarray], present: Sequence[np.ndarray], scale: Scale, frames: int, max_actors: int, size: int) -> Iterator[Patches]:  # fmt: skip
    """Padded batches in the given order."""
    for start in range(0, len(motions), size):
        yield patchify(motions[start : start + size], present[start : start + size], scale, frames, max_actors)
