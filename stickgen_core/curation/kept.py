"""Tables kept by what they were made of: named by their key and by their own bytes, so that a damaged one counts as absent."""

import os
from pathlib import Path

import pyarrow as pa

from stickgen_core.corpus.shards import disk_errors
from stickgen_core.records.digests import digest_file
from stickgen_core.records.publish import sweep, sync_folder, temporary_beside

SUFFIX = ".arrow"
DIGITS = 16  # of the digest of a file's bytes in its name
ROWS_PER_BATCH = 8192


def find_table(folder: Path, key: str) -> pa.Table | None:
    """The table kept under a key, mapped into memory, None if there is no whole one."""
    for path in sorted(folder.glob(f"{key}-*{SUFFIX}")):
        if path.stem.rpartition("-")[2] == digest_file(path)[:DIGITS]:
            return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return None


def keep_table(folder: Path, key: str, table: pa.Table) -> pa.Table:
    """Keep a table under a key in place of what was kept under it; the same, mapped into memory."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    temporary = temporary_beside(folder / f"{key}{SUFFIX}")
    try:
        with disk_errors(folder):
            with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=ROWS_PER_BATCH)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        path = folder / f"{key}-{digest_file(temporary)[:DIGITS]}{SUFFIX}"
        temporary.replace(path)
        sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    for other in folder.glob(f"{key}-*{SUFFIX}"):
        if other != path:
            other.unlink(missing_ok=True)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
