"""What lies in a data root, which roots need it, and which artefact it belongs to: the things that `stickgen gc` decides on."""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stickgen_core.corpus.upkeep import corpora_below, shards_of
from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.collection import Decision, Policy, Thing, decide
from stickgen_core.records.folders import entries_below
from stickgen_core.records.history import Entry
from stickgen_core.records.lineage import Name
from stickgen_core.records.manifest import find_manifest, manifest_path
from stickgen_core.records.model_registry import ModelRegistry
from stickgen_core.records.pins import pinned_names, pins
from stickgen_core.records.publish import TEMPORARY_SUFFIX, abandoned
from stickgen_core.records.runs import Run, list_runs
from stickgen_core.settings import Settings
from stickgen_pipeline import gates
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.proofs import Prover
from stickgen_pipeline.resources import state_of
from stickgen_pipeline.steps import Steps, place_of
from stickgen_pipeline.witness import history_of

WEIGHTS = (".pth", ".safetensors", ".pt")
IN_PLACE = "in place"


def plan(settings: Settings, policy: Policy) -> list[Decision]:
    """Decisions about everything below the roots of a profile; nothing is touched."""
    steps = steps_of(settings)
    for step in steps.values():
        if gates.unproven(step.folder, place_of(step, state_of(settings))):
            raise StickgenError(
                f"{step.key}: was made but has not passed its gates; run `stickgen build {step.key}` before anything is collected"
            )
    return decide(things(settings, steps), Prover(settings), policy)


def policy_of(settings: Settings, classes: Iterable[str] | None = None, grace_h: float | None = None) -> Policy:
    """The configured policy, changed by what a person asked for."""
    config = settings.config.pipeline.collection
    quotas = {name: int(gigabytes * 1e9) for name, gigabytes in config.quota_gb.items()}
    return Policy(config.grace_h if grace_h is None else grace_h, tuple(classes if classes is not None else config.classes), quotas)  # type: ignore[arg-type]


def things(settings: Settings, steps: Steps) -> list[Thing]:
    places = settings.places
    entries = history_of(settings).entries
    needed: dict[Name, str] = {}
    for step in steps.values():
        manifest = find_manifest(step.folder)
        if manifest is not None:
            needed[step.key, manifest.digest] = IN_PLACE
    needed = {**pinned_names(pins(places.pins)), **needed}
    found = [
        *_artefacts(steps), *_shards(places.data, places.shards, entries, needed), *_runs(settings, entries, needed),
        *_vectors(places.text_vectors, entries, needed), *_caches(places.data), *_refused(steps, state_of(settings)),
        *_leftovers((places.data, places.checkpoints, places.outputs, places.evaluations, places.exports)),
    ]  # fmt: skip
    return found


def _artefacts(steps: Steps) -> Iterator[Thing]:
    for step in steps.values():
        manifest = find_manifest(step.folder)
        if manifest is not None:
            row = "evaluation" if step.key == "evaluation/evaluator" else step.kept
            yield Thing(step.key, _paths(step.folder), row, age_h(step.folder), (IN_PLACE,), ((step.key, manifest.digest),))


def _paths(artefact: Path) -> tuple[Path, ...]:
    """A folder; or a file with what stands beside it, its manifest first."""
    if artefact.is_dir():
        return (artefact,)
    return tuple(path for path in (manifest_path(artefact), artefact, artefact.with_name(f"{artefact.name}.md5")) if path.exists())


def _shards(data: Path, pool: Path, entries: Iterable[Entry], needed: Mapping[Name, str]) -> Iterator[Thing]:
    held: dict[str, str] = {}
    for corpus in corpora_below(data):
        held.update(dict.fromkeys(shards_of(corpus.index), f"corpus {corpus.manifest.name}"))
    owners: dict[str, list[Name]] = {}
    for entry in entries:
        for shard in entry.belongs:
            owners.setdefault(shard, []).append(entry.name)
            if entry.name in needed:
                held.setdefault(shard, needed[entry.name])
    for path in sorted(pool.glob("*.arrow")):
        mine = owners.get(path.stem, [])
        roots = (held[path.stem],) if path.stem in held else ()
        if not roots and not mine:
            # Nobody published it: a writer was killed, or the history was lost. Sweeping it is a person's decision.
            roots = ("no record of who wrote it; `stickgen corpus sweep` removes it",)
        yield Thing(f"shard {path.stem[:12]}", (path,), "shards" if roots else "superseded_shard", age_h(path), roots, tuple(mine))


def _runs(settings: Settings, entries: Iterable[Entry], needed: Mapping[Name, str]) -> Iterator[Thing]:
    """Weights in run folders; their configuration, log and metrics are never offered."""
    places = settings.places
    if not places.outputs.is_dir():
        return
    registry = ModelRegistry(places.registry_file)
    best = {row["run_id"] for task in {e["task"] for e in registry.entries()} if (row := _best(registry, task))}
    in_place = {(s.st_dev, s.st_ino) for s in (p.stat() for p in entries_below(places.checkpoints) if p.is_file()) if s.st_size}
    checkpoints = [e for e in entries if e.kind == "checkpoint"]
    for run in list_runs(places.outputs):
        weights = tuple(sorted(path for path in run.folder.iterdir() if path.suffix in WEIGHTS))
        if not weights:
            continue
        values = run.metadata()
        owners = _owners(run, values, weights, checkpoints)
        roots = [needed[name] for name in owners if name in needed]
        roots += (
            ["the checkpoint in place is this file"] if any((s.st_dev, s.st_ino) in in_place for s in (p.stat() for p in weights)) else []
        )
        roots += ["the registry's best of its task"] if run.run_id in best else []
        roots += ["still running"] if values.get("status") == "running" else []
        if not roots and not owners:
            roots = ["no record of the checkpoint that it made"]
        yield Thing(
            f"run {run.run_id}", weights, "run_folder" if roots else "superseded_weights", age_h(run.folder), tuple(roots), tuple(owners)
        )


def _best(registry: ModelRegistry, task: str) -> Mapping[str, Any] | None:
    try:
        return registry.best(task, "val_loss", "min")
    except MissingInput:
        return None


def _owners(run: Run, values: Mapping[str, Any], weights: tuple[Path, ...], checkpoints: list[Entry]) -> list[Name]:
    """Checkpoints of the run's name that were published with the very bytes of its weights."""
    from stickgen_core.records.digests import digest_file

    mine = [e for e in checkpoints if e.key == f"checkpoint/{values.get('task')}"]
    found = []
    for entry in mine:
        by_size = {record.bytes: record.sha256 for name, record in entry.manifest.files.items() if name.endswith(".safetensors")}
        for path in weights:
            if path.suffix == ".safetensors" and by_size.get(path.stat().st_size) == digest_file(path):
                found.append(entry.name)
    return found


def _vectors(folder: Path, entries: Iterable[Entry], needed: Mapping[Name, str]) -> Iterator[Thing]:
    using: dict[str, list[Entry]] = {}
    for entry in entries:
        digest = entry.manifest.notes.get("encoder_digest")
        if digest and entry.kind == "corpus":
            using.setdefault(str(digest), []).append(entry)
    for path in sorted(folder.glob("*")):
        if not path.is_dir():
            continue
        owners = using.get(path.name, [])
        roots = tuple(needed[e.name] for e in owners if e.name in needed) or (
            () if owners else ("no record of the corpus that it was made for",)
        )
        yield Thing(
            f"vectors {path.name[:12]}",
            (path,),
            "text_vectors" if roots else "superseded_vectors",
            age_h(path),
            roots,
            tuple(e.name for e in owners),
        )


def _caches(data: Path) -> Iterator[Thing]:
    for name in ("measurements", "honesty_rows"):
        for path in sorted((data / name).glob("[!.]*")):
            yield Thing(f"{name}/{path.name[:24]}", (path,), name, age_h(path), ("saves time",))


def _refused(steps: Steps, state: Path) -> Iterator[Thing]:
    for step in steps.values():
        path = place_of(step, state) / gates.REFUSED
        if path.exists():
            yield Thing(f"refused {step.key}", (path,), "refused", age_h(path))


def _leftovers(roots: Iterable[Path]) -> Iterator[Thing]:
    seen = set()
    for root in roots:
        for path in sorted(path for path in entries_below(root) if path.match(f".*{TEMPORARY_SUFFIX}")):
            if path not in seen and len(path.name.split(".")) >= 4 and abandoned(path):
                seen.add(path)
                yield Thing(f"leftover {path.name}", (path,), "leftover", age_h(path))


def age_h(path: Path) -> float:
    """Hours since the newest file of it was written."""
    times = [p.stat().st_mtime for p in entries_below(path) if p.is_file()] or [path.stat().st_mtime]
    return max(0.0, (time.time() - max(times)) / 3600)


def damaged(settings: Settings) -> list[str]:
    """What no longer verifies, over every corpus in place: what a collection must leave empty."""
    found = []
    for corpus in corpora_below(settings.places.data):
        try:
            found += corpus.verify()
        except (Corrupt, MissingInput) as error:
            found.append(str(error))
    return found
