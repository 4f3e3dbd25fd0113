"""`stickgen train --dry-run`: hours, memory, disk and money of a run, or of all nine, from a step that is measured here. Trains nothing."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.settings import Settings
from stickgen_core.training.config import STAGES, VARIANTS, RunConfig
from stickgen_pipeline.assets.checkpoints import split_of
from stickgen_pipeline.commands.common import answer, duration, size, table
from stickgen_pipeline.freshness import plan
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.resources import costs_of, state_of

if TYPE_CHECKING:
    from stickgen_core.training.cost import StepCost

UNBUILT = "the corpus is not built yet (--clips and --clip-frames say what it will be)"


def dry_run(options: argparse.Namespace, settings: Settings) -> int:
    """One run or all; an error at the end if one of them is over training.max_train_hours or cost.budget."""
    runs = [
        run_of(settings, variant, stage)
        for variant in VARIANTS if options.variant in (None, variant)
        for stage in STAGES if options.stage in (None, stage)
    ]  # fmt: skip
    found = [_expected(options, settings, run) for run in runs]
    cost = settings.config.cost
    total = {name: sum(values[name] or 0 for values in found) for name in ("hours", "disk_mb", "money")}
    if len(found) == 1:
        text = table(("", runs[0].name), list(_page(found[0])))
    else:
        columns = ("run", "trained of all parameters", "clips", "steps", "hours", "memory", "checkpoint", "disk", "money")
        last = ("together", "", "", "", f"{total['hours']:.3g}", "", "", size(total["disk_mb"] * 1e6), f"{total['money']:.2f}")
        text = table(columns, [*map(_row, found), last])
    price = f"money: {cost.price_per_hour:g} an hour of {cost.machine} (cost.prices_per_hour); hours: as measured on this machine's {found[0]['device']}"
    answer(options, {"runs": found, **total, "price_per_hour": cost.price_per_hour}, f"{text}\n{price}")
    if over := [str(values["refused"]) for values in found if values["refused"]]:
        raise StickgenError("; ".join(over))
    return 0


def _expected(options: argparse.Namespace, settings: Settings, run: RunConfig) -> dict[str, Any]:
    """Count on the built model, take clips from the corpus (or as the options say) and time a step."""
    from stickgen_core.training.cost import Budget, StepCost, estimate

    total, trained = _counted(run)
    clips, frames, actors = _training_clips(settings, run)
    clips, frames = options.clips or clips, options.clip_frames or frames
    per_epoch = -(-clips // run.training.effective_batch)
    steps = run.training.steps or per_epoch * run.training.epochs
    known = bool(steps and frames)
    step, device = _measured(run, frames, actors or 1.0) if known else (StepCost(0.0, 0.0), run.training.device)
    cost, unlimited = settings.config.cost, run.training.model_copy(update={"max_train_hours": None})
    found = estimate(run.model_copy(update={"training": unlimited}), steps, step, trained, total, per_epoch, Budget(cost.price_per_hour))
    refused = ""
    try:
        estimate(run, steps, step, trained, total, per_epoch, Budget(cost.price_per_hour, cost.budget))
    except StickgenError as error:
        refused = str(error)
    graph = steps_of(settings)
    planned = plan(graph, [graph[f"checkpoint/{run.name}"]], state_of(settings), costs_of(settings).read())[0]
    return {
        "run": run.name, "hash": run.hash, "parameters": total, "trained": trained, "clips": clips, "mean_frames": frames,
        "batch": run.training.effective_batch, "steps_per_epoch": per_epoch, **asdict(found), "hours": found.hours if known else None,
        "money": found.money if known else None, "seconds_per_step": step.seconds if known else None, "device": device,
        "action": planned.action, "because": list(planned.because), "seconds_last_time": planned.seconds,
        "folder": str(settings.places.checkpoint(run.variant, run.stage)), "refused": refused,
    }  # fmt: skip


def _counted(run: RunConfig) -> tuple[int, int]:
    """(all parameters, those that train)."""
    from stickgen_core.model.denoiser import build_model
    from stickgen_core.model.lora import inject, trainable

    model = build_model(run.model, run.data.use_parallax_augmentation)
    if run.lora.enabled:
        inject(model, run.lora)
    return sum(p.numel() for p in model.parameters()), sum(p.numel() for p in trainable(model))


def _page(v: dict[str, Any]) -> Iterator[tuple[str, str]]:
    known = v["hours"] is not None
    yield "configuration", v["hash"][:12]
    yield "parameters", f"{v['parameters']:,}, {v['trained']:,} of them trained"
    yield "data", f"{v['clips']:,} training clips of {v['mean_frames']:.0f} frames" if v["clips"] else UNBUILT
    yield "steps", f"{v['steps']:,} of {v['batch']} clips"
    yield (
        "memory",
        f"{size(v['state_mb'] * 1e6)} for weights, gradients, optimiser and average; {size(v['activations_mb'] * 1e6)} for activations",
    )
    yield "disk", f"{size(v['disk_mb'] * 1e6)}; {size(v['checkpoint_mb'] * 1e6)} a checkpoint"
    yield "time", f"about {duration(v['hours'] * 3600)}, {v['seconds_per_step']:.3g} s a step" if known else UNBUILT
    yield "money", f"about {v['money']:.2f}" if known else UNBUILT
    yield "last time", f"{duration(v['seconds_last_time'])} when it was last made here" if v["seconds_last_time"] else "never timed here"
    yield "would", "reuse what is there" if v["action"] == "reuse" else f"train ({'; '.join(v['because'])})"
    yield "into", v["folder"]


def _row(v: dict[str, Any]) -> tuple[str, ...]:
    known = v["hours"] is not None
    return (
        v["run"], f"{v['trained']:,} of {v['parameters']:,}", f"{v['clips']:,}", f"{v['steps']:,}", f"{v['hours']:.3g}" if known else "?",
        size((v["state_mb"] + v["activations_mb"]) * 1e6), size(v["checkpoint_mb"] * 1e6), size(v["disk_mb"] * 1e6), f"{v['money']:.2f}" if known else "?",
    )  # fmt: skip


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


def _measured(run: RunConfig, frames: float, actors: float) -> tuple["StepCost", str]:
    """One measured step on the run's device."""
    from stickgen_core.training.cost import measure_step
    from stickgen_core.training.devices import machine_for

    with machine_for(run.training) as machine:
        return measure_step(run, frames, actors, machine.device), str(machine.device)
