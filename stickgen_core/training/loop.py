"""The training loop, from top to bottom: prepare, resume, step, validate, save, publish.

A run works in `<out>.training` and becomes `<out>` whole when it is finished, so that a reader sees the old checkpoint or the new one.
Resuming there, after any kind of death, gives the bits of a run that was never interrupted (same machine, same threads).
"""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import record_function

from stickgen_core.config import dump_yaml
from stickgen_core.corpus import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.model.lora import adapter_state
from stickgen_core.model.normalise import Normaliser, Statistics
from stickgen_core.model.objective import TERMS, Objective
from stickgen_core.records.manifest import Manifest, find_manifest
from stickgen_core.records.publish import exclusively, publish_text
from stickgen_core.training import checkpoints
from stickgen_core.training.batches import Batches, ImageSource, Micro, Step, conditions_of, target_of, to_device
from stickgen_core.training.clips import DEFAULT_CAMERA, Clips, Vectors
from stickgen_core.training.clock import Clock, progress_line
from stickgen_core.training.config import RunConfig
from stickgen_core.training.cost import Budget, Work, matmul_peak, refuse_too_dear
from stickgen_core.training.devices import Machine, environment, machine_for, of_memory
from stickgen_core.training.ema import Ema
from stickgen_core.training.images import ParallaxImages
from stickgen_core.training.journal import Journal
from stickgen_core.training.publishing import forget_old_epochs, publish
from stickgen_core.training.schedule import learning_rate, optimiser_for, schedule
from stickgen_core.training.starting import AUTO, Origin, checkpoint_parents, keep_best, starting_model, state_to_resume
from stickgen_core.training.stopping import asked_to_stop, not_finite, spiked

Progress = Callable[[str, int, int], None] | None
Watch = Callable[[Mapping[str, float]], None] | None


@dataclass(frozen=True)
class TrainResult:
    """How a call ended: finished, current (nothing to do), terminated (SIGTERM) or paused (`max_steps`)."""

    folder: Path
    stopped: str
    step: int
    total_steps: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    manifest: Manifest | None = None


def train(
    run: RunConfig, corpus: Corpus, vectors: Vectors, statistics: Statistics | None, out: Path, *, init_from: Path | None = None,
    resume: str | Path | None = AUTO, progress: Progress = None, watch: Watch = None, max_steps: int | None = None,
    images: ImageSource | None = None, parallax: Path | None = None, name: str | None = None, recipe: str | None = None,
    parents: Mapping[str, str] | None = None, stopping: Callable[[], bool] | None = None, budget: Budget | None = None,
) -> TrainResult:  # fmt: skip
    """Train one checkpoint and publish it at `out`; asking again for what is there returns at once.

    statistics             of the pretraining corpus; None with `init_from`, whose scale a fine-tuned model keeps
    resume                 "auto" goes on with this very run if it was interrupted; a path goes on from that file; None starts afresh
    watch                  gets the metrics after each validation
    images, parallax       of the clips; by default those of data.parallax_root below the folder `parallax`, where the run asks for them
    max_steps              pause after this many steps of this call
    name, recipe, parents  the manifest's, where a caller keeps them; by default those of the run and of what it reads
    stopping               asked after each step, like SIGTERM: true saves and returns
    budget                 refuse the run, before its first step, if it would cost more
    """
    recipe = recipe or run.recipe
    parents = dict(parents) if parents is not None else checkpoint_parents(corpus, statistics, init_from)
    manifest = find_manifest(out)
    if manifest is not None and manifest.is_current(recipe, parents):
        steps = int(manifest.counts["steps"])
        return TrainResult(out, "current", steps, steps, manifest.notes["metrics"], manifest)
    work = out.with_name(f"{out.name}.training")
    with ExitStack() as held:
        machine = held.enter_context(machine_for(run.training))
        stop = held.enter_context(asked_to_stop(stopping))
        if machine.first:
            held.enter_context(exclusively(out.with_name(f".{out.name}.lock")))
        try:
            if images is None and run.data.use_parallax_augmentation:
                images = ParallaxImages.open(run, corpus, parallax)
            origin = Origin(name or f"checkpoint/{run.name}", recipe, parents, images.digest if images else None)
            training = Training(run, corpus, vectors, statistics, work, machine, init_from, origin, progress, watch, images)
            held.callback(training.close)
            training.resume(resume)
            left = training.total - training.step
            refuse_too_dear(run, training.batches.clips, left, machine, budget)
            return training.go(out, stop, max_steps)
        except (MemoryError, RuntimeError) as error:
            if not of_memory(error):
                raise
            told = f" ({str(error).splitlines()[0]})" if str(error) else ""
            raise StickgenError(f"{run.name}: out of memory{told}; lower data.token_budget (now {run.data.token_budget})") from None


class Training:
    """The state of one run and what is done with it."""

    def __init__(
        self, run: RunConfig, corpus: Corpus, vectors: Vectors, statistics: Statistics | None, work: Path, machine: Machine,
        init_from: Path | None, origin: Origin, progress: Progress, watch: Watch, images: ImageSource | None,
    ):  # fmt: skip
        self.run, self.work, self.machine, self.origin, self.progress, self.watch = run, work, machine, origin, progress, watch
        torch.manual_seed(run.training.seed)
        self.encoder_digest: str | None = corpus.manifest.notes.get(checkpoints.ENCODER)
        start = starting_model(run, work, init_from, statistics, self.encoder_digest)
        self.model, self.statistics, self.base = start.model.to(machine.device), start.statistics, start.base
        self.statistics.require_width(run.model.input_dim)
        self.params = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = optimiser_for(self.model, run, machine.device)
        self.ema = Ema(self.model, run.training.ema_decay, run.training.ema_warmup)
        self.objective = Objective(run.objective, Normaliser(self.statistics, machine.device))
        self.camera_default = torch.tensor(DEFAULT_CAMERA, device=machine.device)
        clips = {split: Clips(corpus, split, vectors, self.statistics, run.data, run.model.embedding_dim) for split in ("train", "val")}
        size, seed = run.training.effective_batch, run.training.seed
        self.batches, self.validation = (
            Batches(clips[split], run.objective, seed, size, rank=machine.rank, world=machine.world, name=name, images=images)
            for split, name in (("train", "train"), ("val", "validation"))
        )
        self.total, self.warmup = schedule(run, self.batches.steps_per_epoch)
        self.step, self.best = 0, math.inf
        self.metrics: dict[str, float] = {}
        self.pending: list[tuple[Step, Tensor, Tensor]] = []
        self.last_clips: tuple[str, ...] = ()
        self.compiled = torch.compile(self.model) if run.training.compile and machine.device.type == "cuda" else self.model
        self.journal: Journal | None = None

    def resume(self, resume: str | Path | None) -> None:
        """Go on from a checkpoint, or clear the working folder and start."""
        found = state_to_resume(resume, self.work, self.origin, self._warn)
        if not found and self.machine.first and self.work.is_dir():
            shutil.rmtree(self.work)
        self.machine.wait()
        if found:
            payload = found[1]
            checkpoints.load_strictly_trainable(self.model, payload["model_state_dict"])
            self.ema.load_state_dict(payload["ema"])
            self.optimiser.load_state_dict(payload["optimizer_state_dict"])
            checkpoints.restore_rng(payload["rng"], self.machine.rank, self.machine.world)
            self.step, self.metrics = payload["step"], dict(payload["metrics"])
            kept = self.machine.any(self.machine.first and keep_best(found[0], payload, self.work, self.origin))
            self.best = payload["best"] if kept else math.inf
        if self.machine.first:
            told = self.run.model_dump(mode="json")
            self.journal = Journal(self.work, self.step, self.run.training.trackers, self.run.name, told)
            publish_text(self.work / "config.yaml", dump_yaml(self.run))
            if found:
                anew = "" if self.best == found[1]["best"] else "; its best checkpoint is not there: the next validation counts as best"
                self.journal.say(f"resumed {found[0].name} at step {self.step} of {self.total}{anew}")

    def close(self) -> None:
        """Let go of what follows the run from outside."""
        if self.journal:
            self.journal.close()

    def _warn(self, text: str) -> None:
        if self.progress:
            self.progress(text, self.step, max(self.total, 1))

    # -- the loop ------------------------------------------------------------------------------------------------------------------

    def go(self, out: Path, stop: Callable[[], bool], max_steps: int | None) -> TrainResult:
        t, machine = self.run.training, self.machine
        per_epoch = self.batches.steps_per_epoch
        last = self.total if max_steps is None else min(self.total, self.step + max_steps)
        steps = self.batches.prefetched(self.step // per_epoch, self.step % per_epoch, t.num_workers, t.prefetch_factor)
        self.clock = Clock(Work.of(self.model), matmul_peak(machine.device) * machine.world, machine.device)
        self.model.train()
        while self.step < last:
            waited = time.perf_counter()
            with record_function("load"):
                step = next(steps)
            self.clock.waited += time.perf_counter() - waited
            self.update(step)
            epoch, inside = divmod(self.step, per_epoch)
            if self.step % t.log_every_steps == 0 or self.step == last:
                self.flush()
            if self._validates(inside == 0, epoch):
                self.validate()
            if inside == 0 and epoch % t.checkpoint_every_epochs == 0:
                self.save(checkpoints.epoch_name(epoch))
                if machine.first:
                    forget_old_epochs(self.work, t.keep_last)
            ending = machine.any(stop()) if machine.world == 1 or self.step % t.log_every_steps == 0 else False
            if ending and self.step < self.total:
                self.save(checkpoints.LATEST)
                return TrainResult(self.work, "terminated", self.step, self.total, self.metrics)
            if t.save_every_steps and self.step % t.save_every_steps == 0 and self.step < last:
                self.save(checkpoints.LATEST)
        steps.close()
        if self.step == self.total and machine.any(machine.first and not (self.work / checkpoints.BEST).is_file()):
            self.validate()
        self.save(checkpoints.LATEST)
        if self.step < self.total:
            return TrainResult(self.work, "paused", self.step, self.total, self.metrics)
        self.close()
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
            with record_function("forward"):
                values, _ = self.forward(micro, step)
            with record_function("backward"):
                (values @ self.objective.weights).backward()
            terms += values.detach()
        for p in self.params:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        with record_function("optimiser"):
            self.machine.summed([p.grad for p in self.params if p.grad is not None] + [terms])
            norm = torch.nn.utils.clip_grad_norm_(self.params, t.clip_norm)
            self.optimiser.step()
            self.step += 1
            self.ema.update(self.step)
        self.clock.count(step)
        self.pending.append((step, terms, norm))
        self.last_clips = step.clip_ids

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
            number, ids = self.step - len(self.pending) + n + 1, self.pending[n][0].clip_ids
            raise not_finite(self.run.name, number, dict(zip(TERMS, terms[n].tolist(), strict=True)), ids, self.work)
        values = {name: float(v) for name, v in zip(TERMS, terms.mean(0), strict=True)}
        values |= {"loss": float(terms.mean(0) @ self.objective.weights.cpu()), "gradient_norm": float(norms.mean())}
        values |= {"clipped_norm": float(norms.clamp(max=self.run.training.clip_norm).mean())}
        values |= {"learning_rate": float(self.optimiser.param_groups[0]["lr"]), **self.clock.rates(self.total - self.step)}
        self.pending.clear()
        self.metrics |= {"train_loss": values["loss"], **{name: values[name] for name in ("frames_per_s", "peak_share", "memory_gb")}}
        if self.journal:
            self.journal.record(self.step, "train", values)
        if self.progress and self.machine.first:
            self.progress(progress_line(self.run.name, values), self.step, self.total)

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
                weighted = dict(zip(TERMS, (terms * self.objective.weights).tolist(), strict=True))
                raise spiked(self.run.name, self.step, values["loss"], self.best, weighted, self.last_clips, self.work)
        if self.watch and self.machine.first:
            self.watch({"step": self.step, "steps": self.total, "epoch": self.step / self.batches.steps_per_epoch, **self.metrics})
        if len(clips) and self.metrics["val_loss"] >= self.best:
            return
        if len(clips):
            self.best = self.metrics["best_val_loss"] = self.metrics["val_loss"]
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

    def payload(self, rng: list[dict[str, Any]]) -> dict[str, Any]:
        """Everything that a resumed run or a user of the model needs, as plain tensors and values."""
        run, (epoch, position) = self.run, divmod(self.step, self.batches.steps_per_epoch)
        live = {name: value.detach() for name, value in self.model.state_dict().items()}
        return {
            "format": checkpoints.FORMAT, "model_state_dict": adapter_state(live) if run.lora.enabled else live,
            "ema": {name: value.clone() for name, value in self.ema.state_dict().items()}, "optimizer_state_dict": self.optimiser.state_dict(),
            "scheduler": {"step": self.step, "total_steps": self.total, "warmup_steps": self.warmup},
            "sampler": {"seed": run.training.seed, "epoch": epoch, "position": position},
            "epoch": epoch, "step": self.step, "config": run.model_dump(mode="json"), "config_hash": run.hash,
            "recipe": self.origin.recipe, "parents": self.origin.parents, "base": vars(self.base) if self.base else None,
            "rng": rng[0] if len(rng) == 1 else {**rng[0], checkpoints.RANKS: rng}, "statistics": self.statistics.to_dict(), checkpoints.ENCODER: self.encoder_digest,
            "images": self.origin.images, "environment": environment(self.machine), "metrics": dict(self.metrics), "best": self.best,
        }  # fmt: skip

    def save(self, name: str) -> None:
        """Save only what has been looked at: a step that is not finite never reaches a checkpoint."""
        self.flush()
        rng = self.machine.gathered(checkpoints.rng_state())
        if not self.machine.first:
            return
        if name == checkpoints.LATEST:
            checkpoints.roll(self.work / name)
        checkpoints.save(self.work / name, self.payload(rng))

    def publish(self, out: Path) -> Manifest:
        counts = {
            "steps": self.step, "parameters": sum(p.numel() for p in self.model.parameters()),
            "trainable_parameters": sum(p.numel() for p in self.params), "train_clips": len(self.batches.clips),
        }  # fmt: skip
        notes = {"config_hash": self.run.hash, "statistics": self.statistics.digest, checkpoints.ENCODER: self.encoder_digest,
                 "images": self.origin.images, "base": vars(self.base) if self.base else None}  # fmt: skip
        made = {"seconds": self.clock.seconds, "environment": environment(self.machine)}
        return publish(self.work, out, self.origin, counts, self.metrics, notes, made)
