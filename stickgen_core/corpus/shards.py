"""Shards: immutable, uncompressed Arrow IPC files named by their SHA-256, one row a clip, flat list columns.

Arrays and texts are separate families, because texts change (a duplicate's captions are united) where motion does not.
A list column is concatenated values plus offsets, so reading a clip is slicing a memory map.
"""

import contextlib
import errno
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stickgen_core.corpus.clip import ARRAY_FIELDS, Clip
from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.digests import digest_file
from stickgen_core.records.publish import sync_folder, temporary_beside
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.sources.recording import Text

SHARD_NAME = re.compile(r"[0-9a-f]{64}\Z")
DIGEST_BYTES = 32
FIELDS = tuple(ARRAY_FIELDS)
# Arrow packs booleans into bits, which no numpy view can read; one byte each can be viewed in place.
STORED_DTYPE = {name: np.dtype("uint8" if dtype == "bool" else dtype) for name, dtype in ARRAY_FIELDS.items()}

ARRAY_SCHEMA = pa.schema(
    [("id", pa.string()), ("frames", pa.int32()), ("actors", pa.int32()), ("field_digests", pa.binary(DIGEST_BYTES * len(FIELDS)))]
    + [(name, pa.list_(pa.from_numpy_dtype(dtype))) for name, dtype in STORED_DTYPE.items()]
)
TEXT_SCHEMA = pa.schema([
    ("id", pa.string()), ("text", pa.list_(pa.string())), ("start_s", pa.list_(pa.float64())), ("end_s", pa.list_(pa.float64())),
    ("kind", pa.list_(pa.string())), ("actor", pa.list_(pa.int32())),
])  # fmt: skip


def shard_path(pool: Path, shard: str) -> Path:
    """The file of a shard; a name that is not a digest never becomes a path."""
    if not SHARD_NAME.match(shard):
        raise Corrupt(f"{pool}: {shard!r} does not name a shard (expected 64 hexadecimal digits)")
    return pool / f"{shard}.arrow"


class ShardWriter:
    """Streams rows of one family into shards of about `shard_mb`; `flush` returns where each row of this writer went."""

    def __init__(self, pool: Path, schema: pa.Schema, layout: CorpusConfig):
        self._pool, self._schema, self._layout = pool, schema, layout
        self._rows: list[Mapping[str, Any]] = []
        self._open: _OpenFile | None = None
        self._placed: list[tuple[str, int]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == self._layout.rows_per_batch:
            self._write_batch()

    def _write_batch(self) -> None:
        if not self._rows:
            return
        if self._open is None:
            self._open = _OpenFile(self._pool, self._schema)
        self._open.write(_batch(self._schema, self._rows))
        self._rows = []
        if self._open.bytes >= self._layout.shard_mb * 1e6:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._open is not None:
            closing, self._open = self._open, None
            shard = closing.finish()
            self._placed += [(shard, row) for row in range(closing.rows)]

    def flush(self) -> list[tuple[str, int]]:
        """Finish the last shard; (shard, row) of every row in the order of `add`."""
        self._write_batch()
        self._close_shard()
        return self._placed

    def abandon(self) -> None:
        """Remove the unfinished file; finished shards stay, they are whole and named by their content."""
        self._rows = []
        if self._open is not None:
            self._open.abandon()
            self._open = None


class _OpenFile:
    """One shard being written under a temporary name in the pool; its final name is known when it is whole."""

    def __init__(self, pool: Path, schema: pa.Schema):
        pool.mkdir(parents=True, exist_ok=True)
        self._pool = pool
        self._temporary = temporary_beside(pool / "shard.arrow")
        with disk_errors(pool):
            self._sink = pa.OSFile(str(self._temporary), "wb")
            self._writer = pa.ipc.new_file(self._sink, schema)
        self.rows = 0
        self.bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        with disk_errors(self._pool):
            self._writer.write_batch(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def finish(self) -> str:
        """Close, sync, name by content. A shard of that name is replaced: it is the same, or damaged and now healed."""
        try:
            with disk_errors(self._pool):
                self._writer.close()
                self._sink.close()
                with self._temporary.open("rb") as written:
                    os.fsync(written.fileno())
                shard = digest_file(self._temporary)
                self._temporary.replace(shard_path(self._pool, shard))
                sync_folder(self._pool)
        finally:
            self.abandon()
        return shard

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # closing flushes, and the disk may be full; the file is about to go anyway
            self._sink.close()
        self._temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """A full disk, a quota or a file-size limit as one line; what was published before is untouched."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StickgenError(f"{where}: {os.strerror(error.errno)}; what was published is untouched; free space and run again") from None
        raise


def _batch(schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        if pa.types.is_list(field.type) and isinstance(values[0], np.ndarray):
            offsets = np.concatenate([[0], np.cumsum([len(v) for v in values])]).astype(np.int32)
            columns.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(values), field.type.value_type)))
        else:
            columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def array_row(clip: Clip, field_digests: Mapping[str, bytes]) -> dict[str, Any]:
    """A clip's arrays as one row: copies, so that a caller may reuse its buffers."""
    flat = {name: np.array(getattr(clip, name), order="C").ravel().view(dtype) for name, dtype in STORED_DTYPE.items()}
    digests = b"".join(field_digests[name] for name in FIELDS)
    return {"id": clip.id, "frames": clip.frames, "actors": clip.actors, "field_digests": digests, **flat}


def text_row(clip_id: str, texts: Sequence[Text]) -> dict[str, Any]:
    """A clip's texts as one row, Unicode in normal form C so that equal digests mean equal bytes."""
    return {
        "id": clip_id, "text": [unicodedata.normalize("NFC", t.text) for t in texts],
        "start_s": [float(t.start_s) for t in texts], "end_s": [float(t.end_s) for t in texts],
        "kind": [t.kind for t in texts], "actor": [None if t.actor is None else int(t.actor) for t in texts],
    }  # fmt: skip


class OpenShard:
    """A shard mapped into memory; numpy views of a batch's values and offsets are taken once, when it is first touched."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
            count = self._reader.num_record_batches
            self._rows_per_batch = self._reader.get_batch(0).num_rows if count else 1
        except FileNotFoundError:
            raise MissingInput(f"{path}: shard is missing; build the corpus again, or copy the shard back") from None
        except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
            raise Corrupt(
                f"{path}: not a readable shard ({_first_line(error)}); run `stickgen corpus verify --repair`, then build"
            ) from None
        if self._reader.schema not in (ARRAY_SCHEMA, TEXT_SCHEMA):
            raise Corrupt(f"{path}: its columns are not those of a shard of this version; run `stickgen corpus verify`")
        self._batches: list[pa.RecordBatch | None] = [None] * count
        self._views: list[dict[str, tuple[np.ndarray, np.ndarray]] | None] = [None] * count

    @property
    def rows(self) -> int:
        return sum(self._reader.get_batch(i).num_rows for i in range(len(self._views)))

    def record_batch(self, number: int) -> pa.RecordBatch:
        try:
            batch = self._reader.get_batch(number) if self._batches[number] is None else self._batches[number]
            self._batches[number] = batch
            return batch
        except (pa.ArrowInvalid, pa.ArrowException, OSError, IndexError, ValueError) as error:
            raise Corrupt(f"{self.path}: batch {number} is damaged ({_first_line(error)}); run `stickgen corpus verify`") from None

    def batch_of(self, row: int) -> int:
        return row // self._rows_per_batch

    def damaged_batches(self) -> Iterator[tuple[int, str]]:
        """Batches whose offsets or text are not consistent: reading them through Arrow could leave the file's memory."""
        for number in range(len(self._views)):
            try:
                self._reader.get_batch(number).validate(full=True)
            except (pa.ArrowException, OSError, ValueError) as error:
                yield number, _first_line(error)

    def flat(self, row: int, field: str) -> np.ndarray:
        """The stored values of one row's list column: a read-only view into the file."""
        number, within = divmod(row, self._rows_per_batch)
        try:
            views = self._views[number] or self._take_views(number)
            offsets, values = views[field]
            return values[offsets[within] : offsets[within + 1]]
        except IndexError:
            raise Corrupt(f"{self.path}: no row {row}; the index does not fit this shard, run `stickgen corpus verify`") from None

    @property
    def schema(self) -> pa.Schema:
        return self._reader.schema

    def cells(self, *columns: str) -> Iterator[tuple[Any, ...]]:
        """Some columns of every row, in order."""
        for number in range(len(self._views)):
            batch = self.record_batch(number)
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)

    def cell(self, row: int, field: str) -> Any:
        """A scalar (not list) column's value."""
        number, within = divmod(row, self._rows_per_batch)
        return self.record_batch(number).column(field)[within].as_py()

    def texts(self, row: int) -> tuple[Text, ...]:
        number, within = divmod(row, self._rows_per_batch)
        batch = self.record_batch(number)
        if within >= batch.num_rows:
            raise Corrupt(f"{self.path}: no row {row}; the index does not fit this shard, run `stickgen corpus verify`")
        columns = (batch.column(name)[within].values for name in ("text", "start_s", "end_s", "kind", "actor"))
        return tuple(Text(*cells) for cells in zip(*(column.to_pylist() for column in columns), strict=True))

    def text_table(self, rows: np.ndarray, clips: np.ndarray, schema: pa.Schema) -> pa.Table:
        """All texts of some rows, flat: (clip, ordinal within it, then the columns of a text)."""
        tables = []
        numbers, within = np.divmod(rows, self._rows_per_batch)
        for number in np.unique(numbers):
            here = numbers == number
            batch = self.record_batch(int(number)).take(pa.array(within[here]))
            lengths = np.diff(batch.column("text").offsets.to_numpy())
            starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
            columns = [np.repeat(clips[here], lengths), np.arange(lengths.sum()) - starts]
            flat = [batch.column(name).flatten() for name in schema.names[2:]]
            tables.append(pa.table([pa.array(c) for c in columns] + flat, names=schema.names).cast(schema))
        return pa.concat_tables([schema.empty_table(), *tables])

    def _take_views(self, number: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        batch = self.record_batch(number)
        views = {}
        for name, dtype in STORED_DTYPE.items():
            column = batch.column(name)
            values = column.values.to_numpy(zero_copy_only=True)
            if values.dtype != dtype:
                raise Corrupt(f"{self.path}: {name} holds {values.dtype}, expected {dtype}; run `stickgen corpus migrate`")
            views[name] = (column.offsets.to_numpy(zero_copy_only=True), values.view(ARRAY_FIELDS[name]))
        self._views[number] = views
        return views


def shaped(flat: np.ndarray, field: str, frames: int, actors: int) -> np.ndarray:
    """Stored values as the clip's array; the width of motion and physics follows from the data. No copy."""
    match field:
        case "joints":
            return flat.reshape(frames, actors, JOINT_COUNT, 3)
        case "joint_source":
            return flat
        case "camera":
            return flat.reshape(frames, -1)
        case "present" | "actions":
            return flat.reshape(frames, actors)
        case _:
            return flat.reshape(frames, actors, -1)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
