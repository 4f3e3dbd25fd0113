"""Upkeep of a data root: which corpora there are, which shards nobody points to, and withdrawing a source for good."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.corpus.folder import LOCK_NAME, STORE_NOTE
from stickgen_core.corpus.index import PLACEMENT
from stickgen_core.corpus.ledger import LedgerRow, ledger_table
from stickgen_core.corpus.rewrite import copy_rows, placed, republish
from stickgen_core.corpus.shards import SHARD_NAME, shard_path
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import Corrupt, StickgenError
from stickgen_core.records.digests import digest_entries
from stickgen_core.records.publish import exclusively, publish_text, sweep


@dataclass(frozen=True)
class Swept:
    """Shards removed, the bytes they freed, and unreferenced ones too young to be removed."""

    removed: int
    freed_bytes: int
    young: int


@dataclass(frozen=True)
class Tombstone:
    """That a source was withdrawn: when, why, what it was, and which artefacts were made from it and are not corpora."""

    source: str
    reason: str
    at: str
    clips: int
    clips_digest: str
    corpora: dict[str, list[str]]
    shards: list[str]
    derived: list[str]


def corpora_below(data: Path) -> list[Corpus]:
    """Every corpus published below a data root, in path order; a damaged one is an error, because its shards would seem unused."""
    folders = []
    for path in sorted(data.rglob("manifest.json")):
        try:
            notes = json.loads(path.read_text(encoding="utf-8")).get("notes") or {}
        except (ValueError, AttributeError, UnicodeDecodeError) as error:
            raise Corrupt(f"{path}: not a manifest ({error}); remove it or build it again first") from None
        if STORE_NOTE in notes:
            folders.append(path.parent)
    return [Corpus.open(folder) for folder in folders]


def shards_of(table: pa.Table) -> set[str]:
    return {*pc.unique(table["shard"]).to_pylist(), *pc.unique(table["text_shard"]).to_pylist()}


def sweep_pool(data: Path, pool: Path, *, grace_h: float | None = None, also: Iterable[Corpus] = ()) -> Swept:
    """Remove shards that no corpus below `data` (or in `also`) names, once they are older than the grace period."""
    grace_s = (CorpusConfig().sweep_grace_h if grace_h is None else grace_h) * 3600
    named = {shard for corpus in (*corpora_below(data), *also) if corpus.pool == pool.resolve() for shard in shards_of(corpus.index)}
    sweep(pool)
    removed = freed = young = 0
    for path in sorted(pool.glob("*.arrow")):
        if path.stem in named or not SHARD_NAME.match(path.stem):
            continue
        status = path.stat()
        if time.time() - status.st_mtime < grace_s:
            young += 1
            continue
        path.unlink()
        removed, freed = removed + 1, freed + status.st_size
    return Swept(removed, freed, young)


def withdraw(data: Path, pool: Path, source: str, reason: str, *, layout: CorpusConfig | None = None) -> Tombstone:
    """Take a source out of every corpus below `data` and its bytes off the disk, and leave a tombstone.

    Clips of other sources that share a shard with it are moved first. Killed midway it can simply be run again: the tombstone
    is written before any byte is deleted and says what must go. Raw data and text vectors are not touched.
    """
    layout = layout or CorpusConfig()
    grave = tombstone_path(data, source)
    corpora = corpora_below(data)
    affected = [c for c in corpora if pc.any(pc.equal(c.index["source"], source)).as_py()]
    before = read_tombstone(data, source)
    if not affected and before is None:
        raise StickgenError(f"{data}: no corpus holds a clip of {source!r}; sources here: {', '.join(_sources(corpora)) or 'none'}")
    doomed = {s for c in affected for s in shards_of(c.index.filter(pc.equal(c.index["source"], source)))} | set(
        before.shards if before else ()
    )
    moved = _move_out(corpora, source, doomed, layout)
    stone = _tombstone(data, source, reason, affected, doomed, before)
    publish_text(grave, json.dumps(asdict(stone), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    for corpus in corpora:
        if shards_of(corpus.index) & doomed:
            _without(corpus, source, reason, moved)
    still_named = {shard for corpus in corpora_below(data) for shard in shards_of(corpus.index)}
    for shard in sorted(doomed - still_named):
        shard_path(pool, shard).unlink(missing_ok=True)
    return stone


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


Place = tuple[str, int, str, int]


def _move_out(corpora: list[Corpus], source: str, doomed: set[str], layout: CorpusConfig) -> dict[Place, Place]:
    """Copy every other source's clip out of the doomed shards, once even if several corpora hold it."""
    moved: dict[Place, Place] = {}
    for corpus in corpora:
        places = _places(corpus.index)
        sources = corpus.index["source"].to_pylist()
        wanted = [
            i for i, place in enumerate(places)
            if sources[i] != source and (place[0] in doomed or place[2] in doomed) and place not in moved
        ]  # fmt: skip
        if wanted:
            fresh = copy_rows(corpus, np.array(wanted), corpus.pool, layout)
            moved.update(zip((places[i] for i in wanted), fresh, strict=True))
    return moved


def _places(table: pa.Table) -> list[Place]:
    return list(zip(*(table[name].to_pylist() for name in PLACEMENT), strict=True))


def _without(corpus: Corpus, source: str, reason: str, moved: dict[Place, Place]) -> None:
    with exclusively(corpus.folder / LOCK_NAME):
        gone = pc.equal(corpus.index["source"], source)
        table = corpus.index.filter(pc.invert(gone))
        table = placed(table, [moved.get(place, place) for place in _places(table)])
        rows = [LedgerRow(source, clip_id, "withdraw", "withdrawn", reason) for clip_id in corpus.index.filter(gone)["id"].to_pylist()]
        ledger = ledger_table(pa.concat_tables([corpus.ledger(), ledger_table(rows)]))
        republish(
            corpus, corpus.folder, corpus.pool, table, ledger, {} if table.num_rows else {"absent": f"{source} was withdrawn: {reason}"}
        )


def _tombstone(data: Path, source: str, reason: str, affected: list[Corpus], doomed: set[str], before: Tombstone | None) -> Tombstone:
    entries: dict[str, str] = {}
    for corpus in affected:
        rows = corpus.index.filter(pc.equal(corpus.index["source"], source))
        entries.update(zip(rows["id"].to_pylist(), rows["digest"].to_pylist(), strict=True))
    digests = {c.manifest.name: [c.digest] for c in affected}
    if before:
        digests = {name: sorted({*before.corpora.get(name, ()), *digests.get(name, ())}) for name in {*before.corpora, *digests}}
    return Tombstone(
        source, reason, datetime.now(UTC).isoformat(timespec="seconds"), len(entries) or (before.clips if before else 0),
        digest_entries("artifact.v1", entries.items()) if entries else before.clips_digest if before else "",
        digests, sorted(doomed), _derived(data, {d for found in digests.values() for d in found}),
    )  # fmt: skip


def _derived(data: Path, digests: set[str]) -> list[str]:
    """Artefacts other than corpora that were made, directly, from a corpus that held the source: exports, vectors, checkpoints."""
    found = []
    for path in sorted(data.rglob("*manifest.json")):
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if STORE_NOTE not in (values.get("notes") or {}) and digests & set((values.get("parents") or {}).values()):
            found.append(str(path.relative_to(data)))
    return found


def _sources(corpora: list[Corpus]) -> list[str]:
    return sorted({name for c in corpora for name in pc.unique(c.index["source"]).to_pylist()})
