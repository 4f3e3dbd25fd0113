"""What `stickgen verify` looks at: a checkpoint, the data, the trainings, the results; every line with its evidence."""

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput
from stickgen_core.records.digests import digest_file, digest_json
from stickgen_core.records.manifest import Manifest, find_manifest, manifest_path, read_manifest
from stickgen_core.records.model_registry import ModelRegistry
from stickgen_core.records.runs import list_runs
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import corpus_steps
from stickgen_pipeline.evidence import Line, asked, line
from stickgen_pipeline.freshness import freshness
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.inventory import gone, state_of
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.resources import state_of as state_folder
from stickgen_pipeline.steps import Check, Step

PERIODIC = "checkpoint_epoch_*.pth"


def checkpoint(settings: Settings, name: str) -> Iterator[Line]:
    """Bytes, weights, finiteness and lineage of one checkpoint."""
    steps = steps_of(settings)
    step = steps.get(f"checkpoint/{name}")
    if step is None:
        raise MissingInput(
            f"{name}: no such checkpoint; there are {', '.join(k.partition('/')[2] for k in steps if k.startswith('checkpoint/'))}"
        )
    manifest = read_manifest(step.folder)
    yield asked(f"{name}: bytes", lambda: _bytes(step))

    def weights() -> tuple[bool, str]:
        import torch

        from stickgen_core.training.checkpoints import checkpoint_file, read, weights_digest, weights_of

        file = checkpoint_file(step.folder)
        state = weights_of(step.folder, read(file))
        bad = [key for key, value in state.items() if not torch.isfinite(value).all()]
        found = weights_digest(state)
        if bad:
            return False, f"{file.name}: {bad[0]} holds non-finite numbers"
        total = sum(value.numel() for value in state.values())
        return (
            found == manifest.digest,
            f"{file.name}: {total:,} finite numbers, digest {found[:12]}, the manifest says {manifest.digest[:12]}",
        )

    yield asked(f"{name}: weights", weights)
    now = freshness(steps, state_folder(settings))[step.key]
    yield line(f"{name}: lineage", now.state == "current", "current" if now.state == "current" else "; ".join(now.because))


def _bytes(step: Step) -> tuple[bool, str]:
    manifest = read_manifest(step.folder)
    wrong = altered(step.folder, manifest)
    if wrong:
        return False, wrong
    return True, f"{len(manifest.files)} files, {sum(r.bytes for r in manifest.files.values()):,} bytes, every SHA-256 holds"


def altered(artefact: Path, manifest: Manifest) -> str:
    """The first of the manifest's files that is missing or has other bytes; a single-file artefact has them beside it."""
    folder = manifest_path(artefact).parent
    for name, record in manifest.files.items():
        path = folder / name
        if not path.exists():
            return f"{path}: missing"
        if digest_file(path) != record.sha256:
            return f"{path}: SHA-256 differs from the manifest's"
    return ""


def data(settings: Settings) -> Iterator[Line]:
    """Raw folders against their inventories, every corpus digest by digest, splits, statistics."""
    steps = steps_of(settings)
    for name, spec in settings.registry.items():
        manifest = find_manifest(settings.places.inventory(name))
        if manifest is None:
            yield line(f"raw/{name}", None, "no inventory; run `stickgen build raw`")
        elif state_of(manifest) == "present":
            lost = gone(settings.places.raw_of(name), settings.places.inventory(name))
            yield line(
                f"raw/{name}",
                not lost,
                f"{len(lost)} of {manifest.counts['files']} files gone" if lost else f"{manifest.counts['files']} files as recorded",
            )
        elif spec.kind == "synthetic":
            yield line(f"raw/{name}", True, "generated")
    for step in corpus_steps(steps):
        corpus = Corpus.open(step.folder)
        if not len(corpus):
            continue
        problems = corpus.verify()
        yield line(step.key, not problems, problems[0] if problems else f"{len(corpus):,} clips, every digest holds ({corpus.digest[:12]})")
        for check in step.checks:
            if check.name in ("no_leak", "nothing_leaks", "counts_add_up", "has_every_split"):
                yield asked(f"{step.key}: {check.name}", partial(_verdict, check, step))
    for path in (settings.places.merged_stats, settings.places.curation_stats):
        yield line(path.name, path.exists() or None, str(path) if path.exists() else "not there; run `stickgen build corpus`")


def _verdict(check: Check, step: Step) -> tuple[bool, str]:
    found = check.test(read_manifest(step.folder), step.folder, True)
    return found.passed, found.text


def training(settings: Settings) -> Iterator[Line]:
    """Every training of the profile: completed, all files, logs, finite and falling losses, a registry entry with its environment."""
    registered = {entry["task"]: entry for entry in ModelRegistry(settings.places.registry_file).entries()}
    runs = list_runs(settings.places.outputs) if settings.places.outputs.is_dir() else []
    pipeline = settings.config.pipeline
    for variant in pipeline.variants:
        for stage in pipeline.stages:
            name = f"{variant}_{stage}"
            folder = settings.places.checkpoint(variant, stage)
            if find_manifest(folder) is None:
                yield line(name, None, f"no checkpoint in {folder}; run `stickgen train {variant} {stage}`")
                continue
            yield asked(f"{name}: files", partial(_files, folder))
            yield asked(f"{name}: losses", partial(_losses, settings, folder, variant, stage))
            mine = [run for run in runs if run.metadata().get("task") == name and run.metadata().get("status") == "completed"]
            log = mine[-1].log_path if mine else None
            yield line(
                f"{name}: log",
                bool(log and log.exists()),
                f"{log}, {sum(1 for _ in log.open())} lines" if log and log.exists() else "no completed run folder with a log",
            )
            entry = registered.get(name)
            packages = (entry or {}).get("metadata", {}).get("packages", {})
            yield line(
                f"{name}: registry",
                entry is not None,
                f"run {entry['run_id']}, torch {packages.get('torch', 'unknown')}" if entry else "no entry; `stickgen registry list`",
            )


def _files(folder: Path) -> tuple[bool, str]:
    manifest = read_manifest(folder)
    wanted = [name for name in ("model_checkpoint_best.pth", "model_checkpoint.pth", "model.safetensors", "config.yaml", "metrics.jsonl")]
    missing = [name for name in {*wanted[:1], *wanted[2:], *manifest.files} if not (folder / name).exists()]
    periodic = len(list(folder.glob(PERIODIC)))
    return not missing, f"missing {', '.join(sorted(missing))}" if missing else f"{len(manifest.files)} files, {periodic} of them periodic"


def _losses(settings: Settings, folder: Path, variant: str, stage: str) -> tuple[bool, str]:
    rows = [json.loads(text) for text in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines() if text.strip()]
    losses = [float(row["loss"]) for row in rows if row.get("kind") == "train" and "loss" in row]
    steps, asked_for = int(read_manifest(folder).counts["steps"]), run_of(settings, variant, stage).training.steps
    if not losses or not all(map(math.isfinite, losses)):
        return False, "no training loss was logged" if not losses else "a logged loss is not finite"
    whole = asked_for is None or steps == asked_for
    return (
        whole,
        f"{steps} steps{'' if whole else f' of {asked_for}'}, training loss {losses[0]:.4g} at first, {losses[-1]:.4g} at last, {len(losses)} logged",
    )


def results(settings: Settings) -> Iterator[Line]:
    """Every report: the one that was measured, of what is in place, with floor and ceiling rows, N and intervals."""
    steps = steps_of(settings)
    states = freshness(steps, state_folder(settings))
    for step in steps.values():
        if not step.key.endswith("_report"):
            continue
        if find_manifest(step.folder) is None:
            yield line(step.key, None, f"not measured; run `stickgen build {step.key}`")
            continue
        yield asked(step.key, partial(_report, step))
        now = states[step.key]
        yield line(
            f"{step.key}: of what is in place", now.state == "current", "current" if now.state == "current" else "; ".join(now.because)
        )
    release = steps.get("release/stickgen_bench")
    if release is not None:
        there = find_manifest(release.folder) is not None
        yield line(
            release.key, there or None, str(release.folder / "index.html") if there else "not built; run `stickgen build group:release`"
        )


def _report(step: Step) -> tuple[bool, str]:
    path = step.folder / "report.json"
    if not path.exists():
        return _bytes(step)
    report = json.loads(path.read_text(encoding="utf-8"))
    content = report["content"]
    if not digest_json(content) == report["content_digest"] == read_manifest(step.folder).digest:
        return False, f"{path}: the numbers were changed after they were measured"
    names = {row["name"] for row in content["rows"]}
    missing = {"real", "shuffled", "retrieval"} - names
    model = next(row for row in content["rows"] if row["kind"] == "model")
    bare = [name for name, found in model["measures"].items() if found and found.get("value") is not None and found.get("n") is None]
    if missing:
        return False, f"{path}: the rows {', '.join(sorted(missing))} are missing"
    return not bare, f"{len(names)} rows with floor and ceiling, N = {content['provenance']['n']}" + (
        f"; {bare[0]} has no N" if bare else ", every number with its N"
    )
