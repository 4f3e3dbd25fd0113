"""`stickgen train --dry-run`: what a run would be: sizes, steps, memory, what it needs, and how long one step takes here."""

import argparse

from stickgen_core.errors import MissingInput
from stickgen_core.settings import Settings
from stickgen_core.training.config import RunConfig
from stickgen_pipeline.assets.checkpoints import split_of
from stickgen_pipeline.commands.common import answer, duration, size, table
from stickgen_pipeline.freshness import plan
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.resources import costs_of, state_of

# Weights, gradients, two moments of AdamW and the running average: five float32 numbers a parameter.
BYTES_PER_TRAINED_PARAMETER = 20
BYTES_PER_FROZEN_PARAMETER = 4


def dry_run(options: argparse.Namespace, settings: Settings, run: RunConfig) -> int:
    """Count on the built model, take the number of clips from the corpus if it is there; train nothing."""
    from stickgen_core.model.denoiser import build_model
    from stickgen_core.model.lora import inject, trainable

    model = build_model(run.model, run.data.use_parallax_augmentation)
    if run.stage == "lora":
        inject(model, run.lora)
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in trainable(model)) if run.stage == "lora" else total
    clips = _training_clips(settings, run)
    per_epoch = -(-clips // run.training.effective_batch) if clips else None
    steps = run.training.steps or (per_epoch * run.training.epochs if per_epoch else None)
    graph = steps_of(settings)
    key = f"checkpoint/{run.name}"
    planned = plan(graph, [graph[key]], state_of(settings), costs_of(settings).read())[0]
    state_bytes = trained * BYTES_PER_TRAINED_PARAMETER + (total - trained) * BYTES_PER_FROZEN_PARAMETER
    values = {
        "run": run.name, "hash": run.hash, "parameters": total, "trained": trained, "clips": clips, "batch": run.training.effective_batch,
        "steps_per_epoch": per_epoch, "steps": steps, "state_bytes": state_bytes, "action": planned.action, "because": list(planned.because),
        "seconds_last_time": planned.seconds, "folder": str(graph[key].folder),
    }  # fmt: skip
    rows = [
        ("run", f"{run.name}, configuration {run.hash[:12]}"),
        ("parameters", f"{total:,}, {trained:,} of them trained"),
        ("data", f"{clips:,} training clips in embedded_{split_of(run.stage)}" if clips else "the corpus is not built yet"),
        ("steps", f"{steps:,} of {run.training.effective_batch} clips" if steps else f"{run.training.epochs} epochs of {run.training.effective_batch} clips"),
        ("memory", f"{size(state_bytes)} for weights, gradients, optimiser and average; activations come on top"),
        ("time", f"{duration(planned.seconds)} when it was last made here" if planned.seconds else "never timed here"),
        ("would", {"reuse": "reuse what is there"}.get(planned.action, f"train ({'; '.join(planned.because)})")),
        ("into", str(graph[key].folder)),
    ]  # fmt: skip
    return answer(options, values, table(("", run.name), rows))


def _training_clips(settings: Settings, run: RunConfig) -> int:
    from stickgen_core.corpus import Corpus

    try:
        corpus = Corpus.open(settings.places.embedded(split_of(run.stage)))
    except MissingInput:
        return 0
    return int((corpus.column("split") == "train").sum())
