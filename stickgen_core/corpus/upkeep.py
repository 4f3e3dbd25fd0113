"""Upkeep of a data root: which corpora there are, and which shards nobody points to any more."""

import json
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.corpus.folder import STORE_NOTE
from stickgen_core.corpus.shards import SHARD_NAME
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import Corrupt
from stickgen_core.records.folders import entries_below
from stickgen_core.records.manifest import MANIFEST_NAME
from stickgen_core.records.publish import sweep


@dataclass(frozen=True)
class Swept:
    """Shards removed, the bytes they freed, and unreferenced ones too young to be removed."""

    removed: int
    freed_bytes: int
    young: int


def corpora_below(data: Path) -> list[Corpus]:
    """Every corpus published below a data root, in path order; a damaged one is an error, because its shards would seem unused."""
    folders = []
    for path in sorted(path for path in entries_below(data) if path.name == MANIFEST_NAME):
        try:
            notes = json.loads(path.read_text(encoding="utf-8")).get("notes") or {}
        except (ValueError, AttributeError, UnicodeDecodeError) as error:
            raise Corrupt(f"{path}: not a manifest ({error}); remove it or build it again first") from None
        if STORE_NOTE in notes:
            folders.append(path.parent)
    return [Corpus.open(folder) for folder in folders]


def shards_of(table: pa.Table) -> set[str]:
    return {*pc.unique(table["shard"]).to_pylist(), *pc.unique(table["text_shard"]).to_pylist()}


def sweep_pool(data: Path, pool: Path, *, grace_h: float | None = None, also: Iterable[Corpus] = (), keep: Collection[str] = ()) -> Swept:
    """Remove shards that neither a corpus below `data` (or in `also`) nor `keep` names, once they are older than the grace period."""
    grace_s = (CorpusConfig().sweep_grace_h if grace_h is None else grace_h) * 3600
    named = {shard for corpus in (*corpora_below(data), *also) if corpus.pool == pool.resolve() for shard in shards_of(corpus.index)}
    sweep(pool)
    removed = freed = young = 0
    for path in sorted(pool.glob("*.arrow")):
        if path.stem in named or path.stem in keep or not SHARD_NAME.match(path.stem):
            continue
        status = path.stat()
        if time.time() - status.st_mtime < grace_s:
            young += 1
            continue
        path.unlink()
        removed, freed = removed + 1, freed + status.st_size
    return Swept(removed, freed, young)
