"""The clips of a split as training examples: which of them, their lengths and keys, and some of them padded to a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, MissingInput
from stickgen_core.model.normalise import Statistics, relative
from stickgen_core.training.config import DataConfig
from stickgen_core.training.statistics import split_rows

KEYS_COLUMN = "text_keys"
DEFAULT_CAMERA = (0.0, 1.0, 1.0)


class Vectors(Protocol):
    """Anything that gives text vectors by key, such as the text room's cache."""

    def vectors(self, keys: Sequence[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Batch:
    """A padded micro-batch.

    motion [B,T,A,W] f32 standardised   valid [B,T,A] bool   text [B,E]   has_text [B] bool   actions [B,T,A] long (-1 unknown)
    camera [B,T,3]   physics [B,T,A,6] standardised   frames [B] long   clip_ids
    """

    motion: Tensor
    valid: Tensor
    text: Tensor
    has_text: Tensor
    actions: Tensor
    camera: Tensor
    physics: Tensor
    frames: Tensor
    clip_ids: tuple[str, ...]
    image: Tensor | None = None
    viewpoint: Tensor | None = None
    has_image: Tensor | None = None

    @property
    def full(self) -> bool:
        """True if nothing is padding; only meaningful on the host, where `collate` made it."""
        return bool(self.valid.all())


class Clips:
    """The clips of one split as training examples: rows, lengths, keys, and the arrays of one clip at a time."""

    def __init__(self, corpus: Corpus, split: str, vectors: Vectors, statistics: Statistics, data: DataConfig, width: int):
        self.corpus, self.vectors, self.statistics, self.data, self.embedding_dim = corpus, vectors, statistics, data, width
        if KEYS_COLUMN not in corpus.index.column_names:
            raise MissingInput(f"{corpus.folder}: no column 'text_keys'; embed the corpus first")
        self.rows = queried(corpus, split_rows(corpus, split), data)
        if split == "train" and not len(self.rows):
            raise MissingInput(f"{corpus.folder}: no train clip matches data.sources, data.actions and data.styles")
        self.frames = np.minimum(corpus.column("frames")[self.rows], data.max_frames)
        self.actors = corpus.column("actors")[self.rows]
        self._keys = corpus.index[KEYS_COLUMN].combine_chunks()
        self._ids = corpus.index["id"].combine_chunks()

    def __len__(self) -> int:
        return len(self.rows)

    def id(self, position: int) -> str:
        return self._ids[int(self.rows[position])].as_py()

    def keys(self, position: int) -> list[str]:
        return self._keys[int(self.rows[position])].as_py() or []

    def arrays(self, position: int, *names: str) -> dict[str, np.ndarray]:
        """Arrays of a clip, cut to its first `max_frames`."""
        return {name: v[: self.data.max_frames] for name, v in self.corpus.arrays(int(self.rows[position]), *names).items()}

    def collate(self, positions: np.ndarray, chosen: Sequence[str | None]) -> Batch:
        """The padded batch of some clips, each with its chosen text key (None: no text)."""
        frames, actors = self.frames[positions], self.actors[positions]
        longest = -(-int(frames.max()) // self.data.pad_to_multiple) * self.data.pad_to_multiple
        shape = (len(positions), longest, int(actors.max()))
        stats = self.statistics
        motion = np.zeros((*shape, stats.width), np.float32)
        physics = np.zeros((*shape, len(stats.physics_mean)), np.float32)
        valid, actions = np.zeros(shape, bool), np.full(shape, -1, np.int64)
        camera = np.tile(np.array(DEFAULT_CAMERA, np.float32), (*shape[:2], 1))
        for n, position in enumerate(positions):
            a = self.arrays(int(position), "motion", "present", "physics", "actions", "camera")
            spot = (n, slice(0, len(a["motion"])), slice(0, a["motion"].shape[1]))
            keep = a["present"][..., None]
            motion[spot] = np.where(keep, (relative(a["motion"].astype(np.float64)) - stats.mean) / stats.std, 0)
            physics[spot] = np.where(keep, (a["physics"] - stats.physics_mean) / stats.physics_std, 0)
            valid[spot], actions[spot] = a["present"], np.where(a["present"], a["actions"], -1)
            camera[spot[:2]] = a["camera"]
        text, has_text = self._texts(chosen)
        to = torch.from_numpy
        return Batch(
            to(motion), to(valid), to(text), to(has_text), to(actions), to(camera), to(physics), to(frames.astype(np.int64)),
            tuple(self.id(int(p)) for p in positions),
        )  # fmt: skip

    def _texts(self, chosen: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
        has = np.array([key is not None for key in chosen])
        text = np.zeros((len(chosen), self.embedding_dim), np.float32)
        if has.any():
            found = self.vectors.vectors([key for key in chosen if key is not None])
            if found.shape[1] != self.embedding_dim:
                raise ConfigError(
                    f"{self.corpus.folder}: text vectors are {found.shape[1]} wide, model.embedding_dim is {self.embedding_dim}; use the same encoder"
                )
            text[has] = found
        return text, has


def queried(corpus: Corpus, rows: np.ndarray, data: DataConfig) -> np.ndarray:
    """The rows that a corpus query keeps; an empty list of values keeps all."""
    if data.sources:
        rows = rows[np.isin(corpus.column("source")[rows], data.sources)]
    if data.actions:
        rows = rows[np.isin(corpus.column("action")[rows], data.actions)]
    if data.styles:
        import json

        extra = corpus.column("extra_json")
        rows = np.array([row for row in rows if json.loads(extra[row]).get("style") in data.styles], dtype=np.int64)
    return rows
