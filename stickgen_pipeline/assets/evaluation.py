"""The evaluator that judges, and a report for each checkpoint."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from stickgen_core.corpus import Corpus
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import Manifest
from stickgen_core.settings import Settings
from stickgen_core.sources.actions import load_actions
from stickgen_core.training.config import RunConfig
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work
from stickgen_pipeline.tables import markdown

EVALUATOR = "evaluation/evaluator"


def evaluation_steps(settings: Settings) -> list[Step]:
    pipeline = settings.config.pipeline
    runs = [run_of(settings, variant, stage) for variant in pipeline.variants for stage in pipeline.stages]
    return [_evaluator(settings), *(_report(run, settings) for run in runs)]


def _evaluator(settings: Settings) -> Step:
    return Step(
        key=EVALUATOR,
        group="corpus",
        description="The text–motion network and action classifier that judge every model; they saw the training split only.",
        folder=settings.places.report("evaluator"),
        version=recipe(settings, "evaluator", "evaluation"),
        make=partial(_make_evaluator, settings),
        parents=("corpus/embedded_pretrain",),
        kept="evaluation",
        kinds=frozenset({"pytorch"}),
        apart=True,
    )


def _make_evaluator(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.teaching import train_evaluator

    corpus = Corpus.open(settings.places.embedded("pretrain"))
    train_evaluator(corpus, settings.config.evaluation, work.folder, name=work.key, progress=work.progress)


def _report(run: RunConfig, settings: Settings) -> Step:
    return Step(
        key=f"evaluation/{run.name}_report",
        group=run.variant,
        description=f"What {run.name} scores on held-out clips, between floor and ceiling rows, with playable samples.",
        folder=settings.places.report(run.name),
        version=recipe(settings, "report", "evaluation", "skeleton"),
        make=partial(_make_report, run, settings),
        parents=(f"checkpoint/{run.name}", "corpus/embedded_pretrain", EVALUATOR),
        kept="evaluation",
        checks=(
            Check("report_holds", "The report is the one that was measured: its digest holds.", _report_holds),
            Check("bars_met", "Every documented bar that was measured is met.", _bars_met, stops=False),
        ),
        show=_show,
        kinds=frozenset({"html"}),
        apart=True,
        automatic=False,
    )


def _make_report(run: RunConfig, settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.checkpoint import evaluate_checkpoint
    from stickgen_core.evaluation.evaluator import load_evaluator
    from stickgen_core.evaluation.report import write_report
    from stickgen_core.text.vectors import TextVectors

    places = settings.places
    corpus = Corpus.open(places.embedded("pretrain"))
    checkpoint = places.checkpoint(run.variant, run.stage)
    actions = load_actions()
    result = evaluate_checkpoint(
        checkpoint,
        corpus,
        TextVectors.open(places.text_vectors / str(corpus.manifest.notes["encoder_digest"])),
        load_evaluator(places.report("evaluator")),
        settings.config.evaluation,
        name=run.name,
        skeleton=settings.config.skeleton,
        action_names=lambda action: actions[action].name,
        cache=places.data / "honesty_rows",
        curves=learning_curves(checkpoint),
        progress=work.progress,
    )
    write_report(result, work.folder, name=work.key, recipe=work.recipe, parents=work.inputs)


def learning_curves(checkpoint: Path) -> list[dict[str, float]]:
    """Logged losses by step, for the page."""
    from stickgen_core.training.journal import read_metrics

    rows = read_metrics(checkpoint, "train")
    return [{"step": float(row["step"]), "loss": float(row["loss"])} for row in rows if "loss" in row]


def _report_holds(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    report = _stored(folder)
    content = report["content"]
    holds = digest_json(content) == report["content_digest"] == manifest.digest
    text = (
        f"N = {content['provenance']['n']}, {len(content['rows'])} rows"
        if holds
        else f"{folder}: the report was changed after it was measured"
    )
    return Verdict(holds, text, {"n": content["provenance"]["n"]})


def _stored(folder: Path) -> dict[str, Any]:
    """The report as it lies there; read without the room that makes it, which needs torch."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


def _bars_met(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    rows = _stored(folder)["content"]["thresholds"]
    missed = [row for row in rows if row["passed"] is False]
    text = "; ".join(f"{row['title']}: {row['value']} against {row['limit']}" for row in missed) or "no measured bar is missed"
    return Verdict(not missed, text, {"missed": len(missed), "bars": len(rows)})


def _show(manifest: Manifest, folder: Path) -> dict[str, str]:
    numbers = [(name, "not computed" if value is None else f"{value:.4g}") for name, value in manifest.notes["headline"].items()]
    return {"headline": markdown(("measure", "value"), numbers), "page": f"[{folder / 'index.html'}]({(folder / 'index.html').as_uri()})"}
