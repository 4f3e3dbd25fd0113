"""Batches: which clips form an optimiser step, how a step is cut into padded micro-batches, and every random draw of it.

The order is a pure function of (seed, epoch), so a position is one integer. Noise, time, text choice and dropouts are drawn by
(seed, epoch, clip), so they depend neither on micro-batches nor on processes nor on what was drawn before.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from stickgen_core.model.config import ObjectiveConfig
from stickgen_core.model.denoiser import Conditions
from stickgen_core.model.losses import Counts
from stickgen_core.model.objective import Draws, Target
from stickgen_core.model.paths import draw_time
from stickgen_core.records.seeds import generator, key64
from stickgen_core.training.clips import Batch, Clips

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
    """One optimiser step: its micro-batches for this process; the counts, the clips and the padded tokens of the whole step."""

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
        marks = self._marks(positions)
        micros = [self._micro(epoch, positions[part], [marks[n] for n in part]) for part in parts[self.rank :: self.world]]
        multiple = clips.data.pad_to_multiple
        padded = sum(
            len(p) * -(-int(clips.frames[positions[p]].max()) // multiple) * multiple * int(clips.actors[positions[p]].max()) for p in parts
        )
        return Step(epoch, index, tuple(micros), counts, tuple(clips.id(int(p)) for p in positions), padded)

    def _marks(self, positions: np.ndarray) -> list[tuple[int, ...]]:
        """What tells a clip's occurrences in a step apart: nothing for the first (its place, where a step is larger than the split)."""
        if len(self.clips) < self.size:
            return [(place,) for place in range(len(positions))]
        earlier = [int((positions[:n] == position).sum()) for n, position in enumerate(positions)]
        return [(n,) if n else () for n in earlier]

    def _micro(self, epoch: int, positions: np.ndarray, marks: list[tuple[int, ...]]) -> Micro:
        chosen = [self._choose_text(epoch, int(p)) for p in positions]
        batch = self.clips.collate(positions, chosen)
        if self.images is not None:
            batch = self.images.attached(batch, self.seed, epoch)
        draws = self._draws(epoch, positions, marks, batch)
        return Micro(batch, draws, batch.full)

    def _choose_text(self, epoch: int, position: int) -> str | None:
        keys = self.clips.keys(position)
        return keys[key64(self.seed, self.name, "text", epoch, self.clips.id(position)) % len(keys)] if keys else None

    def _hides(self, what: str, rate: float, epoch: int, position: int) -> bool:
        return key64(self.seed, self.name, "hide", what, epoch, self.clips.id(position)) / 2.0**64 < rate

    def _draws(self, epoch: int, positions: np.ndarray, marks: list[tuple[int, ...]], batch: Batch) -> Draws:
        """Noise and time from a generator of the clip and its mark."""
        noise = np.zeros(batch.motion.shape, np.float32)
        normal = np.zeros(len(positions))
        for n, (position, mark) in enumerate(zip(positions, marks, strict=True)):
            own = generator(self.seed, self.name, "noise", epoch, self.clips.id(int(position)), *mark)
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
