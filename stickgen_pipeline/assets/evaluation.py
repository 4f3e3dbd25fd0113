"""The evaluator that judges, what checks it, and for each checkpoint its adversarial prompts and its report."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from stickgen_core.corpus import Corpus
from stickgen_core.evaluation.config import ThresholdsConfig
from stickgen_core.records.digests import digest_file, digest_json
from stickgen_core.records.manifest import Manifest
from stickgen_core.records.publish import publish_text
from stickgen_core.settings import Settings
from stickgen_core.training.config import RunConfig
from stickgen_pipeline.judging import SUITES
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work
from stickgen_pipeline.tables import markdown

EVALUATOR, PANEL, CRITIC = "evaluation/evaluator", "evaluation/evaluator_panel", "evaluation/safety_critic"
TOP3 = "r_precision_text_to_motion_3"


def evaluation_steps(settings: Settings) -> list[Step]:
    pipeline = settings.config.pipeline
    runs = [run_of(settings, variant, stage) for variant in pipeline.variants for stage in pipeline.stages]
    return [_evaluator(settings), _panel(settings), _critic(settings), *(_adversarial(run, settings) for run in runs),
            *(_report(run, settings) for run in runs)]  # fmt: skip


def _evaluator(settings: Settings) -> Step:
    chance = 3 / settings.config.evaluation.pool
    return Step(
        key=EVALUATOR,
        group="corpus",
        description="The text–motion network and action classifier that judge every model; they saw the training split only.",
        folder=settings.places.report("evaluator"),
        version=recipe(settings, "evaluator", "evaluation"),
        make=partial(_make_evaluator, settings),
        parents=("corpus/embedded_pretrain",),
        kept="evaluation",
        checks=(
            Check("retrieves_real_clips", "Held-out captions find their real clips: the interval of R@3 excludes chance.",
                  partial(_above_chance, chance), stops=False),
            Check("names_real_actions", "The classifier names the actions of held-out real clips better than any constant answer could.",
                  _names_actions, stops=False),
        ),
        show=_show_evaluator,
        kinds=frozenset({"pytorch"}),
        apart=True,
    )  # fmt: skip


def _make_evaluator(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.teaching import train_evaluator

    corpus = Corpus.open(settings.places.embedded("pretrain"))
    train_evaluator(corpus, settings.config.evaluation, work.folder, name=work.key, progress=work.progress)


def _above_chance(chance: float, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    found = manifest.notes["held_out"].get(TOP3)
    if not found or found["value"] is None:
        return Verdict(False, f"not measured: {(found or manifest.notes['held_out']).get('note', 'no held-out clips')}", {"chance": chance})
    low = found["low"]
    return Verdict(low is not None and low > chance, f"R@3 {found['value']:.3f}, interval from {low:.3f}, chance {chance:.3f}",
                   {"value": found["value"], "low": low, "chance": chance})  # fmt: skip


def _names_actions(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    held_out = manifest.notes["held_out"]
    accuracy, constant = held_out.get("action_accuracy"), held_out.get("commonest_action", 0.0)
    if accuracy is None:
        return Verdict(False, "not measured: no held-out clip has an action")
    text = f"{accuracy:.3f} of {held_out['n']} held-out clips, a constant answer {constant:.3f}"
    return Verdict(accuracy > constant, text, {"value": accuracy, "limit": constant})


def _show_evaluator(manifest: Manifest, folder: Path) -> dict[str, str]:
    held_out = manifest.notes["held_out"]
    rows = [(name.replace("_", " "), m["value"], m["low"], m["high"]) for name, m in held_out.items() if isinstance(m, Mapping)]
    return {"held_out": markdown(("real clips, not seen", "value", "low", "high"), rows)} if rows else {}


def _panel(settings: Settings) -> Step:
    chance = 3 / settings.config.evaluation.pool
    return Step(
        key=PANEL,
        group="corpus",
        description="Evaluators beside the judge: other seeds, joints in space instead of sticks, and a control taught shuffled captions.",
        folder=settings.places.report("evaluator_panel"),
        version=recipe(settings, "panel", "evaluation"),
        make=partial(_make_panel, settings),
        parents=("corpus/embedded_pretrain",),
        kept="evaluation",
        checks=(Check("control_at_chance", "The evaluator that was taught shuffled captions retrieves at chance.",
                      partial(_control_at_chance, chance), stops=False),),
        show=_show_panel,
        kinds=frozenset({"pytorch"}),
        apart=True,
    )  # fmt: skip


def _make_panel(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.panel import train_panel

    corpus = Corpus.open(settings.places.embedded("pretrain"))
    train_panel(
        corpus, settings.config.evaluation, work.folder, name=work.key, recipe=work.recipe, parents=work.inputs, progress=work.progress
    )


def _control_at_chance(chance: float, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    control = manifest.notes["members"].get("control")
    if control is None:
        return Verdict(True, "not taught in this profile (evaluation.panel.control)")
    found = control.get(TOP3)
    if not found or found["low"] is None:
        return Verdict(False, "not measured: too few held-out clips", {"chance": chance})
    return Verdict(found["low"] <= chance, f"R@3 {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}], chance {chance:.3f}",
                   {"value": found["value"], "low": found["low"], "chance": chance})  # fmt: skip


def _show_panel(manifest: Manifest, folder: Path) -> dict[str, str]:
    rows = [(name, (told.get(TOP3) or {}).get("value"), told.get("action_accuracy")) for name, told in manifest.notes["members"].items()]
    return {"on_real_clips": markdown(("evaluator", "R@3", "action accuracy"), rows)} if rows else {}


def _critic(settings: Settings) -> Step:
    limits = settings.config.evaluation.critic
    return Step(
        key=CRITIC,
        group="corpus",
        description="How often the safety critic refuses real clips, and how many planted faults it catches.",
        folder=settings.places.report("safety_critic"),
        version=recipe(settings, "critic", "curation", critic=limits.model_dump(mode="json"), judge_seed=settings.config.evaluation.seed),
        make=partial(_make_critic, settings),
        parents=("corpus/embedded_pretrain",),
        kept="evaluation",
        checks=(
            Check("passes_real_clips", "Few real clips are refused.", partial(_passes_real, limits.false_positives), stops=False),
            Check(
                "catches_planted_faults",
                "Of every planted fault most copies are refused.",
                partial(_catches, limits.detection),
                stops=False,
            ),
        ),
        show=_show_critic,
        kinds=frozenset({"json"}),
        apart=True,
    )


def _make_critic(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.critic import critic_rates
    from stickgen_core.evaluation.items import choose, read_items
    from stickgen_core.evaluation.report import dumps, publish_folder

    config = settings.config
    corpus = Corpus.open(settings.places.embedded("pretrain"))
    seed = config.evaluation.seed
    items = read_items(corpus, choose(corpus, config.evaluation.split, config.evaluation.critic.clips, seed), seed)
    sources = dict(zip(corpus.ids, corpus.column("source").astype(str).tolist(), strict=True))
    rates = critic_rates(items, sources, config.curation.safety, seed, work.progress)
    publish_text(work.folder / "report.json", dumps(rates))
    publish_folder(work.folder, work.key, digest_json(rates), work.recipe, work.inputs, notes={"rates": rates}, made={})


def _passes_real(limit: float, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    found = manifest.notes["rates"]["real"]["all"]
    return Verdict(
        found["value"] <= limit, f"{found['value']:.1%} of {found['n']} real clips refused", {"value": found["value"], "limit": limit}
    )


def _catches(limit: float, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    shares = {fault: m["refused"]["value"] for fault, m in manifest.notes["rates"]["planted"].items()}
    least = min(shares, key=lambda fault: shares[fault] or 0.0)
    return Verdict((shares[least] or 0.0) >= limit, f"least: {least} {shares[least]:.1%}", {"value": shares[least], "limit": limit})


def _show_critic(manifest: Manifest, folder: Path) -> dict[str, str]:
    rates = manifest.notes["rates"]
    rows = [(f"real: {source}", m["value"], m["low"], m["high"], m["n"]) for source, m in rates["real"].items()]
    rows += [(f"planted: {fault}", m["refused"]["value"], m["refused"]["low"], m["refused"]["high"], m["refused"]["n"])
             for fault, m in rates["planted"].items()]  # fmt: skip
    return {"refused": markdown(("clips", "share refused", "low", "high", "n"), rows)}


def _adversarial(run: RunConfig, settings: Settings) -> Step:
    config = settings.config.evaluation
    chosen = {"adversarial": config.adversarial.model_dump(mode="json"), "seed": config.seed, "guidance": config.guidance, "steps": config.steps,
              "limit": config.thresholds.robustness_gap, "suites": digest_file(settings.configs.joinpath(*SUITES)),
              "safety": settings.config.curation.safety.model_dump(mode="json")}  # fmt: skip
    return Step(
        key=f"evaluation/{run.name}_adversarial",
        group=run.variant,
        description=f"What {run.name} answers to prompts that try to break it, judged by the safety critic.",
        folder=settings.places.report("adversarial") / run.name,
        version=recipe(settings, "adversarial", "generation", "text", asked=chosen),
        make=partial(_make_adversarial, run, settings),
        parents=(f"checkpoint/{run.name}",),
        kept="evaluation",
        show=_show_adversarial,
        kinds=frozenset({"json"}),
        apart=True,
        automatic=False,
    )


def _make_adversarial(run: RunConfig, settings: Settings, work: Work) -> None:
    from datetime import UTC, datetime

    from stickgen_core.evaluation.adversarial import REPORT_NAME
    from stickgen_core.evaluation.report import dumps, publish_folder
    from stickgen_pipeline.judging import challenged

    report = challenged(settings, settings.places.checkpoint(run.variant, run.stage), run.name, progress=work.progress)
    made = {"at": datetime.now(UTC).isoformat(timespec="seconds")}
    publish_text(work.folder / REPORT_NAME, dumps({**report, "made": made}))
    content = report["content"]
    notes = {
        "measures": content["measures"],
        "gap_limit": content["gap_limit"],
        "suites": {s["name"]: s["safe"]["value"] for s in content["suites"]},
    }
    publish_folder(work.folder, work.key, report["content_digest"], work.recipe, work.inputs, notes=notes, made=made)


def _show_adversarial(manifest: Manifest, folder: Path) -> dict[str, str]:
    rows = [(name, share) for name, share in manifest.notes["suites"].items()]
    rows += [(name.replace("_", " "), m["value"]) for name, m in manifest.notes["measures"].items()]
    return {"safe_share": markdown(("suite", "share"), rows)}


def _report(run: RunConfig, settings: Settings) -> Step:
    protocol = settings.configs / "eval" / "protocols" / f"{settings.config.evaluation.protocol}.yaml"
    return Step(
        key=f"evaluation/{run.name}_report",
        group=run.variant,
        description=f"What {run.name} scores on held-out clips, between floor and ceiling rows, with playable samples.",
        folder=settings.places.report(run.name),
        version=recipe(settings, "report", "evaluation", "skeleton", scores=settings.config.curation.scores.model_dump(mode="json"),
                       safety=settings.config.curation.safety.model_dump(mode="json"), protocol=digest_file(protocol)),
        make=partial(_make_report, run, settings),
        parents=(f"checkpoint/{run.name}", "corpus/embedded_pretrain", EVALUATOR, PANEL, f"evaluation/{run.name}_adversarial"),
        kept="evaluation",
        checks=(
            Check("report_holds", "The report is the one that was measured: its digest holds.", _report_holds),
            *(Check(f"{name}_met", f"The documented bar for {name.replace('_', ' ')}, as docs/benchmark.md defines it.", partial(_bar_met, name), stops=False)
              for name in ThresholdsConfig.model_fields),
        ),
        show=_show,
        kinds=frozenset({"html"}),
        apart=True,
        automatic=False,
    )  # fmt: skip


def _make_report(run: RunConfig, settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.report import write_report
    from stickgen_pipeline.judging import judged

    places = settings.places
    result = judged(
        settings,
        places.checkpoint(run.variant, run.stage),
        run.name,
        adversarial=places.report("adversarial") / run.name,
        progress=work.progress,
    )
    write_report(result, work.folder, name=work.key, recipe=work.recipe, parents=work.inputs)


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


def _bar_met(name: str, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    """One documented bar. What was not measured is not met, and the text says why there is no number."""
    bar = next((row for row in manifest.notes.get("thresholds", ()) if row["name"] == name), None)
    if bar is None or bar["value"] is None:
        return Verdict(False, f"not decided: {bar['note'] if bar else 'report of an older version'}")
    side = ">" if bar["passes"] == "above" else "<"
    text = f"{bar['title']}: {bar['value']:.4g} {bar['unit']}, documented {side} {bar['limit']:g}"
    return Verdict(bool(bar["passed"]), text, {"value": bar["value"], "limit": bar["limit"], "unit": bar["unit"]})


def _show(manifest: Manifest, folder: Path) -> dict[str, str]:
    numbers = [(name, "not computed" if value is None else f"{value:.4g}") for name, value in manifest.notes["headline"].items()]
    return {"headline": markdown(("measure", "value"), numbers), "page": f"[{folder / 'index.html'}]({(folder / 'index.html').as_uri()})"}
