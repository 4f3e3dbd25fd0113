"""A corpus folder: index and ledger named by their digests, the manifest last. A reader sees the old corpus or the new one.

`index.parquet` and `ledger.parquet` are hard links for people; programs follow the manifest.
"""

import contextlib
import io
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stickgen_core.corpus.index import annotations_digest, clips_digest, data_version, finished
from stickgen_core.corpus.ledger import by_reason
from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.digests import digest_bytes, digest_json
from stickgen_core.records.manifest import FileRecord, Manifest, manifest_path, read_manifest, write_manifest
from stickgen_core.records.publish import publish_bytes, sweep, temporary_beside

LOCK_NAME = ".lock"
STORE_NOTE = "store"
STORE_KEYS = ("index", "ledger", "pool", "clips_digest", "annotations_digest", "seal")
PEOPLE_NAMES = {"index": "index.parquet", "ledger": "ledger.parquet"}


@dataclass(frozen=True)
class Draft:
    """What a producer hands over to be published; digests and most counts are computed here."""

    name: str
    kind: str
    recipe: str
    parents: Mapping[str, str]
    notes: Mapping[str, Any]
    made: Mapping[str, Any]


def publish_folder(folder: Path, pool: Path, table: pa.Table, ledger: pa.Table, draft: Draft, counts: Mapping[str, int]) -> Manifest:
    """Index, then ledger, then manifest; what the manifest no longer names is removed after. The caller holds the lock."""
    table = finished(table)
    if not table.num_rows and not draft.notes.get("absent"):
        drops = ", ".join(f"{n} {reason}" for reason, n in by_reason(ledger).items()) or "nothing was read"
        raise StickgenError(
            f"{folder}: {draft.name} would hold no clip ({drops}); if its source is not there, publish with notes.absent = why"
        )
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"index": parquet_bytes(table), "ledger": parquet_bytes(ledger)}
    names = {part: f"{part}-{digest_bytes(data)[:16]}.parquet" for part, data in parts.items()}
    for part, data in parts.items():
        publish_bytes(folder / names[part], data)
    clips, annotations = clips_digest(table), annotations_digest(table)
    store = {
        "index": names["index"], "ledger": names["ledger"], "pool": os.path.relpath(pool.resolve(), folder.resolve()),
        "clips_digest": clips, "annotations_digest": annotations,
    }  # fmt: skip
    manifest = sealed(Manifest(
        name=draft.name, kind=draft.kind, digest=data_version(clips, annotations), recipe=draft.recipe, parents=dict(draft.parents),
        counts={**table_counts(table), "dropped": ledger.num_rows, **counts},
        files={names[part]: FileRecord(len(data), digest_bytes(data)) for part, data in parts.items()},
        notes={**draft.notes, STORE_NOTE: store}, made={"at": datetime.now(UTC).isoformat(timespec="seconds"), **draft.made},
    ))  # fmt: skip
    write_manifest(folder, manifest)
    tidy(folder, manifest)
    return manifest


def table_counts(table: pa.Table) -> dict[str, int]:
    return {
        "clips": table.num_rows, "frames": _sum(table["frames"]), "captions": _sum(table["caption_count"]),
        "texts": _sum(table["text_count"]), "origins": pc.count_distinct(table["origin"]).as_py(),
    }  # fmt: skip


def _sum(column: pa.ChunkedArray) -> int:
    return pc.sum(column).as_py() or 0


def parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def sealed(manifest: Manifest) -> Manifest:
    """The manifest with a digest of itself in notes.store.seal, so that a flipped bit in it is found as well."""
    store = {k: v for k, v in manifest.notes[STORE_NOTE].items() if k != "seal"}
    bare = replace(manifest, notes={**manifest.notes, STORE_NOTE: store})
    seal = digest_json(asdict(bare))
    return replace(bare, notes={**manifest.notes, STORE_NOTE: {**store, "seal": seal}})


def tidy(folder: Path, manifest: Manifest) -> None:
    """Point the names for people at the current files; remove superseded files and what dead writers left."""
    for part, people in PEOPLE_NAMES.items():
        _link(folder / manifest.notes[STORE_NOTE][part], folder / people)
        for old in folder.glob(f"{part}-*.parquet"):
            if old.name not in manifest.files:
                old.unlink(missing_ok=True)
    sweep(folder)


def _link(source: Path, name: Path) -> None:
    if name.exists() and name.samefile(source):
        return
    temporary = temporary_beside(name)
    try:
        os.link(source, temporary)
    except OSError:  # a file system without hard links
        temporary.write_bytes(source.read_bytes())
    temporary.replace(name)


def read_folder(folder: Path) -> tuple[Manifest, pa.Table]:
    """The manifest and its index; a reader that loses the race with a publisher reads again."""
    manifest = store_manifest(folder)
    for _ in range(10):
        with contextlib.suppress(MissingInput):
            return manifest, read_part(folder, manifest, "index")
        time.sleep(0.05)
        again = store_manifest(folder)
        if again == manifest:
            break
        manifest = again
    return manifest, read_part(folder, manifest, "index")


def store_manifest(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    store = manifest.notes.get(STORE_NOTE)
    if not isinstance(store, Mapping) or not all(isinstance(store.get(k), str) for k in STORE_KEYS):
        raise Corrupt(
            f"{manifest_path(folder)}: {manifest.kind} {manifest.name!r} is not a corpus: expected notes.store with {', '.join(STORE_KEYS)}"
        )
    return manifest


def read_part(folder: Path, manifest: Manifest, part: str) -> pa.Table:
    """The index or the ledger, its bytes held against the manifest's digest."""
    name = manifest.notes[STORE_NOTE][part]
    record = manifest.files.get(name)
    if record is None or Path(name).name != name:
        raise Corrupt(f"{manifest_path(folder)}: {part} file {name!r} is not among the manifest's files")
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        raise MissingInput(f"{folder / name}: {part} is missing; build {manifest.name} again") from None
    if digest_bytes(data) != record.sha256:
        raise Corrupt(f"{folder / name}: SHA-256 differs from the manifest's; the file is damaged, build {manifest.name} again")
    return parquet_table(data)


def parquet_table(data: bytes | Path) -> pa.Table:
    """A Parquet file, or its bytes, read on this thread alone.

    `pq.read_table` hands the bytes to threads of Arrow's; one that lets go of them while Python is ending aborts the process
    (seen in a third of short processes that had torch loaded).
    """
    source = pa.BufferReader(data) if isinstance(data, bytes) else pa.OSFile(str(data))
    with pq.ParquetFile(source) as file:
        return file.read(use_threads=False)


def pool_of(folder: Path, manifest: Manifest) -> Path:
    return (folder.resolve() / manifest.notes[STORE_NOTE]["pool"]).resolve()
