"""A part: the outcome of some units, published as a small corpus in the shared pool. Parts are the steps of a conversion.

What a part says of a unit holds for as long as the unit's files and the recipe stay the same, whoever else came or went. While it is
being made, its finished units stand in a journal: a kill costs each worker the unit in its hands.
"""

import csv
import json
import os
import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from stickgen_core.canonical.clips import clips_of
from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.canonical.journal import Journal, finished_in
from stickgen_core.canonical.space import upright_frames
from stickgen_core.corpus.check import BadClip
from stickgen_core.corpus.clip import Clip
from stickgen_core.corpus.ledger import LedgerRow
from stickgen_core.corpus.shards import shard_path
from stickgen_core.corpus.store import Corpus
from stickgen_core.corpus.writer import CorpusWriter
from stickgen_core.errors import BadRecording, Corrupt, MissingInput, StickgenError
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import manifest_path
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.reader import Reader, Unit
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import SourceSpec

PARTS_NAME = ".parts"
# Raw bytes of the largest part: a few large files make one as well as many small ones.
PART_BYTES = 256 << 20
# The smallest part that is worth its manifest, where several workers share what is left.
SMALL_UNITS, SMALL_BYTES = 64, 8 << 20
# Raise when the form of a journal, or what a clip holds, changes.
JOURNAL_VERSION = 1
# How long a worker whose parent was killed may take to notice it.
ORPHANS_S = 10.0
# (units, frames) that were done since the last call.
Tell = Callable[[int, int], None]
# What numpy, the standard library and the file system raise on bytes that no format check foresaw.
UNFORESEEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError, EOFError, MemoryError, RecursionError,
    struct.error, zlib.error, csv.Error,
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What a worker needs to make one part; everything here can be sent to another process."""

    spec: SourceSpec
    raw: Path
    folder: Path
    shards: Path
    recipe: str
    config: CanonicalConfig
    skeleton: SkeletonConfig
    units: tuple[tuple[Unit, str], ...]


@dataclass
class Outcome:
    """What became of one unit: which clips, which drops, how upright it was, which labels no table knows.

    recordings   how many it held
    made         clips and windows that came of them, and one for a unit that could not be read: what `clips` and `drops` add up to
    frames       of the source
    """

    signature: str
    recordings: int = 0
    made: int = 0
    frames: int = 0
    clips: list[str] = field(default_factory=list)
    drops: list[dict[str, Any]] = field(default_factory=list)
    upright: int = 0
    person_frames: int = 0
    unmapped: dict[str, int] = field(default_factory=dict)


class Seen(NamedTuple):
    """A unit as it lies there: `signature` of its files (size and time of change) and of what discovery knew, and its size.

    An equal signature means that reading again gives the same.
    """

    signature: str
    bytes: int


def seen(raw: Path, unit: Unit) -> Seen:
    files = [f"{raw}{os.sep}{name}" for name in unit.files]
    files += [f"{raw.parent}{os.sep}{name}" for name in unit.detail.get("siblings", ())]
    stats: list[object] = []
    size = 0
    for path in files:
        try:
            stat = os.stat(path)  # noqa: PTH116  of thousands of small files a path object costs more than the call
            stats.append([stat.st_size, stat.st_mtime_ns])
            size += stat.st_size
        except OSError:
            stats.append(None)
    return Seen(digest_json([unit.key, list(unit.files), stats, unit.detail])[:32], unit.bytes or size)


def make_part(job: Job, tell: Tell) -> None:
    """Read a job's units and publish their clips; `tell` hears of each unit.

    A unit with a clip of the same id as one before it is left for another part: which of two is kept is not for a part to say.
    """
    reader = reader_for(job.spec)
    folder = job.folder / PARTS_NAME / digest_json([job.recipe, [[unit.key, signature] for unit, signature in job.units]])[:24]
    # Whoever finds a journal beside a manifest takes the part for whole: one that is made again was not.
    manifest_path(folder).unlink(missing_ok=True)
    outcomes: dict[str, Outcome] = {}
    taken: set[str] = set()
    with _writer(job, folder) as writer, Journal(folder / _journal_name(job.recipe)) as journal:
        for unit, signature in job.units:
            outcome, clips, drops = _convert(reader, job, unit, signature)
            ids = {clip.id for clip in clips}
            if taken & ids:
                continue
            taken |= ids
            stored, digests = _store(outcome, clips, drops, writer, job.spec.name, unit)
            outcomes[unit.key] = outcome
            journal.append(unit.key, vars(outcome), stored, digests)
            tell(1, outcome.frames)
        _publish(writer, outcomes)
        journal.remove()


def recover(job: Job) -> int:
    """Publish what the journals of a killed conversion hold; returns how many units that saved."""
    saved = 0
    for path in sorted((job.folder / PARTS_NAME).glob(f"*/{_journal_name(job.recipe)}")):
        if not manifest_path(path.parent).exists():
            outcomes: dict[str, Outcome] = {}
            with _patient_writer(job, path.parent) as writer:
                for unit in finished_in(path):
                    outcomes[unit.key] = Outcome(**unit.outcome)
                    for clip in unit.clips:
                        writer.add(clip)
                    for row in outcomes[unit.key].drops:
                        writer.drop(LedgerRow(**row))
                if outcomes:
                    _publish(writer, outcomes)
            saved += len(outcomes)
        path.unlink()
    return saved


def _journal_name(recipe: str) -> str:
    return f"journal-{JOURNAL_VERSION}-{recipe[:32]}"


def _writer(job: Job, folder: Path) -> CorpusWriter:
    return CorpusWriter(folder, shards=job.shards, name=f"canonical/{job.spec.name}/part", recipe=job.recipe)


def _patient_writer(job: Job, folder: Path) -> CorpusWriter:
    """The folder's writer, after a worker that outlived its parent for a moment has let go of it."""
    until = time.monotonic() + ORPHANS_S
    while True:
        try:
            return _writer(job, folder)
        except StickgenError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _publish(writer: CorpusWriter, outcomes: Mapping[str, Outcome]) -> None:
    # As one text: manifests are copied deeply, and thousands of small values would take longer than the clips.
    notes: dict[str, Any] = {"units": json.dumps({key: vars(outcome) for key, outcome in outcomes.items()})}
    if not len(writer):
        notes["absent"] = "every unit of this part was left out; see the ledger"
    writer.publish(notes)


def _convert(reader: Reader, job: Job, unit: Unit, signature: str) -> tuple[Outcome, list[Clip], list[LedgerRow]]:
    """All of a unit or nothing."""
    outcome = Outcome(signature)
    clips: list[Clip] = []
    drops: list[LedgerRow] = []
    keys: set[str] = set()
    try:
        for recording in reader.read(job.raw, unit):
            if recording.key in keys:
                raise BadRecording("key_given_twice", f"the file holds two recordings of key {recording.key!r}")
            keys.add(recording.key)
            for made in clips_of(recording, job.spec, job.config, job.skeleton):
                outcome.made += 1
                if isinstance(made, Clip):
                    clips.append(made)
                else:
                    drops.append(made)
            _note(outcome, recording, job.spec)
    except BadRecording as bad:
        return _quarantined(unit, signature, bad.reason, bad.detail)
    except UNFORESEEN as error:
        first = str(error).splitlines()[0] if str(error) else ""
        return _quarantined(unit, signature, "unreadable", f"{type(error).__name__}: {first}")
    if not outcome.recordings:
        return _quarantined(unit, signature, "empty", "the file holds no recording")
    return outcome, clips, drops


def _store(
    outcome: Outcome, clips: Sequence[Clip], drops: Sequence[LedgerRow], writer: CorpusWriter, source: str, unit: Unit
) -> tuple[list[Clip], list[str]]:
    """Put a unit into the part; the clips that the store took, with their digests."""
    stored, digests, drops = list[Clip](), list[str](), list(drops)
    for clip in clips:
        try:
            digests.append(writer.add(clip))
            stored.append(clip)
            outcome.clips.append(clip.id)
        except BadClip as bad:
            # The id goes into the detail: the clip of that id may well be there, from another file.
            name = recording_of(source, clip.id)
            drops.append(LedgerRow(name, "", "store", bad.reason, f"{clip.id}: {bad.detail}", file=unit.files[0] if unit.files else ""))
    for row in drops:
        writer.drop(row)
        outcome.drops.append(asdict(row))
    return stored, digests


def recording_of(source: str, clip_id: str) -> str:
    """The key of the recording that a clip was cut from: the ledger's unit."""
    return clip_id.removeprefix(f"{source}/").rpartition("#")[0]


def _quarantined(unit: Unit, signature: str, reason: str, detail: str) -> tuple[Outcome, list[Clip], list[LedgerRow]]:
    """A unit of which nothing is used: one row says why."""
    return Outcome(signature, made=1), [], [LedgerRow(unit.key, "", "read", reason, detail, file=unit.files[0] if unit.files else "")]


def _note(outcome: Outcome, recording: Recording, spec: SourceSpec) -> None:
    upright, frames = upright_frames(recording.joints, recording.present, spec.axes)
    outcome.recordings += 1
    outcome.frames += len(recording.joints)
    outcome.upright += upright
    outcome.person_frames += frames
    for label in recording.extra.get("unmapped", ()):
        outcome.unmapped[label] = outcome.unmapped.get(label, 0) + 1


class Part(NamedTuple):
    """A whole part: its clips, and what it says of each of its units."""

    corpus: Corpus
    outcomes: Mapping[str, Outcome]


def whole_parts(folder: Path, recipe: str, opened: Mapping[Path, Part]) -> list[Part]:
    """Parts of this recipe; one with a missing shard counts for nothing. `opened` are those that need no second look, by folder."""
    found = []
    for place in sorted((folder / PARTS_NAME).glob("*")):
        part = opened.get(place) or _part(place, recipe)
        if part is not None:
            found.append(part)
    return found


def _part(place: Path, recipe: str) -> Part | None:
    try:
        corpus = Corpus.open(place)
    except (MissingInput, Corrupt):
        return None
    shards = {*corpus.index["shard"].unique().to_pylist(), *corpus.index["text_shard"].unique().to_pylist()}
    if corpus.manifest.recipe != recipe or not all(shard_path(corpus.pool, shard).is_file() for shard in shards):
        return None
    return Part(corpus, {key: Outcome(**values) for key, values in json.loads(corpus.manifest.notes["units"]).items()})


def jobs_for(pending: Sequence[tuple[Unit, Seen]], workers: int, most: int, template: Job) -> list[Job]:
    """Pending units in parts of at most `most`; where several workers share them, in ever smaller ones, so that all end together."""
    chunks: list[list[tuple[Unit, str]]] = []
    left, left_bytes = len(pending), sum(found.bytes for _, found in pending)
    places, room = 0, 0
    for unit, found in pending:
        if not places or found.bytes > room:
            chunks.append([])
            places, room = most, PART_BYTES
            if workers > 1:
                places = min(most, max(SMALL_UNITS, -(-left // (2 * workers))))
                room = min(PART_BYTES, max(SMALL_BYTES, left_bytes // (2 * workers)))
        chunks[-1].append((unit, found.signature))
        places, room = places - 1, room - found.bytes
        left, left_bytes = left - 1, left_bytes - found.bytes
    return [replace(template, units=tuple(chunk)) for chunk in chunks]
