"""Batches: which clips form an optimiser step, how a step is cut into padded micro-batches, and every random draw of it.

The order is a pure function of (seed, epoch), so a position is one integer. Noise, time, text choice and dropouts are drawn by
(seed, epoch, clip), so they depend neither on micro-batches nor on processes nor on what was drawn before.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, MissingInput
from stickgen_core.model.config import ObjectiveConfig
from stickgen_core.model.denoiser import Conditions
from stickgen_core.model.losses import Counts
from stickgen_core.model.normalise import Statistics, relative
from stickgen_core.model.objective import Draws, Target
from stickgen_core.model.paths import draw_time
from stickgen_core.records.seeds import generator, key64
from stickgen_core.training.config import DataConfig
from stickgen_core.training.statistics import split_rows

KEYS_COLUMN = "text_keys"


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


Moved = TypeVar("Moved", Batch, Draws)


def to_device(item: Moved, device: torch.device) -> Moved:
    """The same with its tensors on a device, copied without waiting."""
    moved = {f.name: v.to(device, non_blocking=True) for f in fields(item) if isinstance(v := getattr(item, f.name), Tensor)}
    return replace(item, **moved)


def target_of(batch: Batch, full: bool) -> Target:
    return Target(motion=batch.motion, physics=batch.physics, actions=batch.actions, valid=batch.valid, full=full)


def conditions_of(batch: Batch) -> Conditions:
    return Conditions(batch.text, batch.has_text, batch.actions, batch.camera, batch.image, batch.viewpoint, batch.has_image)


@dataclass(frozen=True)
class Micro:
    """A micro-batch with its draws; `full` was decided on the host."""

    batch: Batch
    draws: Draws
    full: bool


@dataclass(frozen=True)
class Step:
    """One optimiser step: its micro-batches for this process, the counts of the whole step, its clips, its useful share."""

    epoch: int
    index: int
    micros: tuple[Micro, ...]
    counts: Counts
    clip_ids: tuple[str, ...]
    padded_tokens: int


def epoch_order(seed: int, epoch: int, lengths: np.ndarray, size: int, window: int) -> list[np.ndarray]:
    """Positions of each optimiser step of an epoch: `size` clips exactly, near in length, in an order that only (seed, epoch) decide.

    A last incomplete step is filled from the front of the permutation, so every clip is seen and no step is smaller.
    """
    draws = generator(seed, "order", epoch)
    order = draws.permutation(len(lengths))
    missing = -len(order) % size
    order = np.concatenate([order, np.resize(order, missing)])
    steps = []
    for start in range(0, len(order), size * window):
        part = order[start : start + size * window]
        part = part[np.argsort(lengths[part], kind="stable")]
        steps += [part[n : n + size] for n in range(0, len(part), size)]
    return [steps[n] for n in draws.permutation(len(steps))]


def micro_batches(frames: np.ndarray, actors: np.ndarray, budget: int) -> list[np.ndarray]:
    """Positions of a step cut so that clips x longest x most people stays within the budget (one clip may exceed it alone)."""
    order = np.lexsort((frames, actors))
    cuts, start = [], 0
    for stop in range(1, len(order) + 1):
        inside = order[start : stop + 1]
        if stop == len(order) or len(inside) * frames[inside].max() * actors[inside].max() > budget:
            cuts.append(order[start:stop])
            start = stop
    return cuts


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


DEFAULT_CAMERA = (0.0, 1.0, 1.0)


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


def clip_counts(present: np.ndarray, actions: np.ndarray, hidden: bool) -> Counts:
    """What one clip adds to the counts of a step."""
    steps = present[1:] & present[:-1]
    return Counts(
        int(present.sum()), int(steps.sum()), int((steps[1:] & steps[:-1]).sum()), int((present & (actions >= 0)).sum()) if hidden else 0
    )


class ImageSource(Protocol):
    """Adds rendered views to a batch, each of its own clip; `digest` says which views."""

    @property
    def digest(self) -> str: ...

    def attached(self, batch: Batch, seed: int, epoch: int) -> Batch: ...


class Batches:
    """Optimiser steps of a split, one after another, from any position on."""

    def __init__(
        self,
        clips: Clips,
        objective: ObjectiveConfig,
        seed: int,
        effective_batch: int,
        *,
        rank: int = 0,
        world: int = 1,
        name: str = "train",
        images: ImageSource | None = None,
    ):
        self.clips, self.objective, self.seed, self.size = clips, objective, seed, effective_batch
        self.rank, self.world, self.name, self.images = rank, world, name, images

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.clips) // self.size)

    def plan(self, epoch: int) -> list[np.ndarray]:
        lengths = self.clips.frames * self.clips.actors
        return epoch_order(self.seed, epoch, lengths, self.size, self.clips.data.bucket_batches)

    def step(self, epoch: int, index: int, positions: np.ndarray) -> Step:
        """Everything of one step that this process computes."""
        clips = self.clips
        hidden = [self._hides("action", self.objective.action_dropout, epoch, int(p)) for p in positions]
        counts = Counts(0, 0, 0, 0)
        for position, hides in zip(positions, hidden, strict=True):
            a = clips.arrays(int(position), "present", "actions")
            counts = counts + clip_counts(a["present"], a["actions"], hides)
        parts = micro_batches(clips.frames[positions], clips.actors[positions], clips.data.token_budget)
        micros = [self._micro(epoch, positions[part], part) for part in parts[self.rank :: self.world]]
        padded = sum(m.batch.valid.numel() for m in micros)
        return Step(epoch, index, tuple(micros), counts, tuple(clips.id(int(p)) for p in positions), padded)

    def _micro(self, epoch: int, positions: np.ndarray, places: np.ndarray) -> Micro:
        chosen = [self._choose_text(epoch, int(p)) for p in positions]
        batch = self.clips.collate(positions, chosen)
        if self.images is not None:
            batch = self.images.attached(batch, self.seed, epoch)
        draws = self._draws(epoch, positions, places, batch)
        return Micro(batch, draws, batch.full)

    def _choose_text(self, epoch: int, position: int) -> str | None:
        keys = self.clips.keys(position)
        return keys[key64(self.seed, self.name, "text", epoch, self.clips.id(position)) % len(keys)] if keys else None

    def _hides(self, what: str, rate: float, epoch: int, position: int) -> bool:
        return key64(self.seed, self.name, "hide", what, epoch, self.clips.id(position)) / 2.0**64 < rate

    def _draws(self, epoch: int, positions: np.ndarray, places: np.ndarray, batch: Batch) -> Draws:
        """Noise and time from a generator of the clip (and its place in the step, where a clip stands in it twice)."""
        noise = np.zeros(batch.motion.shape, np.float32)
        normal = np.zeros(len(positions))
        for n, (position, place) in enumerate(zip(positions, places, strict=True)):
            own = generator(
                self.seed, self.name, "noise", epoch, self.clips.id(int(position)), *(() if len(self.clips) >= self.size else (place,))
            )
            normal[n] = own.standard_normal()
            frames, actors = int(self.clips.frames[position]), int(self.clips.actors[position])
            noise[n, :frames, :actors] = own.standard_normal((frames, actors, noise.shape[-1]), dtype=np.float32)
        rates = {"text": self.objective.text_dropout, "action": self.objective.action_dropout}
        rates |= {"camera": self.objective.camera_dropout, "image": self.objective.image_dropout}
        hides = [torch.tensor([self._hides(what, rate, epoch, int(p)) for p in positions]) for what, rate in rates.items()]
        return Draws(torch.from_numpy(noise), draw_time(torch.from_numpy(normal), self.objective).float(), *hides)

    def stream(self, epoch: int, position: int) -> Iterator[Step]:
        """Steps for ever, from step `position` of `epoch` on."""
        while True:
            for index, positions in list(enumerate(self.plan(epoch)))[position:]:
                yield self.step(epoch, index, positions)
            epoch, position = epoch + 1, 0

    def prefetched(self, epoch: int, position: int, workers: int, ahead: int) -> Generator[Step, None, None]:
        """The same steps in the same order, prepared by threads while the model computes."""
        if not workers:
            yield from self.stream(epoch, position)
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
            waiting: deque[Future[Step]] = deque()
            while True:
                for index, positions in list(enumerate(self.plan(epoch)))[position:]:
                    waiting.append(pool.submit(self.step, epoch, index, positions))
                    if len(waiting) > workers * ahead:
                        yield waiting.popleft().result()
                epoch, position = epoch + 1, 0
