"""A checkpoint as a generator to be judged: captions and lengths in, motion in metres out; every draw named by clip and repetition."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, StickgenError
from stickgen_core.evaluation.intervals import Measure, bootstrap, t_interval
from stickgen_core.evaluation.items import Items, Progress
from stickgen_core.model.config import SamplerConfig
from stickgen_core.model.denoiser import Conditions, Denoiser, build_model
from stickgen_core.model.normalise import Normaliser, Statistics
from stickgen_core.model.objective import TERMS, Objective
from stickgen_core.model.sampler import sample
from stickgen_core.records.seeds import generator, key64
from stickgen_core.training.batches import Batches, conditions_of, target_of, to_device
from stickgen_core.training.checkpoints import load_model
from stickgen_core.training.clips import DEFAULT_CAMERA, Clips
from stickgen_core.training.config import RunConfig

CPU = torch.device("cpu")


class Vectors(Protocol):
    """Text vectors by key, such as the text room's cache."""

    @property
    def width(self) -> int: ...

    def vectors(self, keys: Sequence[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Sampler:
    """A model with what it needs to draw motion for captions."""

    model: Denoiser
    run: RunConfig
    statistics: Statistics
    vectors: Vectors
    settings: SamplerConfig
    meta: dict[str, Any]
    seed: int
    batch: int = 64
    device: torch.device = CPU

    @classmethod
    def of(
        cls, checkpoint: Path, vectors: Vectors, *, seed: int, guidance: float = 0.0, steps: int = 0, batch: int = 64,
        device: torch.device = CPU,
    ) -> "Sampler":  # fmt: skip
        """From a checkpoint's folder or file; 0 keeps the checkpoint's own guidance and steps."""
        model, run, statistics, meta = load_model(checkpoint, device)
        if vectors.width != run.model.embedding_dim:
            raise ConfigError(
                f"{checkpoint}: made for text vectors {run.model.embedding_dim} wide, found {vectors.width}; embed with its encoder"
            )
        if not run.sampler.use_diffusion:
            raise StickgenError(f"{checkpoint}: use_diffusion is off; the one-step mean is a preview and is not measured as motion")
        changed = {**({"guidance": guidance} if guidance else {}), **({"diffusion_steps": steps} if steps else {})}
        return cls(model, run, statistics, vectors, run.sampler.model_copy(update=changed), meta, seed, batch, device)

    @cached_property
    def normaliser(self) -> Normaliser:
        return Normaliser(self.statistics, self.device)

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters by group: the name of each part of the model -> count."""
        groups: dict[str, int] = {}
        for name, value in self.model.named_parameters():
            groups[name.partition(".")[0]] = groups.get(name.partition(".")[0], 0) + value.numel()
        return dict(sorted(groups.items()))

    def untrained(self) -> "Sampler":
        """The same architecture with fresh weights: what a model that learned nothing scores."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key64(self.seed, "untrained") >> 1)
            fresh = build_model(self.run.model, self.run.data.use_parallax_augmentation).eval()
            # Ends of branches start at zero; a draw of their scale makes the row a random network instead of the mean motion.
            for value in fresh.parameters():
                if value.dim() > 1 and not value.any():
                    torch.nn.init.xavier_uniform_(value)
        return replace(self, model=fresh.to(self.device))

    def with_settings(self, **changed: Any) -> "Sampler":
        return replace(self, settings=self.settings.model_copy(update=changed))

    def noise(self, items: Items, repetition: int) -> list[np.ndarray]:
        """Standard normal [T,A,W] of each clip, by (seed, repetition, clip id): equal whatever is sampled beside it."""
        return [
            generator(self.seed, "sampling", repetition, clip).standard_normal(motion.shape, dtype=np.float32)
            for clip, motion in zip(items.ids, items.motions, strict=True)
        ]

    def draw(self, items: Items, repetition: int = 0, *, text: bool = True, progress: Progress = None, label: str = "sampling") -> Items:
        """The items' captions with generated motion of the same lengths and people, in metres."""
        return self._each_batch(items, repetition, text, self.settings, progress, label)

    def mean_prediction(self, items: Items) -> Items:
        """The one-step conditional mean from pure noise and the caption: what pose and motion MSE compare with the real clip."""
        return self._each_batch(items, 0, True, self.settings.model_copy(update={"use_diffusion": False, "guidance": 1.0}), None, "")

    def _each_batch(self, items: Items, repetition: int, text: bool, settings: SamplerConfig, progress: Progress, label: str) -> Items:
        order = np.argsort(items.frames, kind="stable")
        found: list[np.ndarray | None] = [None] * len(items)
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            for row, motion in zip(rows, self._sampled(items.take(rows), repetition, text, settings), strict=True):
                found[int(row)] = motion
            if progress:
                progress(label, min(start + self.batch, len(order)), len(order))
        return items.with_motions([m for m in found if m is not None], items.present)

    def _sampled(self, items: Items, repetition: int, text: bool, settings: SamplerConfig) -> list[np.ndarray]:
        frames, actors = items.frames, [m.shape[1] for m in items.motions]
        shape = (len(items), max(frames), max(actors), self.statistics.width)
        noise, valid = torch.zeros(shape), torch.zeros(shape[:3], dtype=torch.bool)
        for row, drawn in enumerate(self.noise(items, repetition)):
            noise[row, : drawn.shape[0], : drawn.shape[1]] = torch.from_numpy(drawn)
            valid[row, : drawn.shape[0], : drawn.shape[1]] = torch.from_numpy(np.array(items.present[row]))
        # Everything is drawn here, so that another device samples from the same noise.
        camera = torch.tensor(DEFAULT_CAMERA, device=self.device).expand(*shape[:2], 3)
        has_text = torch.full((len(items),), text, device=self.device)
        conditions = Conditions(self._text(items).to(self.device), has_text, camera=camera)
        noise, valid = noise.to(self.device), valid.to(self.device)
        drawn = self.normaliser.metres(sample(self.model, self.run.objective, settings, conditions, noise, valid))
        # Outside of `valid` the standardised zero is the mean pose; it is not part of the motion.
        motion = torch.where(valid[..., None], drawn, 0.0).cpu().numpy()
        return [motion[row, : frames[row], : actors[row]] for row in range(len(items))]

    def _text(self, items: Items) -> Tensor:
        if not all(items.keys):
            raise StickgenError("evaluation: the corpus has no text vectors for its captions; embed it first")
        return torch.from_numpy(np.array(self.vectors.vectors(items.keys)))

    def held_out_loss(self, corpus: Corpus, split: str, limit: int) -> dict[str, Measure]:
        """The training objective on clips it never saw, weighted as in training: the sum and each raw term, with t intervals over steps."""
        clips = Clips(corpus, split, self.vectors, self.statistics, self.run.data, self.run.model.embedding_dim)
        size = min(16, len(clips))
        batches = Batches(clips, self.run.objective, self.seed, size, name="evaluation")
        objective = Objective(self.run.objective, self.normaliser)
        rows = []
        with torch.no_grad():
            for index, positions in enumerate(batches.plan(0)[: max(1, -(-limit // size))]):
                step = batches.step(0, index, positions)
                total = torch.zeros(len(TERMS), device=self.device)
                for micro in step.micros:
                    batch, draws = to_device(micro.batch, self.device), to_device(micro.draws, self.device)
                    shown = objective.hidden(conditions_of(batch), draws, torch.tensor(DEFAULT_CAMERA, device=self.device))
                    total += objective.terms(self.model, target_of(batch, micro.full), shown, draws, step.counts)[0]
                rows.append(np.append(total.cpu().numpy(), float((total * objective.weights).sum())))
        table = np.array(rows, np.float64)
        names = (*(f"loss_{term}" for term in TERMS), "validation_loss")
        return {name: t_interval(table[:, column], f"steps of {size} clips", "standardised") for column, name in enumerate(names)}

    def errors(self, items: Items, seed: int, resamples: int) -> dict[str, Measure]:
        """pose_mse (m²) and motion_mse (standardised, 1 = always the mean motion) of the one-step mean against the real clips."""
        predicted, normaliser = self.mean_prediction(items), Normaliser(self.statistics)
        pose, motion = [], []
        for real, guess, present in zip(items.motions, predicted.motions, items.present, strict=True):
            seen = torch.from_numpy(np.array(present))
            pair = [torch.from_numpy(np.array(m, np.float32)) for m in (real, guess)]
            pose.append(float((pair[0] - pair[1])[seen].square().mean()))
            motion.append(float((normaliser.motion(pair[0]) - normaliser.motion(pair[1]))[seen].square().mean()))
        return {
            "pose_mse": bootstrap(np.array(pose), seed, "pose_mse", resamples, "m²"),
            "motion_mse": bootstrap(np.array(motion), seed, "motion_mse", resamples, "standardised"),
        }
