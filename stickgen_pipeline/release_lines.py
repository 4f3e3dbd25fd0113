"""The lines of the documented checklists: production (P), release (R, section 9) and reproduction (V), each with its evidence."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stickgen_core.records.environment import git_state
from stickgen_core.records.manifest import find_manifest, read_manifest
from stickgen_core.records.pins import pins
from stickgen_core.records.runs import list_runs
from stickgen_core.settings import Settings
from stickgen_pipeline import needs, verification
from stickgen_pipeline.commands.common import size
from stickgen_pipeline.evidence import Line, asked, line
from stickgen_pipeline.freshness import freshness
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.recorded_tests import proved_by_tests, recorded_tests
from stickgen_pipeline.resources import state_of

# Which test proves what no artefact can show.
RESUME = "tests/core/training/test_checkpoint_resume.py"
INIT_FROM, LORA, SAFETY = (
    "tests/core/training/test_sft_init_from.py",
    "tests/core/model/test_lora.py",
    "tests/core/curation/test_safety_critic.py",
)


def checklist(settings: Settings) -> Iterator[tuple[str, Iterator[Line]]]:
    """Sections in the order of the production checklist (P), then what the release (R, section 9) and reproduction (V) lists add."""
    yield "P resources", _resources(settings)
    yield "P 1.1 training pipeline", _training(settings)
    yield "P 1.2 data pipeline, R 9.2", _data(settings)
    yield "P 1.3 evaluation pipeline, R 9.4", _evaluation(settings)
    yield "P 2 test suite", recorded_tests(settings)
    yield "P 3 model selection", _selection(settings)
    yield "P 4 deployment", _deployment(settings)
    yield "P 5 monitoring", _monitoring(settings)
    yield "P 6.1 smoke test", _smoke(settings)
    yield "R 9.1, 9.3 environment and training", _environment(settings)
    yield "V reproducibility checklist", _reproducibility(settings)


def _names(settings: Settings) -> list[tuple[str, str]]:
    return [(variant, stage) for variant in settings.config.pipeline.variants for stage in settings.config.pipeline.stages]


def _resources(settings: Settings) -> Iterator[Line]:
    for found in needs.findings(settings):
        yield Line(found.name, "not done" if found.state == "note" else found.state, found.says)


def _training(settings: Settings) -> Iterator[Line]:
    def parse() -> tuple[bool, str]:
        hashes = {f"{v}_{s}": run_of(settings, v, s).hash[:8] for v, s in _names(settings)}
        return True, ", ".join(f"{name} {found}" for name, found in hashes.items())

    yield asked("training entry points resolve", parse)
    for variant, stage in _names(settings):
        yield asked(f"{variant} {stage} trains", partial(_trained, settings, variant, stage))
    yield proved_by_tests(settings, "checkpoint resume works (flag, variable, configuration)", RESUME)
    yield proved_by_tests(settings, "--init_from loads pretrained weights only", INIT_FROM)
    yield proved_by_tests(settings, "LoRA freezes the base and trains adapters only", LORA)
    for variant in settings.config.pipeline.variants:
        yield asked(f"{variant}: SFT starts from its pretraining, LoRA from its SFT", partial(_warm_starts, settings, variant))


def _trained(settings: Settings, variant: str, stage: str) -> tuple[bool | None, str]:
    manifest = find_manifest(settings.places.checkpoint(variant, stage))
    if manifest is None:
        return None, f"run `stickgen train {variant} {stage}`"
    c = manifest.counts
    return (
        True,
        f"digest {manifest.digest[:12]}, {int(c['steps']):,} steps, {int(c['parameters']):,} parameters, validation loss {c.get('val_loss', float('nan')):.4g}",
    )


def _warm_starts(settings: Settings, variant: str) -> tuple[bool | None, str]:
    found = {stage: find_manifest(settings.places.checkpoint(variant, stage)) for stage in ("pretrain", "sft", "lora")}
    if not all(found.values()):
        return None, "not all three stages are trained"
    links = [("sft", "pretrain"), ("lora", "sft")]
    said, holds = [], True
    for child, parent in links:
        child_manifest, parent_manifest = found[child], found[parent]
        assert child_manifest is not None and parent_manifest is not None
        same = child_manifest.parents.get(f"checkpoint/{variant}_{parent}") == parent_manifest.digest
        holds = holds and same
        said.append(f"{child} from {parent} {parent_manifest.digest[:12]}{'' if same else ' (another version of it)'}")
    lora = found["lora"]
    assert lora is not None
    share = lora.counts["trainable_parameters"] / lora.counts["parameters"]
    return holds and share < 1, f"{'; '.join(said)}; LoRA trains {share:.1%} of its parameters"


def _data(settings: Settings) -> Iterator[Line]:
    steps = steps_of(settings)
    for name in settings.registry:
        manifest = find_manifest(steps[f"canonical/{name}"].folder)
        clips = int(manifest.counts["clips"]) if manifest else 0
        spec = settings.registry[name]
        yield line(f"{name} converts", True if clips else None, f"{clips:,} clips, {int(manifest.counts['dropped'])} dropped with a reason" if clips and manifest
                   else f"absent here; get it at {spec.register_at or spec.licence.url}")  # fmt: skip
    for key in ("corpus/merged", "corpus/curated_pretrain", "corpus/curated_sft", "corpus/embedded_pretrain", "corpus/embedded_sft"):
        yield asked(key, partial(_artefact, steps[key].folder))

    def thresholds() -> tuple[bool | None, str]:
        rules = read_manifest(steps["corpus/curated_sft"].folder).notes["rules"]
        return True, ", ".join(f"{name} {value}" for name, value in rules.items())

    yield asked("quality thresholds and action balancing applied to SFT", thresholds)
    for one in verification.data(settings):
        if one.state == "failed":
            yield one


def _artefact(folder: Path) -> tuple[bool | None, str]:
    manifest = find_manifest(folder)
    if manifest is None:
        return None, f"{folder}: not built"
    return True, f"{folder}: {int(manifest.counts['clips']):,} clips, digest {manifest.digest[:12]}"


def _evaluation(settings: Settings) -> Iterator[Line]:
    yield from (one for one in verification.results(settings) if "of what is in place" not in one.name or one.state != "ok")
    reports = _reports(settings)

    def measured(name: str) -> tuple[bool | None, str]:
        found = {title: _measure(content, name) for title, content in reports.items()}
        known = {title: value for title, value in found.items() if value is not None}
        return (True if known else None), ", ".join(f"{title} {value:.4g}" for title, value in known.items()) or "no report has it"

    for name in ("kid", "fid", "r_precision_text_to_motion_3", "diversity_to_real", "multimodality"):
        yield asked(f"{name} of every checkpoint", partial(measured, name))
    for bar, title in (("robustness", "adversarial evaluation"), ("robustness_gap", "robustness gap below 30 %")):
        yield asked(title, partial(_bar, reports, bar))
    yield proved_by_tests(settings, "safety critic finds what it should", SAFETY)


def _reports(settings: Settings) -> dict[str, dict[str, Any]]:
    found = {}
    for variant, stage in _names(settings):
        path = settings.places.report(f"{variant}_{stage}") / "report.json"
        if path.exists():
            found[f"{variant}_{stage}"] = json.loads(path.read_text(encoding="utf-8"))["content"]
    return found


def _measure(content: dict[str, Any], name: str) -> float | None:
    row = next(row for row in content["rows"] if row["kind"] == "model")
    found = row["measures"].get(name)
    return None if not found or found.get("value") is None else float(found["value"])


def _bar(reports: dict[str, dict[str, Any]], name: str) -> tuple[bool | None, str]:
    rows = {title: row for title, content in reports.items() for row in content["thresholds"] if row["name"] == name}
    known = {title: row for title, row in rows.items() if row.get("passed") is not None}
    if not known:
        return None, "not measured in any report"
    passed = [title for title, row in known.items() if row["passed"]]
    values = ", ".join(f"{title} {row['value']:.3g}" for title, row in known.items() if row.get("value") is not None)
    return len(passed) == len(known), f"{len(passed)} of {len(known)} meet {next(iter(known.values()))['limit']:g}: {values}"


def _selection(settings: Settings) -> Iterator[Line]:
    reports = _reports(settings)
    for name in ("validation_loss", "motion_mse", "temporal_consistency", "action_accuracy", "physics_consistency", "robustness"):
        yield asked(f"{name.replace('_', ' ')}: bar", partial(_bar, reports, name))
    manifest = find_manifest(settings.places.report("model_selection"))
    if manifest is None:
        yield line("selected model and rationale", None, "run `stickgen build release/model_selection`")
        return
    yield line("selected model and rationale", True, f"{manifest.notes['selected']}: {manifest.notes['rationale']}")


def _deployment(settings: Settings) -> Iterator[Line]:
    manifest = find_manifest(settings.places.report("model_selection"))
    if manifest is None:
        yield line("best checkpoint identified", None, "no selection yet")
    else:
        variant, _, stage = str(manifest.notes["selected"]).partition("_")
        best = settings.places.checkpoint(variant, stage) / "model_checkpoint_best.pth"
        holds = "model_state_dict, optimizer_state_dict, epoch, config"
        yield line(
            "best checkpoint identified",
            best.exists(),
            f"{best}, {size(best.stat().st_size)}, holds {holds}" if best.exists() else f"{best}: missing",
        )
    yield line("published on a model hub", None, "a person's act; `stickgen provenance … --release` makes the bundle that goes with it")
    generation = settings.config.generation
    yield line(
        "safety thresholds configured",
        True,
        f"rejection_severity_threshold {generation.rejection_severity_threshold}, min_quality_score {generation.min_quality_score}",
    )
    sampler = run_of(settings, *_names(settings)[0]).sampler
    yield line("diffusion settings", True, f"diffusion_steps {sampler.diffusion_steps}, use_diffusion {sampler.use_diffusion}")


def _monitoring(settings: Settings) -> Iterator[Line]:
    runs = (
        [run for run in list_runs(settings.places.outputs) if run.metadata().get("status") == "completed"]
        if settings.places.outputs.is_dir()
        else []
    )
    logged = [run for run in runs if run.log_path.exists() and (run.folder / "metrics.jsonl").exists()]
    yield line(
        "training logs and metrics",
        len(logged) == len(runs) if runs else None,
        f"{len(logged)} of {len(runs)} completed runs have training_verbose.log and metrics.jsonl",
    )
    folders = [settings.places.checkpoint(v, s) for v, s in _names(settings) if find_manifest(settings.places.checkpoint(v, s))]
    named = [f for f in folders if (f / "model_checkpoint_best.pth").exists()]
    yield line(
        "checkpoint names",
        len(named) == len(folders) if folders else None,
        f"model_checkpoint_best.pth in {len(named)} of {len(folders)} folders; checkpoint_epoch_N.pth by training.save_every_epochs",
    )
    reports = _reports(settings)
    stamped = [
        p
        for v, s in _names(settings)
        if (p := settings.places.report(f"{v}_{s}") / "report.json").exists() and json.loads(p.read_text())["made"].get("at")
    ]
    yield line(
        "reports stored with timestamps",
        len(stamped) == len(reports) if reports else None,
        f"{len(stamped)} in {settings.places.evaluations}",
    )
    alerts = settings.config.pipeline.alerts
    told = ", ".join(filter(None, ("log", alerts.webhook_variable and f"webhook of {alerts.webhook_variable}", alerts.smtp_host)))
    yield line("failures are seen", True, f"told to: {told}")


def _smoke(settings: Settings) -> Iterator[Line]:
    def generator() -> tuple[bool | None, str]:
        from stickgen_core.generation.generator import Generator
        from stickgen_pipeline.commands.generate import checkpoint_of

        config = settings.config
        folder = checkpoint_of(settings, None)
        found = Generator.from_checkpoint(folder, config.generation, config.text, config.curation.safety)
        (result,) = found.generate(["a person walks forward"], seconds=min(1.0, config.generation.default_seconds), seed=config.seed)
        return True, f"{folder.name}: {len(result.motion)} frames, {'accepted' if result.accepted else 'refused: ' + str(result.reason)}"

    def critic() -> tuple[bool, str]:
        import numpy as np

        from stickgen_core.curation.safety import evaluate_motion_safety
        from stickgen_core.records.seeds import generator as draw
        from stickgen_core.skeleton import stick_layout

        width = stick_layout(settings.config.skeleton.layout).width
        motion = np.cumsum(draw(settings.config.seed, "smoke").standard_normal((100, 1, width)) * 0.01, axis=0)
        found = evaluate_motion_safety(motion, settings.config.curation.safety)
        return True, f"is_safe {found.is_safe}, {len(found.issues)} issues on a random walk"

    def imports() -> tuple[bool, str]:
        import importlib

        names = ("training.trainer", "model.denoiser", "model.lora", "curation.safety", "curation.curating", "generation.generator")
        for name in names:
            importlib.import_module(f"stickgen_core.{name}")
        return True, ", ".join(names)

    yield asked("motion from a prompt", generator)
    yield asked("safety check", critic)
    yield asked("imports", imports)


def _environment(settings: Settings) -> Iterator[Line]:
    from stickgen_pipeline.commands.doctor import findings

    for name, state, says in findings(settings):
        if name in ("python", "packages", "torch", "gpu", "code"):
            yield Line(name, "not done" if state == "note" else state, says)  # type: ignore[arg-type]
    yield asked("nothing is stale", lambda: _stale(settings))


def _stale(settings: Settings) -> tuple[bool | None, str]:
    states = [one for one in freshness(steps_of(settings), state_of(settings)).values() if one.step.by_default]
    stale = [one for one in states if one.state != "current"]
    text = "; ".join(f"{one.step.key}: {one.because[0]}" for one in stale[:3])
    return (True, f"{len(states)} artefacts are current") if not stale else (None, f"{len(stale)} are not current: {text}")


def _reproducibility(settings: Settings) -> Iterator[Line]:
    root = settings.root
    locks = sorted((root / "requirements").glob("*.lock*"))
    hashes = sum(path.read_text(encoding="utf-8").count("--hash=") for path in locks)
    yield line("exact versions of all dependencies", bool(hashes), f"{len(locks)} locks with {hashes} hashes")
    yield line("random seeds set", True, f"seed {settings.config.seed}; every draw is named and keyed by content (records/seeds.py)")
    runs = list_runs(settings.places.outputs) if settings.places.outputs.is_dir() else []
    machines = {(run.metadata().get("metadata") or {}).get("processor") for run in runs} - {None}
    yield line("hardware documented", bool(machines) or None, ", ".join(map(str, machines)) or "no run yet")
    configured = [run for run in runs if run.config_path.exists()]
    yield line(
        "configurations saved with results",
        len(configured) == len(runs) if runs else None,
        f"{len(configured)} of {len(runs)} run folders have config.yaml",
    )
    yield line(
        "preprocessing documented",
        all((root / "docs" / name).exists() for name in ("design.md", "curation.md", "datasets")),
        "docs/design.md, docs/curation.md, docs/datasets/",
    )
    saving = run_of(settings, *_names(settings)[0]).training
    yield line(
        "checkpoints at regular intervals",
        True,
        f"every {saving.save_every_steps} steps, the last {saving.keep_last} kept, the best always",
    )
    seeds = {run_of(settings, v, s).training.seed for v, s in _names(settings)}
    yield line("three to five seeds", len(seeds) >= 3 or None, f"{len(seeds)} seed here; `stickgen train … -c training.seed=N` trains more")
    reports = _reports(settings)
    with_intervals = [
        t for t, c in reports.items() if any(m and m.get("low") is not None for r in c["rows"] for m in r["measures"].values())
    ]
    yield line(
        "statistical analysis",
        bool(with_intervals) or None,
        f"{len(with_intervals)} of {len(reports)} reports with 95 % intervals over items; over seeds only where several were trained",
    )
    yield line("logs and metrics saved", bool(runs) or None, f"{len(runs)} run folders in {settings.places.outputs}")
    yield line(
        "expected results with tolerances",
        (root / "docs" / "results").is_dir(),
        "docs/results/, evaluation.thresholds, `stickgen reproduce --tolerance`",
    )
    yield line(
        "verification scripts",
        True,
        "`stickgen verify checkpoint|data|training|results`, `stickgen corpus verify`, verify.py in every bundle",
    )
    yield line("sources of nondeterminism documented", (root / "docs" / "provenance.md").exists() or None, "docs/provenance.md")
    released = [p.name for p in pins(settings.places.pins) if p.because.startswith("released")]
    yield line(
        "provenance bundle of the release",
        bool(released) or None,
        ", ".join(released) or "run `stickgen provenance release/stickgen_bench -o bundle --release`",
    )
    state = git_state(root)
    yield line(
        "specific commit",
        bool(state) and not (state or {}).get("dirty") or None,
        f"commit {state['commit'][:12]}{', changed since' if state['dirty'] else ''}" if state else "not a git checkout",
    )
