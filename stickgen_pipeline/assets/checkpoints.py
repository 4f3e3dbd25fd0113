"""Nine checkpoints: pretrain, SFT on it, LoRA on that, for three variants. Stale ones show; only a person or a schedule trains."""

from functools import partial
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.records.manifest import Manifest
from stickgen_core.settings import Settings
from stickgen_core.training.config import RunConfig
from stickgen_pipeline.assets.corpus import STATISTICS, statistics_folder
from stickgen_pipeline.assets.rendering import views_for
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work
from stickgen_pipeline.tables import curve, markdown

TITLES = {
    "pretrain": "trained on the whole pretrain corpus",
    "sft": "fine-tuned on the curated SFT corpus",
    "lora": "low-rank adapters on the SFT checkpoint",
}


def split_of(stage: str) -> str:
    """SFT and LoRA read the same corpus."""
    return "pretrain" if stage == "pretrain" else "sft"


def checkpoint_steps(settings: Settings) -> list[Step]:
    pipeline = settings.config.pipeline
    return [_checkpoint(run_of(settings, variant, stage), settings) for variant in pipeline.variants for stage in pipeline.stages]


def _checkpoint(run: RunConfig, settings: Settings) -> Step:
    parent = (f"checkpoint/{run.variant}_{run.parent_stage}",) if run.parent_stage else ()
    return Step(
        key=f"checkpoint/{run.name}",
        group=run.variant,
        description=f"The {run.variant} model, {TITLES[run.stage]}.",
        folder=settings.places.checkpoint(run.variant, run.stage),
        version=recipe(settings, "checkpoint", run=run.recipe),
        make=partial(_make, run, settings),
        parents=(f"corpus/embedded_{split_of(run.stage)}", "corpus/motion_statistics", *views_for(run, settings), *parent),
        kept="checkpoint",
        checks=(Check("learned", "Training ended with finite losses and a checkpoint that loads.", _learned),),
        show=_show,
        facts={"run_hash": run.hash, "width": run.model.d_model, "layers": run.model.num_layers, "batch": run.training.effective_batch},
        kinds=frozenset({"pytorch"}),
        pool="gpu",
        apart=True,
        automatic=False,
    )


def _make(run: RunConfig, settings: Settings, work: Work) -> None:
    from stickgen_core.training.cost import Budget
    from stickgen_core.training.statistics import load_statistics
    from stickgen_core.training.trainer import train

    places = settings.places
    train(
        run,
        Corpus.open(places.embedded(split_of(run.stage))),
        work.folder,
        text_vectors=places.text_vectors,
        statistics=load_statistics(statistics_folder(settings) / STATISTICS),
        parent=places.checkpoint(run.variant, run.parent_stage) if run.parent_stage else None,
        places=places,
        name=work.key,
        recipe=work.recipe,
        parents=work.inputs,
        progress=work.progress,
        stopping=work.stopping,
        watch=work.watch,
        budget=Budget(settings.config.cost.price_per_hour, settings.config.cost.budget),
    )


def _learned(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    from math import isfinite

    losses = {name: float(value) for name, value in manifest.counts.items() if "loss" in name}
    missing = [name for name in manifest.files if not (folder / name).is_file()]
    passed = not missing and all(map(isfinite, losses.values()))
    text = (
        f"missing {missing[0]}" if missing else ", ".join(f"{name} {value:.4g}" for name, value in losses.items()) or "every file is there"
    )
    return Verdict(passed, text, losses)


def _show(manifest: Manifest, folder: Path) -> dict[str, str]:
    from stickgen_core.training.journal import read_metrics

    shown = {"numbers": markdown(("", "value"), list(manifest.counts.items()))}
    lines = {}
    for kind in ("train", "validation"):
        points = [(float(row["step"]), float(row["loss"])) for row in read_metrics(folder, kind) if "loss" in row]
        if points:
            lines[kind] = points
    if lines:
        shown["loss"] = curve(lines, "optimiser step", "loss")
    return shown
