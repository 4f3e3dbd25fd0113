"""A raw folder to its canonical corpus: streamed, parallel over units, resumable, the same digest however it was done."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.canonical.gather import gathered, notes_of, recordings, require_usable
from stickgen_core.canonical.parts import PARTS_NAME, Job, Part, Seen, jobs_for, recover, seen, whole_parts
from stickgen_core.canonical.workers import do
from stickgen_core.config import config_hash
from stickgen_core.corpus.folder import LOCK_NAME, Draft, publish_folder
from stickgen_core.corpus.index import index_table
from stickgen_core.corpus.ledger import ledger_table
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import find_manifest
from stickgen_core.records.publish import exclusively, sweep
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.files import linked_folders, matching, walk
from stickgen_core.sources.reader import LeftOut, Reader, Unit
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.registry import SourceSpec

Progress = Callable[[str, int, int], None]
# Most files of a part: publishing one costs as much as a few dozen short clips.
UNITS_PER_PART = 1024
# How often progress is told, for those who draw it.
TELL_S = 0.1
# Raise when the meaning of a clip changes: every corpus is then converted again.
VERSION = 2
# Keys of a data set's YAML that a clip depends on; a new citation converts nothing again.
SPEC_KEYS = ("name", "reader", "kind", "axes", "fps", "unit_m", "skeleton", "origin", "needs", "licence", "splits", "options")


def recipe_of(spec: SourceSpec, raw: Path, config: CanonicalConfig, skeleton: SkeletonConfig) -> str:
    """Digest of everything but the units' own files that decides what their clips are."""
    reader = reader_for(spec)
    known = spec.model_dump(mode="json")
    return digest_json({
        "version": VERSION, "reader": reader.version, "spec": {key: known[key] for key in SPEC_KEYS}, "canonical": config_hash(config),
        "skeleton": config_hash(skeleton), "outside": _outside(reader, raw),
    })  # fmt: skip


def _outside(reader: Reader, raw: Path) -> str:
    """Of what a reader uses beside its units' files (label tables, body models); one that does not say may use any action id."""
    fingerprint = getattr(reader, "fingerprint", None)
    return fingerprint(raw) if fingerprint else digest_json(load_actions().ids)


def convert(
    spec: SourceSpec, raw: Path, folder: Path, *, shards: Path, config: CanonicalConfig, skeleton: SkeletonConfig,
    parents: Mapping[str, str] | None = None, workers: int = 1, progress: Progress | None = None, units_per_part: int = UNITS_PER_PART,
    limit: int | None = None, meant_to_be_gone: bool = False,
) -> Corpus:  # fmt: skip
    """Publish `canonical/<name>` at a folder.

    A data set that is not there gives an explicit absent corpus of no clips; one that is there and gives nothing is an error.
    Units whose files and recipe are unchanged are taken over from the last run, whole or killed at any time.

    parents   asset key -> digest of the raw data, for the manifest
    limit     read at most this many units, for a preview; the corpus then says so
    meant_to_be_gone  a person has said so: what vanished becomes absent instead of being refused
    """
    raw, folder, shards = Path(raw).absolute(), Path(folder), Path(shards)
    name = f"canonical/{spec.name}"
    reason = why_absent(spec, raw, lambda path: f"$DATA_ROOT/{path.relative_to(raw.parent)}")
    if reason:
        if not meant_to_be_gone:
            _require_never_there(name, folder, f"{reason} (in {raw.parent})")
        with _writing(folder):
            notes = {"absent": reason, "register_at": spec.register_at, "units": 0}
            draft = Draft(name, "corpus", digest_json(["absent", spec.name]), dict(parents or {}), notes, {})
            publish_folder(folder, shards, index_table([]), ledger_table([]), draft, {"read": 0, "motion_width": 0})
        return Corpus.open(folder)
    reader = reader_for(spec)
    found = reader.discover(raw)
    linked = tuple(LeftOut(f, "symlink_folder", "links to folders are not followed; mount or copy it there") for f in linked_folders(raw))
    found = replace(found, skipped=(*found.skipped, *linked))
    units = _distinct(spec, found.units)[:limit]
    if not units:
        skipped = "".join(f"; {count} left out as {why}" for why, count in Counter(one.reason for one in found.skipped).most_common(3))
        raise StickgenError(f"{name}: nothing usable in {raw}; looked for {', '.join(spec.layout) or 'files of its reader'}{skipped}")
    recipe = recipe_of(spec, raw, config, skeleton)
    with _writing(folder):
        template = Job(spec, raw, folder, shards, recipe, config, skeleton, ())
        known = {unit.key: seen(raw, unit) for unit in units}
        parts = _make_missing_parts(template, units, known, workers, progress, units_per_part)
        whole = gathered(spec, parts, {key: one.signature for key, one in known.items()}, found.skipped)
        require_usable(spec, raw, whole)
        notes = {**notes_of(whole, limit), "recordings": recordings(spec, whole)}
        draft = Draft(name, "corpus", recipe, dict(parents or {}), notes, {"workers": workers})
        publish_folder(folder, shards, whole.rows, ledger_table(whole.drops), draft, {"read": whole.made, "motion_width": whole.width})
        for place in set((folder / PARTS_NAME).glob("*")) - whole.used:
            shutil.rmtree(place)
    return Corpus.open(folder)


def _require_never_there(name: str, folder: Path, reason: str) -> None:
    """A data set that was there and vanished (an unmounted disk) keeps its last good corpus until a person says that it is meant to be gone."""
    manifest = find_manifest(folder)
    if manifest is not None and manifest.counts.get("clips"):
        raise StickgenError(
            f"{name}: {reason}, but {folder} holds {manifest.counts['clips']} clips of it; "
            f"mount it again, or, if it is meant to be gone: `stickgen datasets remove {name.removeprefix('canonical/')}`"
        )


def why_absent(spec: SourceSpec, raw: Path, named: Callable[[Path], str] = str) -> str | None:
    """Why a data set cannot be read at all: its folder, or what it builds on, is not there. Records name folders below $DATA_ROOT."""
    where = f" ({spec.register_at})" if spec.register_at else ""
    if spec.kind != "synthetic" and _is_empty(raw):
        return f"{named(raw)} is not there or empty{where}"
    for need in spec.needs:
        if _is_empty(raw.parent / need):
            return f"{spec.name} builds on {need}, and {named(raw.parent / need)} is not there or empty"
    for pattern in spec.needs_files:
        if not matching(walk(raw), pattern):
            return f"{spec.name} builds on {pattern}, and there is none below {named(raw)}{where}"
    return None


def _is_empty(folder: Path) -> bool:
    return not folder.is_dir() or not any(folder.iterdir())


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    with exclusively(folder / LOCK_NAME):
        sweep(folder)
        yield


def _distinct(spec: SourceSpec, units: Iterable[Unit]) -> list[Unit]:
    """Sorted by key; two units of one key are a fault of the reader or of a doubled folder, and neither can be preferred."""
    ordered = sorted(units, key=lambda unit: unit.key)
    for one, two in zip(ordered, ordered[1:], strict=False):
        if one.key == two.key:
            raise StickgenError(
                f"canonical/{spec.name}: {one.files[:1]} and {two.files[:1]} are both unit {one.key!r}; remove one copy of the data set"
            )
    return ordered


def _make_missing_parts(
    template: Job, units: list[Unit], there: Mapping[str, Seen], workers: int, progress: Progress | None, most: int
) -> list[Part]:
    """Convert what no whole part has; all whole parts after that."""
    recover(template)
    parts = whole_parts(template.folder, template.recipe, {})
    pending = _pending(units, there, parts)
    follow = _Follow(template.spec.name, len(units) - len(pending), len(units), progress)
    while pending:
        before = len(pending)
        do(jobs_for(pending, workers, most, template), workers, follow)
        parts = whole_parts(template.folder, template.recipe, {part.corpus.folder: part for part in parts})
        # Units with clips of one id are never in one part: those that were put off have their turn now.
        pending = _pending(units, there, parts)
        if len(pending) == before:
            break
    follow.end()
    return parts


def _pending(units: Iterable[Unit], there: Mapping[str, Seen], parts: Iterable[Part]) -> list[tuple[Unit, Seen]]:
    """Units of which no part has the outcome."""
    known = {(key, outcome.signature) for part in parts for key, outcome in part.outcomes.items()}
    return [(unit, there[unit.key]) for unit in units if (unit.key, there[unit.key].signature) not in known]


class _Follow:
    """Tells how far a conversion is: units done of all, and at what pace."""

    def __init__(self, name: str, done: int, total: int, progress: Progress | None):
        self._name, self._before, self._done, self._total, self._frames, self._progress = name, done, done, total, 0, progress
        self._began = self._told = time.monotonic()
        if progress:
            progress(name, done, total)

    def __call__(self, units: int, frames: int) -> None:
        self._done, self._frames = self._done + units, self._frames + frames
        if time.monotonic() - self._told >= TELL_S:
            self.end()

    def end(self) -> None:
        """Say how far it is, unless that has been said."""
        if self._progress and self._done > self._before:
            self._told = time.monotonic()
            made, left = self._done - self._before, self._total - self._done
            self._progress(_pace(self._name, made, self._frames, left, self._told - self._began), self._done, self._total)


def _pace(name: str, files: int, frames: int, left: int, seconds: float) -> str:
    """How fast it goes, and how long it will take at that."""
    per_s = files / max(seconds, 1e-9)
    rest = round(left / per_s)
    return f"{name} {per_s:,.0f} files/s, {frames / max(seconds, 1e-9):,.0f} frames/s, {rest // 60}:{rest % 60:02d} left"
