"""Withdrawing a source for good: its clips leave every corpus and the disk, what was made of them is named, a tombstone stays."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.corpus.descent import Known, artefacts_below, descendants, mark
from stickgen_core.corpus.folder import LOCK_NAME, Draft, publish_folder
from stickgen_core.corpus.index import PLACEMENT, index_table
from stickgen_core.corpus.ledger import LedgerRow, ledger_table
from stickgen_core.corpus.repair import DAMAGED
from stickgen_core.corpus.rewrite import copy_rows, placed, republish
from stickgen_core.corpus.shards import shard_path
from stickgen_core.corpus.store import Corpus
from stickgen_core.corpus.traces import Traces, traces_of
from stickgen_core.corpus.upkeep import corpora_below, shards_of
from stickgen_core.errors import Corrupt, StickgenError
from stickgen_core.records.digests import digest_entries
from stickgen_core.records.publish import exclusively, publish_text, sweep

PARTS_FOLDER = ".parts"  # a conversion's unfinished business: corpora that are made again from raw files
EXPORT_KIND = "export"
Place = tuple[str, int, str, int]


@dataclass(frozen=True)
class Tombstone:
    """That a source was withdrawn: when, why, and what became of it.

    clips, clips_digest   what it was
    corpora      corpus -> digests of its versions that held the source
    shards       shards that had to go
    removed      exports (.pt files) that held its clips, taken off the disk
    derived      artefacts made from it, however far down: checkpoints, statistics, reports, motions; each carries a mark
    possible     artefacts made from an earlier version of a corpus that held it, of which the manifests no longer tell
    """

    source: str
    reason: str
    at: str
    clips: int
    clips_digest: str
    corpora: dict[str, list[str]]
    shards: list[str]
    removed: list[str] = field(default_factory=list)
    derived: list[str] = field(default_factory=list)
    possible: list[str] = field(default_factory=list)


def withdraw(
    data: Path, pool: Path, source: str, reason: str, *, also_below: Iterable[Path] = (), layout: CorpusConfig | None = None
) -> Tombstone:
    """Take a source out of every corpus below `data` and its bytes off the disk, mark what was made from it, leave a tombstone.

    Clips of other sources that share a shard with it are moved first; a clip that says more than its own data set says of it, in words
    of the source or as its equal in motion, goes as well, and so does what was recombined from such a clip: the next build brings them
    back with their own captions. Shards that no corpus names any more go if they hold any of that, and so do damaged ones. Killed midway it can simply be run again: the tombstone is written before any
    byte is deleted and says what must go. Raw data is not touched. `also_below`: further roots with checkpoints, reports and exports.
    """
    layout = layout or CorpusConfig()
    grave = tombstone_path(data, source)
    corpora = corpora_below(data)
    roots = [data, *also_below]
    pools = _pools(data, pool, corpora)
    traces = traces_of(source, corpora, {*pools, *(c.pool for c in corpora)})
    affected = [c for c in corpora if pc.any(traces.mask(c)).as_py()]
    before = read_tombstone(data, source)
    if not affected and not traces.shards and before is None:
        raise StickgenError(f"{data}: no corpus holds a clip of {source!r}; sources here: {', '.join(_sources(corpora)) or 'none'}")
    doomed = {*traces.shards, *traces.unreadable, *(before.shards if before else ())}
    moved = _move_out(corpora, traces, doomed, layout)
    certain, possible = _descended(roots, affected, before)
    exports = [one for one in certain if one.kind == EXPORT_KIND]
    stone = _tombstone(data, source, reason, affected, doomed, before, certain, possible)
    publish_text(grave, json.dumps(asdict(stone), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    for found, sure in ((certain, True), (possible, False)):
        for one in found:
            if one.kind not in ("corpus", EXPORT_KIND):
                mark(one, source, reason, stone.at, sure)
    for one in exports:
        for path in one.path.parent.glob(f"{one.path.name}*"):
            path.unlink(missing_ok=True)
    for corpus in corpora:
        if corpus in affected or shards_of(corpus.index) & doomed:
            _without(corpus, traces, reason, moved)
    still_named = {shard for corpus in corpora_below(data) for shard in shards_of(corpus.index)}
    for place in pools:
        for shard in sorted(doomed - still_named):
            shard_path(place, shard).unlink(missing_ok=True)
        _forget_remains(place)
    return stone


def _pools(data: Path, pool: Path, corpora: Iterable[Corpus]) -> list[Path]:
    """The pool, and those that corpora below the root brought along; one elsewhere may serve other roots."""
    own = (c.pool for c in corpora if c.pool.is_relative_to(data.resolve()) or c.pool.is_relative_to(c.folder.resolve()))
    return sorted({pool.resolve(), *own})


def _forget_remains(pool: Path) -> None:
    """What dead writers left, and damaged shards that a repair set aside: nobody can say what is in them."""
    sweep(pool)
    for path in pool.glob(f"*.arrow{DAMAGED}"):
        path.unlink()


def tombstone_path(data: Path, source: str) -> Path:
    if "/" in source or source.startswith("."):
        raise StickgenError(f"source {source!r}: not a name of a data set")
    return data / "tombstones" / f"{source}.json"


def read_tombstone(data: Path, source: str) -> Tombstone | None:
    """The tombstone of a withdrawn source, None where there is none: a converter asks this before it brings a source back."""
    path = tombstone_path(data, source)
    if not path.exists():
        return None
    try:
        return Tombstone(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise Corrupt(f"{path}: not a tombstone ({error})") from None


def reinstate(data: Path, source: str) -> Tombstone:
    """Lift a withdrawal: the tombstone is kept under another name, and the next build may read the source's raw files again."""
    stone = read_tombstone(data, source)
    if stone is None:
        raise StickgenError(f"{tombstone_path(data, source)}: no tombstone; {source!r} is not withdrawn")
    path = tombstone_path(data, source)
    path.rename(path.with_name(f"{source}.lifted-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.json"))
    return stone


def publish_absent(folder: Path, pool: Path, name: str, recipe: str, parents: Mapping[str, str], why: str) -> Corpus:
    """An explicit corpus of no clips that says why; whatever the folder held before is replaced."""
    with exclusively(folder / LOCK_NAME):
        draft = Draft(name, "corpus", recipe, dict(parents), {"absent": why}, {})
        publish_folder(folder, pool, index_table([]), ledger_table([]), draft, {"read": 0, "motion_width": 0})
    return Corpus.open(folder)


def _move_out(corpora: list[Corpus], traces: Traces, doomed: set[str], layout: CorpusConfig) -> dict[tuple[Path, Place], Place]:
    """Copy every clip that stays out of the doomed shards, once even if several corpora hold it."""
    moved: dict[tuple[Path, Place], Place] = {}
    for corpus in corpora:
        places = _places(corpus.index)
        leaving = traces.mask(corpus).to_pylist()
        wanted = [
            i
            for i, place in enumerate(places)
            if not leaving[i] and (place[0] in doomed or place[2] in doomed) and (corpus.pool, place) not in moved
        ]
        if wanted:
            fresh = copy_rows(corpus, np.array(wanted), corpus.pool, layout)
            moved.update(zip(((corpus.pool, places[i]) for i in wanted), fresh, strict=True))
    return moved


def _places(table: pa.Table) -> list[Place]:
    return list(zip(*(table[name].to_pylist() for name in PLACEMENT), strict=True))


def _without(corpus: Corpus, traces: Traces, reason: str, moved: dict[tuple[Path, Place], Place]) -> None:
    """Publish a corpus again without the rows that go; parts of a conversion are removed, they are made again from raw files."""
    leaving, source = traces.mask(corpus), traces.source
    if PARTS_FOLDER in corpus.folder.parts and pc.any(leaving).as_py():
        shutil.rmtree(corpus.folder)
        return
    with exclusively(corpus.folder / LOCK_NAME):
        gone = corpus.index.filter(leaving)
        table = corpus.index.filter(pc.invert(leaving))
        table = placed(table, [moved.get((corpus.pool, place), place) for place in _places(table)])
        rows = [
            LedgerRow(unit, clip_id, "withdraw", "withdrawn", reason if unit == source else f"was made with {source}: {reason}")
            for unit, clip_id in zip(gone["source"].to_pylist(), gone["id"].to_pylist(), strict=True)
        ]
        ledger = ledger_table(pa.concat_tables([corpus.ledger(), ledger_table(rows)]))
        notes: dict[str, object] = {} if table.num_rows else {"absent": f"{source} was withdrawn: {reason}"}
        republish(corpus, corpus.folder, corpus.pool, table, ledger, notes)


def _descended(roots: list[Path], affected: list[Corpus], before: Tombstone | None) -> tuple[list[Known], list[Known]]:
    digests = {c.digest for c in affected} | {d for found in (before.corpora.values() if before else ()) for d in found}
    names = {c.manifest.name for c in affected} | set(before.corpora if before else ())
    return descendants(artefacts_below(roots), digests, names)


def _tombstone(
    data: Path, source: str, reason: str, affected: list[Corpus], doomed: set[str], before: Tombstone | None,
    certain: list[Known], possible: list[Known],
) -> Tombstone:  # fmt: skip
    entries: dict[str, str] = {}
    for corpus in affected:
        rows = corpus.index.filter(pc.equal(corpus.index["source"], source))
        entries.update(zip(rows["id"].to_pylist(), rows["digest"].to_pylist(), strict=True))
    held: dict[str, set[str]] = {name: set(found) for name, found in (before.corpora if before else {}).items()}
    for corpus in affected:
        held.setdefault(corpus.manifest.name, set()).add(corpus.digest)

    def names(found: list[Known], earlier: Iterable[str]) -> list[str]:
        return sorted({*earlier, *(_below(data, one.path) for one in found)})

    exports = [one for one in certain if one.kind == EXPORT_KIND]
    others = [one for one in certain if one.kind not in ("corpus", EXPORT_KIND)]
    doubtful = [one for one in possible if one.kind != "corpus"]
    return Tombstone(
        source, reason, datetime.now(UTC).isoformat(timespec="seconds"), len(entries) or (before.clips if before else 0),
        digest_entries("artifact.v1", entries.items()) if entries else before.clips_digest if before else "",
        {name: sorted(found) for name, found in sorted(held.items())}, sorted(doomed),
        names(exports, before.removed if before else ()), names(others, before.derived if before else ()),
        names(doubtful, before.possible if before else ()),
    )  # fmt: skip


def _below(data: Path, path: Path) -> str:
    data = data.resolve()
    return str(path.relative_to(data)) if path.is_relative_to(data) else str(path)


def _sources(corpora: list[Corpus]) -> list[str]:
    return sorted({name for c in corpora for name in pc.unique(c.index["source"]).to_pylist()})
