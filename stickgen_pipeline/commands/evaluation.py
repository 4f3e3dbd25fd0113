"""Commands that judge: evaluate, bench, adversarial, several seeds, and whether two results are the same."""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, MissingInput, StickgenError
from stickgen_core.records.manifest import find_manifest
from stickgen_core.records.model_registry import ModelRegistry
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import answer, corpus_folder, note, settings_of, table

# What `--where` may say of a registry entry: task=small_sft, metrics.val_loss<0.4, run_id~2026.
CONDITION = re.compile(r"(?P<key>[\w.]+)(?P<how>!=|<=|>=|=|<|>|~)(?P<value>.+)\Z")


def evaluate(options: argparse.Namespace) -> int:
    """One of the nine through the graph; any checkpoint file or folder, or every one of the registry, on its own."""
    if options.all or options.where:
        return _evaluate_registry(options)
    if options.checkpoint:
        settings = settings_of(options)
        path = Path(options.checkpoint)
        name = options.name or (path.parent.name if path.is_file() else path.name)
        return answer(options, *_evaluate_one(settings, path, name, options.data, options.output))
    if not (options.variant and options.stage):
        raise StickgenError("evaluate: name one of the nine (small pretrain), a --checkpoint, or --all with --where")
    if options.verify_config:
        from stickgen_pipeline.commands.models import verify_config

        verify_config(settings_of(options), options.variant, options.stage)
    return _build(options, f"evaluation/{options.variant}_{options.stage}_report")


def _build(options: argparse.Namespace, *keys: str) -> int:
    from stickgen_pipeline.commands.build import build

    options.selection, options.only = list(keys), False
    return build(options)


def _evaluate_one(settings: Settings, checkpoint: Path, name: str, data: str | None, output: str | None) -> tuple[dict[str, Any], str]:
    """Judge, publish below eval_results/own/ (or where --output says), and tell the headline."""
    from stickgen_core.evaluation.report import PAGE_NAME, headline, write_report
    from stickgen_core.records.digests import digest_json
    from stickgen_pipeline.judging import judged

    if not checkpoint.exists():
        raise MissingInput(f"{checkpoint}: no such checkpoint; `stickgen registry list` and `stickgen status` name those that are there")
    corpus = Corpus.open(corpus_folder(settings, data)) if data else None
    result = judged(settings, checkpoint, name, corpus=corpus)
    known = result.content["provenance"]
    parents = {known["corpus_name"]: known["corpus"], "evaluation/evaluator": known["evaluator"]}
    folder = Path(output) if output else settings.places.report("own") / name
    write_report(result, folder, name=f"evaluation/{name}", recipe=digest_json(parents), parents=parents)
    found = headline(result.content)
    values = {"name": name, "report": str(folder / "report.json"), "page": str(folder / PAGE_NAME), "digest": result.digest, **found}
    rows = [(measure.replace("_", " "), _told(value)) for measure, value in found.items()]
    return values, f"{table(('measure', name), rows)}\n{folder / PAGE_NAME}"


def _told(value: float | None) -> str:
    return "not computed" if value is None else f"{value:.4g}"


def _evaluate_registry(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    entries = [e for e in ModelRegistry(settings.places.registry_file).entries() if all(_holds(e, text) for text in options.where or ())]
    if not entries:
        raise MissingInput(f"{settings.places.registry_file}: no registered model is {' and '.join(options.where or ['there'])}")
    found, rows, failed = [], [], 0
    for entry in entries:
        try:
            values, _ = _evaluate_one(settings, Path(str(entry["checkpoint_path"])), str(entry["run_id"]), options.data, None)
        except StickgenError as error:
            failed += 1
            found.append({"name": entry["run_id"], "error": str(error)})
            rows.append((entry["run_id"], entry["task"], "", "", str(error)))
            note(f"{entry['run_id']}: {error}")
            continue
        found.append({**values, "task": entry["task"]})
        numbers = [_told(values[key]) for key in ("r_precision_text_to_motion_3", "action_accuracy")]
        rows.append((entry["run_id"], entry["task"], *numbers, values["page"]))
    answer(options, found, table(("run", "task", "R@3", "action accuracy", "page"), rows))
    return 1 if failed == len(entries) else 0


def _holds(entry: Mapping[str, Any], text: str) -> bool:
    """Whether a registry entry meets `key OP value`; a key is a dotted path, numbers compare as numbers."""
    told = CONDITION.match(text)
    if told is None:
        raise ConfigError(
            f"--where {text!r}: expected KEY=VALUE, KEY!=VALUE, KEY<VALUE, KEY>VALUE or KEY~PART, such as metrics.val_loss<0.4"
        )
    found: Any = entry
    for part in told["key"].split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        return False
    how, wanted = told["how"], told["value"]
    if how == "~":
        return wanted in str(found)
    if isinstance(found, int | float):
        try:
            value = float(wanted)
        except ValueError:
            raise ConfigError(f"--where {text!r}: {told['key']} is a number, {wanted!r} is none") from None
        return {
            "=": found == value,
            "!=": found != value,
            "<": found < value,
            ">": found > value,
            "<=": found <= value,
            ">=": found >= value,
        }[how]
    if how in ("=", "!="):
        return (str(found).startswith(wanted) if told["key"] == "config_hash" else str(found) == wanted) == (how == "=")
    raise ConfigError(f"--where {text!r}: {told['key']} is text; use =, != or ~")


def bench(options: argparse.Namespace) -> int:
    """StickGen-Bench through the graph: page, PDF, choice; `--protocol` takes that protocol's sizes."""
    if options.protocol:
        from stickgen_core.evaluation.protocol import read_protocol

        wanted = read_protocol(settings_of(options).configs / "eval", options.protocol)
        options.config_override = [*options.config_override, *(f"evaluation.{key}={value}" for key, value in wanted.evaluation.items())]
    return _build(options, "release/stickgen_bench", "release/model_selection", "release/production_model", "release/reproduction_report")


def adversarial(options: argparse.Namespace) -> int:
    """The prompt suites against one checkpoint; a JSON report under eval_results/adversarial/."""
    from datetime import UTC, datetime

    from stickgen_core.evaluation.report import dumps
    from stickgen_core.records.publish import publish_text
    from stickgen_pipeline.commands.generate import checkpoint_of
    from stickgen_pipeline.judging import challenged

    settings = settings_of(options)
    checkpoint = Path(options.checkpoint) if options.checkpoint else checkpoint_of(settings, options.model)
    name = checkpoint.parent.name if checkpoint.is_file() else checkpoint.name
    report = challenged(settings, checkpoint, name, suites=tuple(options.suites or ()) or None, count=options.prompts)
    at = datetime.now(UTC)
    path = Path(options.output) if options.output else settings.places.report("adversarial") / f"{name}_{at:%Y%m%d_%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    publish_text(path, dumps({**report, "made": {"at": at.isoformat(timespec="seconds")}}))
    content = report["content"]
    rows = [(s["name"], f"{s['safe']['value']:.2f}", f"[{s['safe']['low']:.2f}, {s['safe']['high']:.2f}]", f"{s['prompts']} of {s['of']}")
            for s in content["suites"]]  # fmt: skip
    gap = content["measures"].get("robustness_gap")
    verdict = "no gap without the baseline suite" if gap is None else (
        f"gap {gap['value']:.2f} [{gap['low']:.2f}, {gap['high']:.2f}], documented < {content['gap_limit']:g}: {'passed' if content['gap_passed'] else 'missed'}"
    )  # fmt: skip
    return answer(options, {"report": str(path), **report}, f"{table(('suite', 'safe', '95 %', 'prompts'), rows)}\n{verdict}\n{path}")


def compare(options: argparse.Namespace) -> int:
    """Two reports, two aggregates over seeds, or two checkpoints (a resumed run against an uninterrupted one). 1 where they differ."""
    from stickgen_core.evaluation import seeds, verification

    settings = settings_of(options)
    sides = [_comparable(settings, name) for name in (options.a, options.b)]
    kinds = {kind for kind, _ in sides}
    if len(kinds) > 1:
        raise StickgenError(f"compare: {options.a} is a {sides[0][0]}, {options.b} a {sides[1][0]}; give two of one kind")
    (kind,), (a, b) = kinds, (value for _, value in sides)
    if kind == "checkpoint":
        found = verification.compare_checkpoints(a, b)
        rows = [
            (file, part, told[part])
            for file, told in found["files"].items()
            for part in ("model_state_dict", "ema", "optimizer_state_dict")
        ]
        log = found["log"]
        rows.append(("log", f"{log['rows']} rows in both, {log['only_in_one']} in one", log["first_difference"] or 0.0))
        text = table(("file", "part", "largest difference"), rows) + f"\n{'equal to the last bit' if found['equal'] else 'not equal'}"
        answer(options, found, text)
        return 0 if found["equal"] else 1
    if kind == "aggregate":
        found = seeds.compare_aggregates(a, b)
        tests = [(name, f"{m['difference']:.4g}", "", "", "", m["note"]) if m["p"] is None else
                 (name, f"{m['difference']:.4g}", f"[{m['low']:.4g}, {m['high']:.4g}]", f"{m['p']:.3g}", f"{m['p_holm']:.3g}", "differs" if m["differs"] else "")
                for name, m in found["measures"].items()]  # fmt: skip
        text = table(("measure", f"{found['b']} - {found['a']}", "95 % (Welch)", "p", "p (Holm)", ""), tests)
        answer(options, found, f"{text}\nnormality and variance tests are in --json with their power; they decide nothing")
        return 1 if any(m["differs"] for m in found["measures"].values()) else 0
    found = verification.compare_reports(a, b, options.tolerance)
    lines = [(name, f"{m['a']:.4g}", f"{m['b']:.4g}", f"{m['relative']:.1%}", {True: "overlap", False: "apart", None: ""}[m["overlap"]], "" if m["within"] else "outside")
            for name, m in found["measures"].items()]  # fmt: skip
    verdict = "equal digests" if found["equal"] else f"{'all' if found['within'] else 'not all'} measures within {options.tolerance:.0%}"
    answer(options, found, f"{table(('measure', found['a'], found['b'], 'difference', 'intervals', ''), lines)}\n{verdict}")
    return 0 if found["within"] else 1


def _comparable(settings: Settings, name: str) -> tuple[str, Any]:
    """(kind, value) of a report's name, folder or file, of a several-seed run, or of a checkpoint's folder."""
    from stickgen_core.evaluation import seeds
    from stickgen_core.evaluation.report import read_report

    places = settings.places
    for path in (Path(name), places.report(name.removesuffix("_report")), places.report("own") / name):
        if path.is_file() and path.suffix == ".json":
            stored = json.loads(path.read_text(encoding="utf-8"))
            return ("aggregate", seeds.validated(stored, path)) if stored.get("schema") == seeds.SCHEMA else ("report", read_report(path))
        if (path / "aggregate.json").is_file():
            return "aggregate", seeds.validated(json.loads((path / "aggregate.json").read_text(encoding="utf-8")), path)
        if (path / "report.json").is_file():
            return "report", read_report(path)
        if path.is_dir() and (any(path.glob("*.pth")) or (manifest := find_manifest(path)) is not None and manifest.kind == "checkpoint"):
            return "checkpoint", path
    aggregate = places.report("seeds") / name / "aggregate.json"
    if aggregate.is_file():
        return "aggregate", seeds.validated(json.loads(aggregate.read_text(encoding="utf-8")), aggregate)
    raise MissingInput(f"{name}: no report, several-seed run or checkpoint of that name or path; `stickgen report` lists the reports")


def verify_results(options: argparse.Namespace) -> int:
    """A run held against a file of expected results; 1 where a number is outside or missing."""
    from stickgen_core.evaluation import seeds, verification

    settings = settings_of(options)
    found = _numbers(settings, options.run)
    if found is None:
        kind, value = _comparable(settings, options.run)
        if kind == "checkpoint":
            found = _numbers_of_checkpoint(value)
        elif kind == "aggregate":
            found = {name: m["summary"]["value"] for name, m in value["measures"].items()}
        else:
            found = {name: number for name, (number, _) in seeds.numbers_of(value).items()}
    verdicts = verification.verify(found, verification.expectations(Path(options.expected)), options.tolerance)
    rows = [
        (name, "–" if v["found"] is None else f"{v['found']:.4g}", v["expected"], "ok" if v["passed"] else "OUTSIDE", v["note"])
        for name, v in verdicts.items()
    ]
    passed = all(v["passed"] for v in verdicts.values())
    text = f"{table(('measure', 'found', 'expected', '', ''), rows)}\n{'all as expected' if passed else 'not as expected'}"
    answer(options, {"run": options.run, "passed": passed, "measures": verdicts}, text)
    return 0 if passed else 1


def _numbers(settings: Settings, name: str) -> dict[str, float] | None:
    """Metrics of a run folder (outputs/<TIMESTAMP>_<NAME>), by path or run id; None if it is none."""
    from stickgen_core.records.runs import METADATA_NAME, Run

    for folder in (Path(name), settings.places.outputs / name):
        if (folder / METADATA_NAME).is_file():
            return {key: float(value) for key, value in Run.open(folder).metadata()["metrics"].items()}
    return None


def _numbers_of_checkpoint(folder: Path) -> dict[str, float]:
    manifest = find_manifest(folder)
    if manifest is None:
        raise MissingInput(f"{folder}: no manifest, so nothing says what this checkpoint scored; evaluate it first")
    return {name: float(value) for name, value in {**manifest.counts, **manifest.notes.get("metrics", {})}.items()}


def train_seeds(options: argparse.Namespace) -> int:
    """One configuration with several seeds, outside the nine: trained, registered, judged alike, aggregated."""
    from stickgen_core.evaluation.report import dumps, read_report, write_report
    from stickgen_core.evaluation.seeds import aggregate_reports
    from stickgen_core.records.publish import publish_text
    from stickgen_core.training.statistics import load_statistics
    from stickgen_core.training.trainer import train
    from stickgen_pipeline.assets.checkpoints import split_of
    from stickgen_pipeline.assets.corpus import STATISTICS, statistics_folder
    from stickgen_pipeline.judging import judged
    from stickgen_pipeline.profile import resolve, run_of

    settings = settings_of(options)
    seeds = sorted(set(options.seeds or settings.config.evaluation.seeds))
    name, places = f"{options.variant}_{options.stage}", settings.places
    corpus = Corpus.open(places.embedded(split_of(options.stage)))
    base, reports = places.report("seeds") / name, {}
    for seed in seeds:
        own = resolve(settings.profile, settings.root, [*settings.overrides, f"training.seed={seed}"])
        run = run_of(own, options.variant, options.stage)
        folder = places.checkpoints / "seeds" / f"{name}_seed_{seed}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        note(f"{name}, seed {seed}: training")
        parent = places.checkpoint(options.variant, run.parent_stage) if run.parent_stage else None
        train(run, corpus, folder, text_vectors=places.text_vectors, statistics=load_statistics(statistics_folder(settings) / STATISTICS),
              parent=parent, places=places, recipe=run.recipe, name=f"checkpoint/{name}_seed_{seed}", task=f"{name}_seed_{seed}")  # fmt: skip
        note(f"{name}, seed {seed}: judging")
        result = judged(settings, folder, f"{name}_seed_{seed}")
        known = result.content["provenance"]
        parents = {known["corpus_name"]: known["corpus"], "evaluation/evaluator": known["evaluator"]}
        write_report(result, base / f"seed_{seed}", name=f"evaluation/{name}_seed_{seed}", recipe=run.hash, parents=parents)
        reports[seed] = read_report(base / f"seed_{seed}")
    found = aggregate_reports(name, reports)
    path = base / "aggregate.json"
    publish_text(path, dumps(found))
    rows = []
    for measure, told in found["content"]["measures"].items():
        m = told["summary"]
        between = f"[{m['low']:.4g}, {m['high']:.4g}]" if m["low"] is not None else m["note"]
        rows.append((measure, f"{m['value']:.4g}", between, ", ".join(f"{value:.4g}" for value in told["points"].values())))
    text = table(("measure", "mean", "95 % (t over seeds)", f"seeds {', '.join(map(str, seeds))}"), rows)
    return answer(options, {"aggregate": str(path), **found}, f"{text}\n{path}")
