"""`stickgen train --dry-run`: what a run would be: sizes, steps, memory, what it needs, and how long one step takes here."""

import argparse
from typing import TYPE_CHECKING

from stickgen_core.errors import MissingInput
from stickgen_core.settings import Settings
from stickgen_core.training.config import RunConfig
from stickgen_pipeline.assets.checkpoints import split_of
from stickgen_pipeline.commands.common import answer, duration, size, table
from stickgen_pipeline.freshness import plan
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.resources import costs_of, state_of

if TYPE_CHECKING:
    from stickgen_core.training.cost import Estimate

# Weights, gradients, two moments of AdamW and the running average: five float32 numbers a parameter.
BYTES_PER_TRAINED_PARAMETER = 20
BYTES_PER_FROZEN_PARAMETER = 4


def dry_run(options: argparse.Namespace, settings: Settings, run: RunConfig) -> int:
    """Count on the built model, take clips from the corpus and time a step if it is there; refuse what is over max_train_hours; train nothing."""
    from stickgen_core.model.denoiser import build_model
    from stickgen_core.model.lora import inject, trainable

    model = build_model(run.model, run.data.use_parallax_augmentation)
    if run.stage == "lora":
        inject(model, run.lora)
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in trainable(model)) if run.stage == "lora" else total
    del model
    clips, frames, actors = _training_clips(settings, run)
    per_epoch = -(-clips // run.training.effective_batch) if clips else None
    steps = run.training.steps or (per_epoch * run.training.epochs if per_epoch else None)
    expected = _expected(run, steps, frames, actors, trained, total) if steps and clips else None
    graph = steps_of(settings)
    key = f"checkpoint/{run.name}"
    planned = plan(graph, [graph[key]], state_of(settings), costs_of(settings).read())[0]
    state_bytes = trained * BYTES_PER_TRAINED_PARAMETER + (total - trained) * BYTES_PER_FROZEN_PARAMETER
    values = {
        "run": run.name, "hash": run.hash, "parameters": total, "trained": trained, "clips": clips, "batch": run.training.effective_batch,
        "steps_per_epoch": per_epoch, "steps": steps, "state_bytes": state_bytes, "action": planned.action, "because": list(planned.because),
        "seconds_last_time": planned.seconds, "hours_expected": expected.hours if expected else None, "folder": str(graph[key].folder),
    }  # fmt: skip
    rows = [
        ("run", f"{run.name}, configuration {run.hash[:12]}"),
        ("parameters", f"{total:,}, {trained:,} of them trained"),
        ("data", f"{clips:,} training clips in embedded_{split_of(run.stage)}" if clips else "the corpus is not built yet"),
        ("steps", f"{steps:,} of {run.training.effective_batch} clips" if steps else f"{run.training.epochs} epochs of {run.training.effective_batch} clips"),
        ("memory", f"{size(state_bytes)} for weights, gradients, optimiser and average; activations come on top"),
        ("time", f"about {duration(expected.hours * 3600)}, from a step measured here" if expected else "measured once the corpus is built"),
        ("last time", f"{duration(planned.seconds)} when it was last made here" if planned.seconds else "never timed here"),
        ("would", {"reuse": "reuse what is there"}.get(planned.action, f"train ({'; '.join(planned.because)})")),
        ("into", str(graph[key].folder)),
    ]  # fmt: skip
    return answer(options, values, table(("", run.name), rows))


def _training_clips(settings: Settings, run: RunConfig) -> tuple[int, float, float]:
    """(training clips of the run, their mean frames, their mean people); zeros while the corpus is not there."""
    from stickgen_core.corpus import Corpus
    from stickgen_core.training.clips import queried
    from stickgen_core.training.statistics import split_rows

    try:
        corpus = Corpus.open(settings.places.embedded(split_of(run.stage)))
    except MissingInput:
        return 0, 0.0, 0.0
    rows = queried(corpus, split_rows(corpus, "train"), run.data)
    if not len(rows):
        return 0, 0.0, 0.0
    frames = corpus.column("frames")[rows].clip(max=run.data.max_frames)
    return len(rows), float(frames.mean()), float(corpus.column("actors")[rows].mean())


def _expected(run: RunConfig, steps: int, frames: float, actors: float, trained: int, total: int) -> "Estimate":
    """Hours at the speed of one measured step on the run's device."""
    from stickgen_core.training.cost import estimate, seconds_per_step
    from stickgen_core.training.devices import machine_for

    with machine_for(run.training) as machine:
        seconds = seconds_per_step(run, frames, actors, machine.device)
    return estimate(steps, seconds, trained, total, max_hours=run.training.max_train_hours)
