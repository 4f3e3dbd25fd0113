"""A raw folder to its canonical corpus: streamed, parallel over units, resumable, the same digest however it was done."""

import multiprocessing
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.canonical.parts import PARTS_NAME, Job, Outcome, Seen, jobs_for, make_part, parts_below, recording_of, seen
from stickgen_core.config import config_hash
from stickgen_core.corpus.folder import LOCK_NAME, Draft, publish_folder
from stickgen_core.corpus.index import index_table
from stickgen_core.corpus.ledger import LedgerRow, by_reason, ledger_table
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import find_manifest
from stickgen_core.records.publish import exclusively, sweep
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.files import matching, walk
from stickgen_core.sources.reader import Reader, Unit
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.registry import SourceSpec

Progress = Callable[[str, int, int], None]
# Files of a part: publishing one costs as much as a few dozen short clips, and a kill costs at most the parts in flight.
UNITS_PER_PART = 256
# Labels without an action that a manifest names; all of them are counted.
MOST_LABELS = 200
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
    limit: int | None = None,
) -> Corpus:  # fmt: skip
    """Publish `canonical/<name>` at a folder.

    A data set that is not there gives an explicit absent corpus of no clips; one that is there and gives nothing is an error.
    Units whose files and recipe are unchanged are taken over from the last run, whole or killed.

    parents   asset key -> digest of the raw data, for the manifest
    limit     read at most this many units, for a preview; the corpus then says so
    """
    raw, folder, shards = Path(raw).absolute(), Path(folder), Path(shards)
    name = f"canonical/{spec.name}"
    reason = why_absent(spec, raw)
    if reason:
        _require_never_there(name, folder, reason)
        with _writing(folder):
            notes = {"absent": reason, "register_at": spec.register_at, "units": 0}
            draft = Draft(name, "corpus", digest_json(["absent", spec.name]), dict(parents or {}), notes, {})
            publish_folder(folder, shards, index_table([]), ledger_table([]), draft, {"read": 0, "motion_width": 0})
        return Corpus.open(folder)
    reader = reader_for(spec)
    found = reader.discover(raw)
    units = _distinct(spec, found.units)[:limit]
    if not units:
        skipped = "".join(f"; {count} left out as {why}" for why, count in Counter(one.reason for one in found.skipped).most_common(3))
        raise StickgenError(f"{name}: nothing usable in {raw}; looked for {', '.join(spec.layout) or 'files of its reader'}{skipped}")
    recipe = recipe_of(spec, raw, config, skeleton)
    with _writing(folder):
        template = Job(spec, raw, folder, shards, recipe, config, skeleton, ())
        known = {unit.key: seen(raw, unit) for unit in units}
        _make_missing_parts(template, units, known, workers, progress, units_per_part)
        rows, drops, outcomes, width, used = _gathered(template, {key: one.signature for key, one in known.items()})
        drops += [LedgerRow(one.file, "", "discover", one.reason, one.detail, file=one.file) for one in found.skipped]
        _require_usable(name, raw, spec, rows, drops, outcomes)
        notes = {**_notes(units, outcomes, limit), "recordings": _recordings(spec, rows, drops, outcomes, len(found.skipped))}
        draft = Draft(name, "corpus", recipe, dict(parents or {}), notes, {"workers": workers})
        made = sum(outcome.made for outcome in outcomes.values()) + len(found.skipped)
        if made != rows.num_rows + len(drops):
            raise StickgenError(f"{name}: counts do not add up: {made} read, {rows.num_rows} kept + {len(drops)} dropped")
        counts = {"read": made, "motion_width": width}
        publish_folder(folder, shards, rows, ledger_table(drops), draft, counts)
        for place in set((folder / PARTS_NAME).glob("*")) - used:
            shutil.rmtree(place)
    return Corpus.open(folder)


def _require_never_there(name: str, folder: Path, reason: str) -> None:
    """A data set that was there and vanished (an unmounted disk) keeps its last good corpus until a person removes it."""
    manifest = find_manifest(folder)
    if manifest is not None and manifest.counts.get("clips"):
        raise StickgenError(
            f"{name}: {reason}, but {folder} holds {manifest.counts['clips']} clips of it; mount it again, or remove that folder"
        )


def why_absent(spec: SourceSpec, raw: Path) -> str | None:
    """Why a data set cannot be read at all: its folder, or what it builds on, is not there."""
    where = f" ({spec.register_at})" if spec.register_at else ""
    if spec.kind != "synthetic" and _is_empty(raw):
        return f"{raw} is not there or empty{where}"
    for need in spec.needs:
        if _is_empty(raw.parent / need):
            return f"{spec.name} builds on {need}, and {raw.parent / need} is not there or empty"
    for pattern in spec.needs_files:
        if not matching(walk(raw), pattern):
            return f"{spec.name} builds on {pattern}, and there is none below {raw}{where}"
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
) -> None:
    known = {key: outcome.signature for _, outcomes in parts_below(template.folder, template.recipe) for key, outcome in outcomes.items()}
    pending = [(unit, there[unit.key]) for unit in units if known.get(unit.key) != there[unit.key].signature]
    done, total = len(units) - len(pending), len(units)
    jobs = jobs_for(pending, max(1, workers), most, template)
    if progress:
        progress(template.spec.name, done, total)
    started, frames = time.monotonic(), 0
    for job, read in _run(jobs, workers):
        done, frames = done + len(job.units), frames + read
        if progress:
            progress(_pace(template.spec.name, done - total + len(pending), frames, total - done, time.monotonic() - started), done, total)


def _pace(name: str, files: int, frames: int, left: int, seconds: float) -> str:
    """How fast it goes, and how long it will take at that."""
    per_s = files / max(seconds, 1e-9)
    rest = round(left / per_s)
    return f"{name} {per_s:,.0f} files/s, {frames / max(seconds, 1e-9):,.0f} frames/s, {rest // 60}:{rest % 60:02d} left"


def _run(jobs: list[Job], workers: int) -> Iterator[tuple[Job, int]]:
    """Each job with its frames once it is done, in any order. Workers are fresh processes: nothing of this one leaks into a result."""
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield job, make_part(job)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(make_part, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _gathered(template: Job, wanted: Mapping[str, str]) -> tuple[pa.Table, list[LedgerRow], dict[str, Outcome], int, set[Path]]:
    """Index rows, ledger rows, outcomes and motion width of exactly these units (key -> signature), and the parts they come from."""
    tables, drops, outcomes = [index_table([])], [], {}
    clip_ids: set[str] = set()
    width, used = 0, set[Path]()
    for part, known in parts_below(template.folder, template.recipe):
        rows = []
        for key, outcome in sorted(known.items()):
            if key in outcomes or wanted.get(key) != outcome.signature:
                continue
            outcomes[key] = outcome
            used.add(part.folder)
            drops += [LedgerRow(**row) for row in outcome.drops]
            for clip_id in outcome.clips:
                if clip_id in clip_ids:
                    name = recording_of(template.spec.name, clip_id)
                    drops.append(LedgerRow(name, "", "store", "duplicate_id", f"{clip_id}: another file has a recording of that key"))
                else:
                    clip_ids.add(clip_id)
                    rows.append(part.position(clip_id))
        tables.append(part.index.take(pa.array(rows, pa.int64())))
        width = max(width, int(part.manifest.counts["motion_width"]))
    lost = sorted(set(wanted) - set(outcomes))
    if lost:
        raise StickgenError(f"canonical/{template.spec.name}: {len(lost)} files changed while they were read, e.g. {lost[0]}; run again")
    return pa.concat_tables(tables, promote_options="default"), drops, outcomes, width, used


def _require_usable(
    name: str, raw: Path, spec: SourceSpec, rows: pa.Table, drops: list[LedgerRow], outcomes: Mapping[str, Outcome]
) -> None:
    if not rows.num_rows:
        reasons = "; ".join(f"{count} {reason}" for reason, count in list(by_reason(ledger_table(drops)).items())[:4])
        example = f", e.g. {drops[0].file or drops[0].unit}: {drops[0].detail}" if drops else ""
        raise StickgenError(
            f"{name}: nothing usable in {raw}: {len(outcomes)} units read, {reasons}{example}; looked for {', '.join(spec.layout)}"
        )
    upright, frames = sum(o.upright for o in outcomes.values()), sum(o.person_frames for o in outcomes.values())
    if 2 * upright < frames:
        raise StickgenError(
            f"{name}: feet are above the head in {1 - upright / frames:.0%} of all frames, so {spec.axes} is not how this data stands;"
            f" set `axes` in configs/datasets/{spec.name}.yaml"
        )


def _recordings(
    spec: SourceSpec, rows: pa.Table, drops: list[LedgerRow], outcomes: Mapping[str, Outcome], skipped: int
) -> dict[str, object]:
    """Recordings read, kept (at least one clip) and dropped, each counted on its own; a file that gave none counts as one."""
    kept = {recording_of(spec.name, clip_id) for clip_id in rows["id"].to_pylist()}
    read = sum(max(1, outcome.recordings) for outcome in outcomes.values()) + skipped
    reasons: Counter[str] = Counter()
    lost = set[str]()
    for row in drops:
        whole = row.stage in ("discover", "read")
        if whole or (row.unit not in kept and row.unit not in lost):
            reasons[row.reason] += 1
        if not whole:
            lost.add(row.unit)
    if read != len(kept) + reasons.total():
        raise StickgenError(
            f"canonical/{spec.name}: counts do not add up: {read} recordings read, {len(kept)} kept, {reasons.total()} dropped"
        )
    return {"read": read, "kept": len(kept), "dropped": reasons.total(), "by_reason": dict(sorted(reasons.items()))}


def _notes(units: list[Unit], outcomes: Mapping[str, Outcome], limit: int | None) -> dict[str, object]:
    unmapped: Counter[str] = Counter()
    for outcome in outcomes.values():
        unmapped.update(outcome.unmapped)
    frames = sum(outcome.person_frames for outcome in outcomes.values())
    return {
        "units": len(units), "units_without_clips": sum(not outcome.clips for outcome in outcomes.values()),
        "upright_share": round(sum(outcome.upright for outcome in outcomes.values()) / max(frames, 1), 4),
        "unmapped_labels": dict(sorted(unmapped.items(), key=lambda item: (-item[1], item[0]))[:MOST_LABELS]),
        "unmapped_total": unmapped.total(), "unmapped_kinds": len(unmapped), "limit": limit,
    }  # fmt: skip
