"""What lies in a data root, which roots need it, and which artefact it belongs to: the things that `stickgen gc` decides on."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Roots:
    """Artefact -> what needs it.

    needed   that it is in place, or else the pin
    pinned   the pin, also where it is in place
    """

    needed: Mapping[Name, str]
    pinned: Mapping[Name, str]

    def needing(self, names: Iterable[Name]) -> tuple[str, ...]:
        return tuple(self.needed[name] for name in names if name in self.needed)

    def pinning(self, names: Iterable[Name]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.pinned[name] for name in names if name in self.pinned))


def roots_of(settings: Settings, steps: Steps) -> Roots:
    pinned = pinned_names(pins(settings.places.pins))
    in_place: dict[Name, str] = {}
    for step in steps.values():
        manifest = find_manifest(step.folder)
        if manifest is not None:
            in_place[step.key, manifest.digest] = IN_PLACE
    return Roots({**pinned, **in_place}, pinned)


def pinned_shards(entries: Iterable[Entry], pinned: Collection[Name]) -> set[str]:
    """Shards that the entries of pinned artefacts name."""
    return {shard for entry in entries if entry.name in pinned for shard in entry.belongs}


def things(settings: Settings, steps: Steps) -> list[Thing]:
    places = settings.places
    entries, roots = history_of(settings).entries, roots_of(settings, steps)
    found = [
        *_artefacts(steps, roots), *_shards(places.data, places.shards, entries, roots), *_runs(settings, entries, roots),
        *_vectors(places.text_vectors, entries, roots), *_caches(places.data), *_refused(steps, state_of(settings)),
        *_leftovers((places.data, places.checkpoints, places.outputs, places.evaluations, places.exports)),
    ]  # fmt: skip
    return found


def _artefacts(steps: Steps, roots: Roots) -> Iterator[Thing]:
    for step in steps.values():
        manifest = find_manifest(step.folder)
        if manifest is not None:
            row = "evaluation" if step.key == "evaluation/evaluator" else step.kept
            mine = ((step.key, manifest.digest),)
            yield Thing(step.key, _paths(step.folder), row, age_h(step.folder), (IN_PLACE,), mine, roots.pinning(mine))


def _paths(artefact: Path) -> tuple[Path, ...]:
    """A folder; or a file with what stands beside it, its manifest first."""
    if artefact.is_dir():
        return (artefact,)
    return tuple(path for path in (manifest_path(artefact), artefact, artefact.with_name(f"{artefact.name}.md5")) if path.exists())


def _shards(data: Path, pool: Path, entries: Iterable[Entry], roots: Roots) -> Iterator[Thing]:
    held: dict[str, str] = {}
    for corpus in corpora_below(data):
        held.update(dict.fromkeys(shards_of(corpus.index), f"corpus {corpus.manifest.name}"))
    owners: dict[str, list[Name]] = {}
    for entry in entries:
        for shard in entry.belongs:
            owners.setdefault(shard, []).append(entry.name)
            if entry.name in roots.needed:
                held.setdefault(shard, roots.needed[entry.name])
    for path in sorted(pool.glob("*.arrow")):
        mine = owners.get(path.stem, [])
        needing = (held[path.stem],) if path.stem in held else ()
        if not needing and not mine:
            # Nobody published it: a writer was killed, or the history was lost. Sweeping it is a person's decision.
            needing = ("no record of who wrote it; `stickgen corpus sweep` removes it",)
        row = "shards" if needing else "superseded_shard"
        yield Thing(f"shard {path.stem[:12]}", (path,), row, age_h(path), needing, tuple(mine), roots.pinning(mine))


def _runs(settings: Settings, entries: Iterable[Entry], roots: Roots) -> Iterator[Thing]:
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
        needing = list(roots.needing(owners))
        needing += (
            ["the checkpoint in place is this file"] if any((s.st_dev, s.st_ino) in in_place for s in (p.stat() for p in weights)) else []
        )
        needing += ["the registry's best of its task"] if run.run_id in best else []
        needing += ["still running"] if values.get("status") == "running" else []
        if not needing and not owners:
            needing = ["no record of the checkpoint that it made"]
        kept_as = "run_folder" if needing else "superseded_weights"
        yield Thing(f"run {run.run_id}", weights, kept_as, age_h(run.folder), tuple(needing), tuple(owners), roots.pinning(owners))


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


def _vectors(folder: Path, entries: Iterable[Entry], roots: Roots) -> Iterator[Thing]:
    using: dict[str, list[Entry]] = {}
    for entry in entries:
        digest = entry.manifest.notes.get("encoder_digest")
        if digest and entry.kind == "corpus":
            using.setdefault(str(digest), []).append(entry)
    for path in sorted(folder.glob("*")):
        if not path.is_dir():
            continue
        owners = tuple(e.name for e in using.get(path.name, []))
        needing = roots.needing(owners) or (() if owners else ("no record of the corpus that it was made for",))
        row = "text_vectors" if needing else "superseded_vectors"
        yield Thing(f"vectors {path.name[:12]}", (path,), row, age_h(path), needing, owners, roots.pinning(owners))


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
