"""A part: the outcome of a few units, published as a small corpus in the shared pool. Parts are the journal of a conversion.

A kill costs the units of the parts in flight, one a worker: at most 256 files or 64 MB, about a second of work. What a finished part says of a unit holds for as long as the unit's files
and the recipe stay the same, whoever else came or went.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from stickgen_core.canonical.clips import clips_of
from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.canonical.space import upright_frames
from stickgen_core.corpus.check import BadClip
from stickgen_core.corpus.clip import Clip
from stickgen_core.corpus.ledger import LedgerRow
from stickgen_core.corpus.shards import shard_path
from stickgen_core.corpus.store import Corpus
from stickgen_core.corpus.writer import CorpusWriter
from stickgen_core.errors import BadRecording, Corrupt, MissingInput
from stickgen_core.records.digests import digest_json
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.reader import Reader, Unit
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import SourceSpec

PARTS_NAME = ".parts"
# Raw bytes of a part: a few large files make one as well as many small ones.
PART_BYTES = 64 << 20
# What numpy, json, struct and the file system raise on bytes that no format check foresaw.
UNFORESEEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError, EOFError, MemoryError, RecursionError)


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
    files = [raw / name for name in unit.files] + [raw.parent / name for name in unit.detail.get("siblings", ())]
    stats: list[object] = []
    size = 0
    for path in files:
        try:
            stat = path.stat()
            stats.append([stat.st_size, stat.st_mtime_ns])
            size += stat.st_size
        except OSError:
            stats.append(None)
    return Seen(digest_json([unit.key, list(unit.files), stats, unit.detail])[:32], unit.bytes or size)


def make_part(job: Job) -> int:
    """Read a job's units and publish their clips; returns how many frames were read."""
    reader = reader_for(job.spec)
    folder = job.folder / PARTS_NAME / digest_json([job.recipe, [[unit.key, signature] for unit, signature in job.units]])[:24]
    outcomes: dict[str, Outcome] = {}
    with CorpusWriter(folder, shards=job.shards, name=f"canonical/{job.spec.name}/part", recipe=job.recipe) as writer:
        for unit, signature in job.units:
            outcomes[unit.key] = _convert(reader, job, unit, signature, writer)
        # As one text: manifests are copied deeply, and thousands of small values would take longer than the clips.
        notes: dict[str, Any] = {"units": json.dumps({key: vars(outcome) for key, outcome in outcomes.items()})}
        if not len(writer):
            notes["absent"] = "every unit of this part was left out; see the ledger"
        writer.publish(notes)
    return sum(outcome.frames for outcome in outcomes.values())


def _convert(reader: Reader, job: Job, unit: Unit, signature: str, writer: CorpusWriter) -> Outcome:
    """All of a unit or nothing: clips are stored once the whole unit has been read."""
    outcome = Outcome(signature)
    clips: list[Clip] = []
    drops: list[LedgerRow] = []
    try:
        for recording in reader.read(job.raw, unit):
            for made in clips_of(recording, job.spec, job.config, job.skeleton):
                outcome.made += 1
                if isinstance(made, Clip):
                    clips.append(made)
                else:
                    drops.append(made)
            _note(outcome, recording, job.spec)
    except BadRecording as bad:
        return _quarantined(writer, unit, signature, bad.reason, bad.detail)
    except UNFORESEEN as error:
        first = str(error).splitlines()[0] if str(error) else ""
        return _quarantined(writer, unit, signature, "unreadable", f"{type(error).__name__}: {first}")
    if not outcome.recordings:
        return _quarantined(writer, unit, signature, "empty", "the file holds no recording")
    for clip in clips:
        try:
            writer.add(clip)
            outcome.clips.append(clip.id)
        except BadClip as bad:
            # The id goes into the detail: the clip of that id may well be there, from another file.
            name = recording_of(job.spec.name, clip.id)
            drops.append(LedgerRow(name, "", "store", bad.reason, f"{clip.id}: {bad.detail}", file=unit.files[0] if unit.files else ""))
    for row in drops:
        writer.drop(row)
        outcome.drops.append(asdict(row))
    return outcome


def recording_of(source: str, clip_id: str) -> str:
    """The key of the recording that a clip was cut from: the ledger's unit."""
    return clip_id.removeprefix(f"{source}/").rpartition("#")[0]


def _quarantined(writer: CorpusWriter, unit: Unit, signature: str, reason: str, detail: str) -> Outcome:
    """A unit of which nothing is used: one row says why."""
    row = LedgerRow(unit.key, "", "read", reason, detail, file=unit.files[0] if unit.files else "")
    writer.drop(row)
    return Outcome(signature, made=1, drops=[asdict(row)])


def _note(outcome: Outcome, recording: Recording, spec: SourceSpec) -> None:
    upright, frames = upright_frames(recording.joints, recording.present, spec.axes)
    outcome.recordings += 1
    outcome.frames += len(recording.joints)
    outcome.upright += upright
    outcome.person_frames += frames
    for label in recording.extra.get("unmapped", ()):
        outcome.unmapped[label] = outcome.unmapped.get(label, 0) + 1


def parts_below(folder: Path, recipe: str) -> Iterator[tuple[Corpus, Mapping[str, Outcome]]]:
    """Whole parts of this recipe, with what each says of its units; a part with a missing shard counts for nothing."""
    for place in sorted((folder / PARTS_NAME).glob("*")):
        try:
            part = Corpus.open(place)
        except (MissingInput, Corrupt):
            continue
        shards = {*part.index["shard"].unique().to_pylist(), *part.index["text_shard"].unique().to_pylist()}
        if part.manifest.recipe == recipe and all(shard_path(part.pool, shard).is_file() for shard in shards):
            yield part, {key: Outcome(**values) for key, values in json.loads(part.manifest.notes["units"]).items()}


def jobs_for(pending: Sequence[tuple[Unit, Seen]], workers: int, most: int, template: Job) -> list[Job]:
    """Pending units in parts small enough that every worker gets several and a kill costs little."""
    size = max(1, min(most, -(-len(pending) // (4 * workers))))
    chunks: list[list[tuple[Unit, str]]] = []
    room = 0
    for unit, found in pending:
        if not chunks or len(chunks[-1]) >= size or found.bytes > room:
            chunks.append([])
            room = PART_BYTES
        chunks[-1].append((unit, found.signature))
        room -= found.bytes
    return [replace(template, units=tuple(chunk)) for chunk in chunks]
