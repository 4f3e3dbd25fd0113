"""Shards: immutable, uncompressed Arrow IPC files named by their SHA-256, one row a clip, flat list columns.

Arrays and texts are separate families, because texts change (a duplicate's captions are united) where motion does not.
A list column is concatenated values plus offsets, so reading a clip is slicing a memory map.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from stickgen_core.corpus.clip import ARRAY_FIELDS
from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.digests import digest_file
from stickgen_core.records.publish import publishing
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
        self._rows: list[Mapping[str, object]] = []
        self._batches: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._open: _OpenFile | None = None
        self._placed: list[tuple[str, int]] = []

    def add(self, row: Mapping[str, object]) -> None:
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
    """One shard being written under a temporary name in the pool."""

    def __init__(self, pool: Path, schema: pa.Schema):
        self._pool = pool
        self._publishing = publishing(pool / "shard.arrow")
        self._temporary = self._publishing.__enter__()
        self._sink = pa.OSFile(str(self._temporary), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema)
        self.rows = 0
        self.bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._guarded(lambda: self._writer.write_batch(batch))
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def finish(self) -> str:
        raise NotImplementedError

    def abandon(self) -> None:
        raise NotImplementedError

    def _guarded(self, action):
        action()
