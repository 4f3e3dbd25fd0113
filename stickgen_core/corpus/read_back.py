"""What was read back on this machine and found whole, so that a gate reads no byte again for every selection of the same clips.

A clip is known by all that its index row says of it (id, digest, scalars, where it lies), a shard by size, time of change and inode of its
file. Whatever differs in any of that is read; what rots below the file system's notice is found by `stickgen corpus verify`, which reads all.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.index import BASE_SCHEMA
from stickgen_core.records.publish import publish_bytes

SUFFIX = ".arrow"
MARK_BYTES = 16
SHARDS_KEY = b"shards"
ROWS_AT_ONCE = 32_768
MISSING, BETWEEN = "\x00", "\x1f"

Stamp = tuple[int, int, int, int]


def stamps(shards: Iterable[Path]) -> dict[str, Stamp]:
    """Shard's name -> size, nanosecond of the last change, inode and device of its file; taken before the file is read."""
    found = {}
    for path in shards:
        if path.exists():
            stat = path.stat()
            found[path.stem] = (stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_dev)
    return found


def marks(index: pa.Table) -> pa.Array:
    """[n] binary(16): a hash of each row's content columns."""
    found: list[bytes] = []
    for start in range(0, index.num_rows, ROWS_AT_ONCE):
        piece = index.slice(start, ROWS_AT_ONCE)
        told = [piece[name].combine_chunks().cast(pa.string()).fill_null(MISSING) for name in BASE_SCHEMA.names]
        rows = pc.binary_join_element_wise(*told, BETWEEN).cast(pa.binary())
        found += [hashlib.sha256(row).digest()[:MARK_BYTES] for row in rows.to_pylist()]
    return pa.array(found, pa.binary(MARK_BYTES))


class ReadBack:
    """The records of a folder: one of each artefact that passed its gate."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._shards: dict[str, set[Stamp]] = {}
        self._marks: list[pa.Array] = []
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            self._take_in(path)

    def _take_in(self, path: Path) -> None:
        try:
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
            shards = json.loads(table.schema.metadata[SHARDS_KEY])
            self._marks += table["mark"].chunks
            for name, stamp in shards.items():
                self._shards.setdefault(name, set()).add(tuple(stamp))
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):  # damaged: what it told of is read again
            return

    def unchanged(self, now: Mapping[str, Stamp]) -> set[str]:
        """Names of the shards whose files are those that were read."""
        return {name for name, stamp in now.items() if stamp in self._shards.get(name, ())}

    def known(self, index: pa.Table, unchanged: Iterable[str]) -> np.ndarray:
        """[n] bool: clips that were read back as they stand in this index, out of shards that are unchanged since."""
        if not self._marks or not index.num_rows:
            return np.zeros(index.num_rows, bool)
        names = pa.array(sorted(unchanged), pa.string())
        in_place = pc.and_(pc.is_in(index["shard"], names), pc.is_in(index["text_shard"], names)).to_numpy()
        read = pc.is_in(marks(index), pa.chunked_array(self._marks)).to_numpy(zero_copy_only=False)
        return np.asarray(in_place & read, bool)

    def note(self, name: str, index: pa.Table, now: Mapping[str, Stamp]) -> None:
        """Record that every clip of this index has been read back, out of shards that were as `now` says before they were read."""
        table = pa.table({"mark": marks(index)}).replace_schema_metadata({SHARDS_KEY: json.dumps(dict(now), sort_keys=True)})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        publish_bytes(self.folder / f"{name.replace('/', '.')}{SUFFIX}", sink.getvalue().to_pybytes())
