"""The training loop, from top to bottom: prepare, resume, step, validate, save, publish.

A run works in `<out>.training` and becomes `<out>` whole when it is finished, so that a reader sees the old checkpoint or the new one.
Resuming there, after any kind of death, gives the bits of a run that was never interrupted (same machine, same threads).
"""

import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, MissingInput, StickgenError
from stickgen_core.model.denoiser import Denoiser, build_model
from stickgen_core.model.lora import adapter_state, inject
from stickgen_core.model.normalise import Normaliser, Statistics
from stickgen_core.model.objective import TERMS, Objective
from stickgen_core.records.digests import digest_file
from stickgen_core.records.manifest import FileRecord, Manifest, find_manifest, write_manifest
from stickgen_core.records.publish import exclusively, publish_text
from stickgen_core.training import checkpoints
from stickgen_core.training.batches import (
    DEFAULT_CAMERA,
    Batches,
    Clips,
    ImageSource,
    Micro,
    Step,
    Vectors,
    conditions_of,
    target_of,
    to_device,
)
from stickgen_core.training.config import RunConfig
from stickgen_core.training.cost import estimate, seconds_per_step
from stickgen_core.training.devices import Machine, environment, machine_for
from stickgen_core.training.ema import Ema
from stickgen_core.training.images import ParallaxImages
from stickgen_core.training.journal import METRICS, Journal

Progress = Callable[[str, int, int], None] | None
RESUME_VARIABLE = "RESUME_FROM_CHECKPOINT"
AUTO = "auto"
ENCODER = checkpoints.ENCODER


@dataclass(frozen=True)
class TrainResult:
    """How a call ended: finished, current (nothing to do), terminated (SIGTERM) or paused (`max_steps`)."""

    folder: Path
    stopped: str
    step: int
    total_steps: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    manifest: Manifest | None = None


class Diverged(StickgenError):
    """The loss is not a number, or far above its best; the last good checkpoint is kept."""


def learning_rate(step: int, total: int, warmup: int, peak: float, final_share: float) -> float:
    """Linear warm-up to the peak, then half a cosine down to its final share; `step` counts from 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(total - warmup, 1)
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def schedule(run: RunConfig, steps_per_epoch: int) -> tuple[int, int]:
    """(total steps, warm-up steps): the documented epochs, unless steps are given."""
    t = run.training
    total = t.steps if t.steps is not None else t.epochs * steps_per_epoch
    warmup = t.warmup_steps if t.warmup_steps is not None else round(t.warmup_epochs * steps_per_epoch)
    return total, min(warmup, total)


def optimiser_for(model: torch.nn.Module, run: RunConfig, device: torch.device) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, on nothing that is a gain, a bias or a single vector."""
    live = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in live if p.dim() > 1], "weight_decay": run.training.weight_decay},
        {"params": [p for p in live if p.dim() <= 1], "weight_decay": 0.0},
    ]
    rate = torch.tensor(run.training.learning_rate) if device.type == "cuda" else run.training.learning_rate
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, betas=run.training.betas, fused=device.type != "mps")


def resume_source(argument: str | None, run: RunConfig) -> str | None:
    """Where to resume from: the argument, else RESUME_FROM_CHECKPOINT, else training.resume_from."""
    return argument or os.environ.get(RESUME_VARIABLE) or run.training.resume_from


def checkpoint_parents(corpus: Corpus, statistics: Statistics | None, init_from: Path | None) -> dict[str, str]:
    """What a checkpoint is made from: the corpus, the statistics it was scaled by, the checkpoint it started from."""
    parents = {corpus.manifest.name: corpus.digest}
    if init_from is not None:
        folder = init_from if init_from.is_dir() else init_from.parent
        manifest = find_manifest(folder)
        if manifest is not None and manifest.kind == "checkpoint":
            return parents | {manifest.name: manifest.digest}
        *_, meta = checkpoints.load_model(init_from)
        return parents | {f"checkpoint/{folder.name}": meta["weights_digest"]}
    if statistics is None:
        raise ConfigError("training from scratch needs the statistics of its corpus (motion_statistics); only init_from brings its own")
    return parents | {"statistics": statistics.digest}


@dataclass(frozen=True)
class Origin:
    """What the manifest will say: the asset's name, the recipe and the digests of what was read."""

    name: str
    recipe: str
    parents: dict[str, str]


@contextmanager
def asked_to_stop(stopping: Callable[[], bool] | None) -> Iterator[Callable[[], bool]]:
    """A question that turns true once SIGTERM has arrived or the caller says so; outside the main thread only the caller can."""
    told = threading.Event()

    def asked() -> bool:
        return told.is_set() or (stopping is not None and stopping())

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


def train(
    run: RunConfig, corpus: Corpus, vectors: Vectors, statistics: Statistics | None, out: Path, *, init_from: Path | None = None,
    resume: str | Path | None = AUTO, progress: Progress = None, max_steps: int | None = None, images: ImageSource | None = None,
    name: str | None = None, recipe: str | None = None, parents: Mapping[str, str] | None = None, stopping: Callable[[], bool] | None = None,
) -> TrainResult:  # fmt: skip
    """Train one checkpoint and publish it at `out`; asking again for what is there returns at once.

    statistics             of the pretraining corpus; None with `init_from`, whose scale a fine-tuned model keeps
    resume                 "auto" goes on with this very run if it was interrupted; a path goes on from that file; None starts afresh
    images                 of the clips; by default those of data.parallax_root, where data.use_parallax_augmentation asks for them
    max_steps              pause after this many steps of this call
    name, recipe, parents  the manifest's, where a caller keeps them; by default those of the run and of what it reads
    stopping               asked after each step, like SIGTERM: true saves and returns
    """
    origin = Origin(
        name or f"checkpoint/{run.name}", recipe or run.recipe,
        dict(parents) if parents is not None else checkpoint_parents(corpus, statistics, init_from),
    )  # fmt: skip
    manifest = find_manifest(out)
    if manifest is not None and manifest.is_current(origin.recipe, origin.parents):
        steps = int(manifest.counts["steps"])
        return TrainResult(out, "current", steps, steps, manifest.notes["metrics"], manifest)
    work = out.with_name(f"{out.name}.training")
    lock = work.with_name(f".{out.name}.lock")
    with ExitStack() as held:
        machine = held.enter_context(machine_for(run.training))
        stop = held.enter_context(asked_to_stop(stopping))
        if machine.first:
            held.enter_context(exclusively(lock))
        try:
            if images is None and run.data.use_parallax_augmentation:
                images = ParallaxImages.open(run, corpus)
            training = Training(run, corpus, vectors, statistics, work, machine, init_from, origin, progress, images)
            training.resume(resume)
            training.refuse_too_long()
            return training.go(out, stop, max_steps)
        except torch.OutOfMemoryError as error:
            raise StickgenError(
                f"{run.name}: out of memory ({str(error).splitlines()[0]}); lower data.token_budget (now {run.data.token_budget})"
            ) from None


class Training:
    """The state of one run and what is done with it."""

    def __init__(
        self, run: RunConfig, corpus: Corpus, vectors: Vectors, statistics: Statistics | None, work: Path, machine: Machine,
        init_from: Path | None, origin: Origin, progress: Progress, images: ImageSource | None,
    ):  # fmt: skip
        self.run, self.work, self.machine, self.origin, self.progress = run, work, machine, origin, progress
        torch.manual_seed(run.training.seed)
        self.base: checkpoints.Base | None = None
        self.images_digest = images.digest if images is not None else None
        self.encoder_digest: str | None = corpus.manifest.notes.get(ENCODER)
        self.model, self.statistics = self._starting_model(init_from, statistics)
        self.statistics.require_width(run.model.input_dim)
        self.model.to(machine.device)
        self.params = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = optimiser_for(self.model, run, machine.device)
        self.ema = Ema(self.model, run.training.ema_decay, run.training.ema_warmup)
        self.objective = Objective(run.objective, Normaliser(self.statistics, machine.device))
        self.camera_default = torch.tensor(DEFAULT_CAMERA, device=machine.device)
        clips = [Clips(corpus, split, vectors, self.statistics, run.data, run.model.embedding_dim) for split in ("train", "val")]
        size, seed = run.training.effective_batch, run.training.seed
        self.batches = Batches(clips[0], run.objective, seed, size, rank=machine.rank, world=machine.world, images=images)
        self.validation = Batches(
            clips[1], run.objective, seed, size, rank=machine.rank, world=machine.world, name="validation", images=images
        )
        self.total, self.warmup = schedule(run, self.batches.steps_per_epoch)
        self.step, self.best = 0, math.inf
        self.metrics: dict[str, float] = {}
        self.pending: list[tuple[Step, Tensor, Tensor]] = []
        self.compiled = torch.compile(self.model) if run.training.compile and machine.device.type == "cuda" else self.model
        self.journal: Journal | None = None

    def _starting_model(self, init_from: Path | None, statistics: Statistics | None) -> tuple[Denoiser, Statistics]:
        """A fresh model, or the averaged weights of a parent (weights only); LoRA freezes them and adds adapters."""
        run, multimodal = self.run, self.run.data.use_parallax_augmentation
        if init_from is None:
            if run.lora.enabled:
                raise MissingInput(f"{run.name}: adapters need a trained base; give init_from")
            assert statistics is not None  # checkpoint_parents refused it otherwise
            return build_model(run.model, multimodal), statistics
        parent, parent_run, own, meta = checkpoints.load_model(init_from)
        _same_encoder(init_from, meta.get(ENCODER), self.encoder_digest)
        if statistics is not None and statistics.digest != own.digest:
            raise ConfigError(
                f"{run.name}: statistics differ from those of {init_from}; pass None, a fine-tuned model keeps its parent's scale"
            )
        model = build_model(run.model, multimodal)
        checkpoints.load_strictly(
            model, _parent_state(parent, model, multimodal and not parent_run.data.use_parallax_augmentation), init_from
        )
        if run.lora.enabled:
            file = checkpoints.checkpoint_file(init_from)
            self.base = checkpoints.Base(
                os.path.relpath(file.resolve(), self.work.resolve()), checkpoints.weights_digest(model.state_dict())
            )
            inject(model, run.lora)
        return model, own

    # -- resuming ------------------------------------------------------------------------------------------------------------------

    def resume(self, resume: str | Path | None) -> None:
        """Go on from a checkpoint, or clear the working folder and start."""
        found = None
        if resume == AUTO or resume is None:
            found = checkpoints.newest(self.work, self._warn) if resume == AUTO and self.work.is_dir() else None
            if found and self._differs(found[1]):
                self._warn(f"{found[0]}: {self._differs(found[1])}; starting afresh")
                found = None
            if not found and self.machine.first and self.work.is_dir():
                shutil.rmtree(self.work)
        else:
            path = Path(resume)
            found = (path, checkpoints.read(path)) if path.is_file() else checkpoints.newest(path, self._warn)
            if found is None:
                raise MissingInput(f"{resume}: no checkpoint to resume from")
            if self._differs(found[1]):
                raise ConfigError(f"{found[0]}: cannot be resumed: {self._differs(found[1])}")
        self.machine.wait()
        if found:
            self._restore(found[1])
        if self.machine.first:
            self.journal = Journal(self.work, self.step, self.run.training.trackers, self.run.name)
            from stickgen_core.config import dump_yaml

            publish_text(self.work / "config.yaml", dump_yaml(self.run))
            if found:
                self.journal.say(f"resumed {found[0].name} at step {self.step} of {self.total}")

    def refuse_too_long(self) -> None:
        """Measure a step where `training.max_train_hours` is set, and refuse what is left of the run if it would take longer."""
        limit = self.run.training.max_train_hours
        if limit is not None and self.step < self.total:
            clips = self.batches.clips
            seconds = seconds_per_step(self.run, float(clips.frames.mean()), float(clips.actors.mean()), self.machine.device)
            estimate(self.total - self.step, seconds / self.machine.world, sum(p.numel() for p in self.params),
                     sum(p.numel() for p in self.model.parameters()), max_hours=limit)  # fmt: skip

    def _differs(self, payload: Mapping[str, Any]) -> str:
        """Why a checkpoint is not a state of this run, or nothing."""
        if payload.get("recipe") != self.origin.recipe:
            return "it was made with another configuration or version"
        for name, digest in self.origin.parents.items():
            if payload["parents"].get(name) != digest:
                return f"it was made from another {name} ({str(payload['parents'].get(name))[:12]}, now {digest[:12]})"
        if payload.get("images") != self.images_digest:
            return "it was made with other parallax pictures"
        return ""

    def _warn(self, text: str) -> None:
        if self.progress:
            self.progress(text, self.step, max(getattr(self, "total", 0), 1))

    def _restore(self, payload: Mapping[str, Any]) -> None:
        checkpoints.load_strictly_trainable(self.model, payload["model_state_dict"])
        self.ema.load_state_dict(payload["ema"])
        self.optimiser.load_state_dict(payload["optimizer_state_dict"])
        checkpoints.restore_rng(payload["rng"])
        self.step, self.best, self.metrics = payload["step"], payload["best"], dict(payload["metrics"])

    # -- the loop ------------------------------------------------------------------------------------------------------------------

    def go(self, out: Path, stop: Callable[[], bool], max_steps: int | None) -> TrainResult:
        t, machine = self.run.training, self.machine
        per_epoch = self.batches.steps_per_epoch
        last = self.total if max_steps is None else min(self.total, self.step + max_steps)
        steps = self.batches.prefetched(self.step // per_epoch, self.step % per_epoch, t.num_workers, t.prefetch_factor)
        self.clock = Clock()
        self.model.train()
        while self.step < last:
            waited = time.perf_counter()
            step = next(steps)
            self.clock.waited += time.perf_counter() - waited
            self.update(step)
            epoch_ends = self.step % per_epoch == 0
            epoch = self.step // per_epoch
            if self.step % t.log_every_steps == 0 or self.step == last:
                self.flush()
            if self._validates(epoch_ends, epoch):
                self.validate()
            if epoch_ends and epoch % t.checkpoint_every_epochs == 0:
                self.save(checkpoints.epoch_name(epoch))
                self._forget_old_epochs()
            ending = machine.any(stop()) if machine.world == 1 or self.step % t.log_every_steps == 0 else False
            if ending and self.step < self.total:
                self.save(checkpoints.LATEST)
                return TrainResult(self.work, "terminated", self.step, self.total, self.metrics)
            if t.save_every_steps and self.step % t.save_every_steps == 0 and self.step < last:
                self.save(checkpoints.LATEST)
        steps.close()
        self.save(checkpoints.LATEST)
        if self.step < self.total:
            return TrainResult(self.work, "paused", self.step, self.total, self.metrics)
        machine.wait()
        manifest = self.publish(out) if machine.first else None
        machine.wait()
        return TrainResult(out, "finished", self.step, self.total, self.metrics, manifest)

    def update(self, step: Step) -> None:
        """One optimiser step: every micro-batch's share of the loss, clipped gradients, AdamW, average. Nothing waits for the device."""
        t = self.run.training
        rate = learning_rate(self.step, self.total, self.warmup, t.learning_rate, t.final_learning_rate_share)
        for group in self.optimiser.param_groups:
            group["lr"] = group["lr"].fill_(rate) if isinstance(group["lr"], Tensor) else rate
        self.optimiser.zero_grad(set_to_none=True)
        terms = torch.zeros(len(TERMS), device=self.machine.device)
        for micro in step.micros:
            values, _ = self.forward(micro, step)
            (values @ self.objective.weights).backward()
            terms += values.detach()
        for p in self.params:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        self.machine.summed([p.grad for p in self.params if p.grad is not None] + [terms])
        norm = torch.nn.utils.clip_grad_norm_(self.params, t.clip_norm)
        self.optimiser.step()
        self.step += 1
        self.ema.update(self.step)
        self.clock.count(step)
        self.pending.append((step, terms, norm))

    def forward(self, micro: Micro, step: Step) -> tuple[Tensor, Tensor]:
        """Loss terms [5] of one micro-batch, already divided by the counts of the whole step."""
        batch, draws = to_device(micro.batch, self.machine.device), to_device(micro.draws, self.machine.device)
        shown = self.objective.hidden(conditions_of(batch), draws, self.camera_default)
        with self.machine.autocast:
            return self.objective.terms(self.compiled, target_of(batch, micro.full), shown, draws, step.counts)

    def flush(self) -> None:
        """Look at the steps since the last look: stop at the first that is not finite, else log their mean."""
        if not self.pending:
            return
        terms = torch.stack([t for _, t, _ in self.pending]).cpu()
        norms = torch.stack([n for _, _, n in self.pending]).float().cpu()
        bad = ~(terms.isfinite().all(1) & norms.isfinite())
        if bad.any():
            n = int(bad.nonzero()[0])
            self._stop_diverged(self.step - len(self.pending) + n + 1, terms[n], self.pending[n][0])
        clip = self.run.training.clip_norm
        values = {name: float(v) for name, v in zip(TERMS, terms.mean(0), strict=True)}
        values |= {"loss": float(terms.mean(0) @ self.objective.weights.cpu()), "gradient_norm": float(norms.mean())}
        values |= {"clipped_norm": float(norms.clamp(max=clip).mean()), "learning_rate": float(self.optimiser.param_groups[0]["lr"])}
        values |= self.clock.rates(self.total - self.step, self.machine.device)
        self.pending.clear()
        self.metrics |= {"train_loss": values["loss"], "frames_per_s": values["frames_per_s"]}
        if self.journal:
            self.journal.record(self.step, "train", values)
        if self.progress and self.machine.first:
            self.progress(f"{self.run.name} loss {values['loss']:.4f} {values['frames_per_s']:.0f} frames/s", self.step, self.total)

    def _stop_diverged(self, number: int, terms: Tensor, step: Step) -> None:
        names = [name for name, value in zip(TERMS, terms, strict=True) if not math.isfinite(value)] or ["gradient"]
        ids = ", ".join(step.clip_ids[:8]) + (f" and {len(step.clip_ids) - 8} more" if len(step.clip_ids) > 8 else "")
        raise Diverged(
            f"{self.run.name}: step {number}: {', '.join(names)} is not finite; clips {ids}; the last good checkpoint is in {self.work};"
            " lower training.learning_rate or look at those clips"
        )

    # -- validation and saving -----------------------------------------------------------------------------------------------------

    def _validates(self, epoch_ends: bool, epoch: int) -> bool:
        t = self.run.training
        if self.step == self.total:
            return True
        if t.validate_every_steps is not None:
            return self.step % t.validate_every_steps == 0
        return epoch_ends and epoch % t.validate_every_epochs == 0

    def validate(self) -> None:
        """The same draws every time, averaged weights; the best so far is kept under its own name."""
        self.flush()
        clips = self.validation.clips
        if len(clips):
            count = min(len(clips), self.run.training.validation_clips)
            step = self.validation.step(0, 0, torch.linspace(0, len(clips) - 1, count).long().numpy())
            self.ema.swap()
            self.model.eval()
            with torch.no_grad():
                terms = sum((self.forward(micro, step)[0] for micro in step.micros), torch.zeros(len(TERMS), device=self.machine.device))
            self.machine.summed([terms])
            shares = self.gradient_shares(step)
            self.model.train()
            self.ema.swap()
            values = {name: float(v) for name, v in zip(TERMS, terms, strict=True)} | {"loss": float(terms @ self.objective.weights)}
            self.metrics |= {f"val_{name}": value for name, value in values.items()}
            if self.journal:
                self.journal.record(self.step, "validation", values)
                self.journal.record(self.step, "gradient_share", shares)
            if not math.isfinite(values["loss"]) or values["loss"] > self.run.training.spike_factor * self.best:
                raise Diverged(
                    f"{self.run.name}: step {self.step}: validation loss {values['loss']:.4g}, best {self.best:.4g}; see {self.work}"
                )
            if values["loss"] >= self.best:
                return
            self.best = values["loss"]
            self.metrics["best_val_loss"] = self.best
        self.save(checkpoints.BEST)

    def gradient_shares(self, step: Step) -> dict[str, float]:
        """Each weighted term's share of the gradient that reaches the last hidden states, on one micro-batch."""
        if not step.micros:
            return {}
        with torch.enable_grad():
            values, hidden = self.forward(step.micros[0], step)
            weighted = values * self.objective.weights
            norms = [torch.autograd.grad(v, hidden, retain_graph=True, allow_unused=True)[0] for v in weighted]
        sizes = [0.0 if g is None else float(g.float().norm()) for g in norms]
        return {name: size / (sum(sizes) or 1.0) for name, size in zip(TERMS, sizes, strict=True)}

    def payload(self) -> dict[str, Any]:
        """Everything that a resumed run or a user of the model needs, as plain tensors and values."""
        run, per_epoch = self.run, self.batches.steps_per_epoch
        live = {name: value.detach() for name, value in self.model.state_dict().items()}
        return {
            "format": checkpoints.FORMAT, "model_state_dict": adapter_state(live) if run.lora.enabled else live,
            "ema": {name: value.clone() for name, value in self.ema.state_dict().items()}, "optimizer_state_dict": self.optimiser.state_dict(),
            "scheduler": {"step": self.step, "total_steps": self.total, "warmup_steps": self.warmup},
            "sampler": {"seed": run.training.seed, "epoch": self.step // per_epoch, "position": self.step % per_epoch},
            "epoch": self.step // per_epoch, "step": self.step, "config": run.model_dump(mode="json"), "config_hash": run.hash,
            "recipe": self.origin.recipe, "parents": self.origin.parents, "base": vars(self.base) if self.base else None, "rng": checkpoints.rng_state(),
            "statistics": self.statistics.to_dict(), ENCODER: self.encoder_digest, "images": self.images_digest, "environment": environment(self.machine), "metrics": dict(self.metrics), "best": self.best,
        }  # fmt: skip

    def save(self, name: str) -> None:
        """Save only what has been looked at: a step that is not finite never reaches a checkpoint."""
        self.flush()
        if not self.machine.first:
            return
        if name == checkpoints.LATEST:
            checkpoints.roll(self.work / name)
        checkpoints.save(self.work / name, self.payload())

    def _forget_old_epochs(self) -> None:
        keep = self.run.training.keep_last
        saved = sorted(self.work.glob("checkpoint_epoch_*.pth"), key=lambda p: int(p.stem.rpartition("_")[2]))
        for path in saved[:-keep] if keep and self.machine.first else []:
            path.unlink(missing_ok=True)

    def publish(self, out: Path) -> Manifest:
        """The finished working folder becomes `out`: release file, manifest last, then one rename."""
        best = checkpoints.read(self.work / checkpoints.BEST)
        checkpoints.write_release(self.work, best)
        (self.work / checkpoints.PREVIOUS).unlink(missing_ok=True)
        digest = checkpoints.weights_digest(checkpoints.weights_of(self.work, best))
        names = [p.name for p in sorted(self.work.iterdir()) if p.suffix in (".pth", ".safetensors")] + [METRICS, "config.yaml"]
        files = {name: FileRecord((self.work / name).stat().st_size, digest_file(self.work / name)) for name in names}
        counts = {
            "steps": self.step, "best_step": best["step"], "parameters": sum(p.numel() for p in self.model.parameters()),
            "trainable_parameters": sum(p.numel() for p in self.params), "train_clips": len(self.batches.clips),
        }  # fmt: skip
        counts |= {name: self.metrics[name] for name in ("train_loss", "val_loss", "best_val_loss") if name in self.metrics}
        notes = {"metrics": {k: v for k, v in self.metrics.items() if k != "frames_per_s"}, "config_hash": self.run.hash,
                 "statistics": self.statistics.digest, ENCODER: self.encoder_digest,
                 "images": self.images_digest, "base": vars(self.base) if self.base else None}  # fmt: skip
        made = {
            "seconds": self.clock.seconds,
            "frames_per_s": self.metrics.get("frames_per_s", 0.0),
            "environment": environment(self.machine),
        }
        manifest = Manifest(self.origin.name, "checkpoint", digest, self.origin.recipe, self.origin.parents, counts, files, notes, made)
        write_manifest(self.work, manifest)
        old = out.with_name(f".{out.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            out.rename(old)
        self.work.rename(out)
        shutil.rmtree(old, ignore_errors=True)
        return manifest


def _same_encoder(origin: Path, trained: str | None, embedded: str | None) -> None:
    """A fine-tuned model reads the text vectors that its parent learned to read."""
    if trained and embedded and trained != embedded:
        raise ConfigError(
            f"{origin}: trained with text encoder {trained[:12]}, the corpus is embedded with {embedded[:12]}; embed it with text.encoder of the parent"
        )


def _parent_state(parent: Denoiser, model: Denoiser, adds_images: bool) -> dict[str, Tensor]:
    """The parent's weights; a multimodal model that starts from a motion-only one keeps its own fresh image layers."""
    state = parent.state_dict()
    if adds_images:
        fresh = model.state_dict()
        state |= {name: fresh[name] for name in fresh if name.startswith(("image_encoder.", "fusion."))}
    return state


class Clock:
    """Useful frames, padding and waiting since the last look."""

    def __init__(self) -> None:
        self.began = self.looked = time.perf_counter()
        self.waited, self.frames, self.padded, self.steps = 0.0, 0, 0, 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def count(self, step: Step) -> None:
        self.frames += step.counts.frames
        self.padded += step.padded_tokens
        self.steps += 1

    def rates(self, steps_left: int, device: torch.device) -> dict[str, float]:
        """Figures of the interval that ends now."""
        now = time.perf_counter()
        passed = max(now - self.looked, 1e-9)
        values = {
            "frames_per_s": self.frames / passed, "useful_share": self.frames / max(self.padded, 1), "loader_wait_share": self.waited / passed,
            "eta_s": steps_left * passed / max(self.steps, 1),
        }  # fmt: skip
        if device.type == "cuda":
            values["memory_gb"] = torch.cuda.max_memory_allocated(device) / 2**30
        self.looked, self.waited, self.frames, self.padded, self.steps = now, 0.0, 0, 0, 0
        return values
