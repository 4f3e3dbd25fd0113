"""Rewriting: the same clips in fresh shards. A packed copy stands alone; a compacted corpus no longer reads sparsely."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.corpus.folder import LOCK_NAME, STORE_NOTE, Draft, publish_folder
from stickgen_core.corpus.index import BASE_SCHEMA
from stickgen_core.corpus.shards import ARRAY_SCHEMA, TEXT_SCHEMA, OpenShard, ShardWriter, array_row, shard_path, text_row
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import Corrupt
from stickgen_core.records.publish import exclusively, sweep

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Usage:
    """How much of its shards a corpus uses, in rows and in bytes of whole shard files."""

    live_rows: int
    shard_rows: int
    shard_bytes: int

    @property
    def share(self) -> float:
        return self.live_rows / self.shard_rows if self.shard_rows else 1.0


def usage(corpus: Corpus) -> Usage:
    """Rows of the corpus against rows in the shards it reads."""
    names = pc.unique(corpus.index["shard"]).to_pylist()
    paths = [shard_path(corpus.pool, name) for name in names]
    return Usage(len(corpus), sum(OpenShard(path).rows for path in paths), sum(path.stat().st_size for path in paths))


def copy_rows(
    corpus: Corpus, rows: np.ndarray, pool: Path, layout: CorpusConfig, progress: Progress | None = None
) -> list[tuple[str, int, str, int]]:
    """Copy clips into fresh shards of `pool`, every field held against its digest; (shard, row, text shard, text row) of each."""
    arrays, texts = ShardWriter(pool, ARRAY_SCHEMA, layout), ShardWriter(pool, TEXT_SCHEMA, layout)
    try:
        for done, i in enumerate(rows):
            clip = corpus.clip(int(i))
            fields = clip.field_digests()
            if clip.digest_from(fields) != corpus.index["digest"][int(i)].as_py():
                raise Corrupt(f"{corpus.folder}: clip {clip.id!r} differs from its digest; run `stickgen corpus verify`")
            arrays.add(array_row(clip, fields))
            texts.add(text_row(clip.id, clip.texts))
            if progress and done % 1000 == 0:
                progress("copy", done, len(rows))
        return [(*array, *text) for array, text in zip(arrays.flush(), texts.flush(), strict=True)]
    finally:
        arrays.abandon()
        texts.abandon()


def placed(table: pa.Table, places: list[tuple[str, int, str, int]]) -> pa.Table:
    """The table with other places for its rows."""
    for n, name in enumerate(("shard", "row", "text_shard", "text_row")):
        field = BASE_SCHEMA.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array([place[n] for place in places], field.type))
    return table


def republish(
    corpus: Corpus, folder: Path, pool: Path, table: pa.Table, ledger: pa.Table, extra_notes: dict[str, object] | None = None
) -> Corpus:
    """Publish a changed table under the identity (name, recipe, parents, notes) of a corpus. The caller holds the folder's lock."""
    old = corpus.manifest
    notes = {k: v for k, v in old.notes.items() if k != STORE_NOTE} | (extra_notes or {})
    draft = Draft(old.name, old.kind, old.recipe, old.parents, notes, dict(old.made))
    counts = {k: int(v) for k, v in old.counts.items() if k in ("read", "motion_width")}
    publish_folder(folder, pool, table, ledger, draft, counts)
    return Corpus.open(folder)


def pack(corpus: Corpus, target: Path, *, layout: CorpusConfig | None = None, progress: Progress | None = None) -> Corpus:
    """A self-contained copy: `target` holds the corpus and, in `target/shards`, exactly its clips. Same digest; move it anywhere."""
    with exclusively(target / LOCK_NAME):
        sweep(target)
        pool = target / "shards"
        places = copy_rows(corpus, np.arange(len(corpus)), pool, layout or CorpusConfig(), progress)
        return republish(corpus, target, pool, placed(corpus.index, places), corpus.ledger())


def compact(corpus: Corpus, *, layout: CorpusConfig | None = None, progress: Progress | None = None) -> Corpus:
    """Rewrite a corpus whose rows are a small share of its shards; one that uses enough of them is returned as it is."""
    layout = layout or CorpusConfig()
    if usage(corpus).share >= layout.compact_below:
        return corpus
    with exclusively(corpus.folder / LOCK_NAME):
        sweep(corpus.pool)
        places = copy_rows(corpus, np.arange(len(corpus)), corpus.pool, layout, progress)
        return republish(corpus, corpus.folder, corpus.pool, placed(corpus.index, places), corpus.ledger())
