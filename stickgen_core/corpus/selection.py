"""Selecting: rows of existing indexes become a new index over the same shards, so a merge of 40 GB writes megabytes."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.check import check_clip
from stickgen_core.corpus.clip import Clip
from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.corpus.folder import LOCK_NAME, Draft, publish_folder
from stickgen_core.corpus.index import BASE_SCHEMA, Annotation, annotation_names, text_counts, with_annotations
from stickgen_core.corpus.ledger import LedgerRow, ledger_table, require_accounted
from stickgen_core.corpus.shards import TEXT_SCHEMA, ShardWriter, disk_errors, shard_path, text_row
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.records.manifest import Manifest
from stickgen_core.records.publish import exclusively, publishing, sweep
from stickgen_core.sources.recording import Text


@dataclass(frozen=True)
class Part:
    """One corpus that is selected from, and which of its rows."""

    name: str
    digest: str
    motion_width: int
    index: pa.Table
    pool: Path
    rows: np.ndarray

    def positions(self) -> np.ndarray:
        rows = self.rows
        if rows.dtype == bool:
            if len(rows) != self.index.num_rows:
                raise StickgenError(f"{self.name}: a mask of {len(rows)} for {self.index.num_rows} clips")
            return np.flatnonzero(rows)
        rows = rows.astype(np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= self.index.num_rows or len(np.unique(rows)) != len(rows)):
            raise StickgenError(f"{self.name}: rows must be different positions from 0 to {self.index.num_rows - 1}")
        return rows

    def chosen(self) -> pa.Table:
        """The rows of the index that are selected; all of them are not copied."""
        rows = self.positions()
        whole = len(rows) == self.index.num_rows and bool((rows[1:] > rows[:-1]).all())
        return self.index if whole else self.index.take(pa.array(rows))


def publish_selection(
    parts: Sequence[Part], folder: Path, name: str, recipe: str, *, kind: str, annotations: Mapping[str, Annotation | None],
    ledger: Iterable[LedgerRow] | pa.Table, notes: Mapping[str, Any], parents: Mapping[str, str] | None,
    texts: Mapping[str, Sequence[Text]], made: Mapping[str, Any], pool: Path | None, layout: CorpusConfig, clip_of: Callable[[str], Clip],
) -> Manifest:  # fmt: skip
    """See `Corpus.select` and `union`."""
    if not parts:
        raise StickgenError(f"{folder}: nothing to select from; give at least one corpus")
    pool = Path(pool or parts[0].pool)
    with exclusively(folder / LOCK_NAME):
        sweep(folder)
        chosen = [part.chosen() for part in parts]
        table = with_annotations(_joined(name, chosen, annotations), annotations)
        drops = ledger_table(ledger)
        read = pa.chunked_array([piece for part in parts for piece in part.index["id"].chunks], pa.string())
        require_accounted(name, read, table["id"], drops)
        table = _with_texts(table, texts, pool, layout, clip_of)
        for part, rows in zip(parts, chosen, strict=True):
            adopt(rows, part.pool, pool)
        widths = {part.motion_width for part in parts if part.index.num_rows}
        if len(widths) > 1:
            raise StickgenError(f"{name}: motion is {sorted(widths)} wide in different inputs; one stick layout a corpus")
        draft = Draft(name, kind, recipe, {p.name: p.digest for p in parts} if parents is None else dict(parents), dict(notes), dict(made))
        return publish_folder(folder, pool, table, drops, draft, {"read": len(read), "motion_width": max(widths, default=0)})


def _joined(name: str, tables: Sequence[pa.Table], replaced: Iterable[str]) -> pa.Table:
    """One table of them all; a column that only some have is null elsewhere, one that is about to be replaced is left out."""
    kept = [table.drop_columns([column for column in replaced if column in annotation_names(table)]) for table in tables]
    try:
        return pa.concat_tables(kept, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise StickgenError(f"{name}: an annotation has different types in different inputs ({error}); give it one, or remove it") from None


def _with_texts(
    table: pa.Table, texts: Mapping[str, Sequence[Text]], pool: Path, layout: CorpusConfig, clip_of: Callable[[str], Clip]
) -> pa.Table:
    """The table with new texts for some ids: a new text shard, new counts and digests; motion is read to hash, never copied."""
    if not texts:
        return table
    changed = sorted(texts)
    positions = pc.index_in(pa.array(changed, pa.string()), table["id"])
    if positions.null_count:
        unknown = [clip_id for clip_id, known in zip(changed, positions.is_valid().to_pylist(), strict=True) if not known]
        raise StickgenError(f"texts given for {len(unknown)} clips that are not selected, e.g. {unknown[0]!r}")
    writer = ShardWriter(pool, TEXT_SCHEMA, layout)
    fresh: list[dict[str, Any]] = []
    try:
        for clip_id in changed:
            clip = replace(clip_of(clip_id), texts=tuple(texts[clip_id]))
            check_clip(clip)
            writer.add(text_row(clip_id, clip.texts))
            fresh.append({"digest": clip.digest(), **text_counts(clip.texts)})
        for row, (shard, number) in zip(fresh, writer.flush(), strict=True):
            row.update(text_shard=shard, text_row=number)
    finally:
        writer.abandon()
    rows = np.arange(table.num_rows)
    rows[positions.to_numpy()] = table.num_rows + np.arange(len(changed))
    for name in fresh[0]:
        field = BASE_SCHEMA.field(name)
        column = pa.concat_arrays([*table[name].chunks, pa.array([row[name] for row in fresh], field.type)])
        table = table.set_column(table.schema.get_field_index(name), field, column.take(pa.array(rows)))
    return table


def adopt(rows: pa.Table, source: Path, pool: Path) -> None:
    """Make every shard that these rows use present in `pool`: a hard link where the file system can, else a copy."""
    if source.resolve() == pool.resolve():
        return
    for column in ("shard", "text_shard"):
        for shard in pc.unique(rows[column]).to_pylist():
            have, want = shard_path(source, shard), shard_path(pool, shard)
            if want.exists():
                continue
            if not have.exists():
                raise MissingInput(f"{have}: shard is missing; build the corpus that holds it again")
            with disk_errors(pool), publishing(want) as temporary:
                try:
                    os.link(have, temporary)
                except OSError:
                    shutil.copyfile(have, temporary)
