"""Parallax pictures in a few shards instead of millions of files: a row a person, with the metadata and the PNG bytes of every frame.

A shard is an uncompressed Arrow file of at most `shard_mb`, named by the SHA-256 of its bytes and published whole. A picture is read by
memory mapping, so opening costs nothing and a training worker holds no picture it does not use.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.digests import digest_file
from stickgen_core.records.publish import sweep, sync_folder, temporary_beside

PACKED = "packed"
SUFFIX = ".arrow"
COLUMNS = pa.schema(
    [("sample", pa.int64()), ("actor", pa.int32()), ("metadata", pa.large_binary()), ("frames", pa.list_(pa.large_binary()))]
)


@dataclass(frozen=True)
class PackedPicture:
    """One frame of one row of a shard."""

    shard: Path
    row: int
    frame: int

    def read(self) -> bytes:
        """The PNG's bytes."""
        table, place = _rows(str(self.shard), _stamp(self.shard))[self.row]
        return table.column("frames")[place][self.frame].as_py()

    def __str__(self) -> str:
        return f"{self.shard}[{self.row}].{self.frame}"


class PackedWriter:
    """Adds people to shards; one that is not full yet is published by `close`."""

    def __init__(self, root: Path, shard_mb: float):
        self.folder, self.limit = root / PACKED, shard_mb * 1e6
        self._size, self._writer, self._sink, self._temporary = 0, None, None, Path()

    _writer: Any
    _sink: Any

    def add(self, sample: int, actor: int, metadata: bytes, frames: list[bytes]) -> None:
        if self._writer is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            sweep(self.folder)
            self._temporary = temporary_beside(self.folder / f"shard{SUFFIX}")
            self._sink = pa.OSFile(str(self._temporary), "wb")
            self._writer = pa.ipc.new_file(self._sink, COLUMNS)
        self._writer.write_batch(
            pa.record_batch({"sample": [sample], "actor": [actor], "metadata": [metadata], "frames": [frames]}, schema=COLUMNS)
        )
        self._size += len(metadata) + sum(map(len, frames))
        if self._size >= self.limit:
            self.close()

    def close(self) -> None:
        """Publish what was added since the last full shard."""
        if self._writer is None:
            return
        self._writer.close()
        self._sink.close()
        with self._temporary.open("rb") as written:
            os.fsync(written.fileno())
        self._temporary.replace(self.folder / f"{digest_file(self._temporary)}{SUFFIX}")
        sync_folder(self.folder)
        self._writer, self._size = None, 0

    def abandon(self) -> None:
        """Leave nothing of an unfinished shard."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._temporary.unlink(missing_ok=True)
            self._writer = None


def shards_of(root: Path) -> list[Path]:
    return sorted(path for path in (root / PACKED).glob(f"*{SUFFIX}") if not path.name.startswith("."))


def packed_people(root: Path) -> Iterator[tuple[Path, bytes, Mapping[str, PackedPicture]]]:
    """(a name for errors, metadata, picture of every file name) of every row of every shard."""
    for shard in shards_of(root):
        for row, (table, place) in enumerate(_rows(str(shard), _stamp(shard))):
            metadata = table.column("metadata")[place].as_py()
            yield shard / str(row), metadata, _Frames(shard, row, metadata)


@dataclass(frozen=True)
class _Frames(Mapping[str, PackedPicture]):
    """The frames of a row by the names that its metadata gives them."""

    shard: Path
    row: int
    metadata: bytes
    _places: dict[str, int] = field(default_factory=dict)

    def _names(self) -> dict[str, int]:
        if not self._places:
            self._places.update({frame["file"]: n for n, frame in enumerate(json.loads(self.metadata)["frames"])})
        return self._places

    def __getitem__(self, name: str) -> PackedPicture:
        return PackedPicture(self.shard, self.row, self._names()[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())


def _stamp(shard: Path) -> tuple[int, int]:
    try:
        found = shard.stat()
    except OSError:
        raise MissingInput(f"{shard}: packed parallax shard is gone; render the parallax pictures again") from None
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _rows(shard: str, _stamp: tuple[int, int]) -> list[tuple[Any, int]]:
    """(batch, place in it) of every row, mapped, not read."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(shard))
        if reader.schema != COLUMNS:
            raise pa.ArrowInvalid("other columns")
        batches = [reader.get_batch(n) for n in range(reader.num_record_batches)]
    except (pa.ArrowInvalid, OSError) as error:
        raise Corrupt(f"{shard}: not a packed parallax shard ({str(error).splitlines()[0]}); remove it and render again") from None
    return [(batch, place) for batch in batches for place in range(batch.num_rows)]
