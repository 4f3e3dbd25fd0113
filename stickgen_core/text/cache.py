"""The append-only cache of text vectors: every distinct text is encoded once per encoder, whatever is killed in between.

Shards are immutable and named by their SHA-256; the index and then the manifest are published after them. A shard that a killed writer
left out of the index is taken in by the next one.
"""

import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.digests import digest_bytes, digest_file, field_digest
from stickgen_core.records.manifest import FileRecord, Manifest, find_manifest, lost_files, seal_problems, write_manifest
from stickgen_core.records.publish import exclusively, publish_bytes, publishing, sweep
from stickgen_core.text.batches import in_portions
from stickgen_core.text.encoders import GOLDEN_TEXT, Encoder, Progress, normal_form, telling, text_key
from stickgen_core.text.vectors import INDEX_NAME, SHARD_SUFFIX, TextVectors, index_problems, read_shard

LOCK_NAME = ".lock"


def ensure_vectors(
    texts: Iterable[str], encoder: Encoder, cache: Path, *, flush_rows: int, flush_s: float, golden_cosine: float, progress: Progress = None
) -> TextVectors:
    """The encoder's vectors under `cache`, holding at least these texts; only those not yet there are encoded.

    A shard is written whenever `flush_rows` vectors are new or encoding them took `flush_s`: no more is lost to a kill.
    An encoder whose fresh golden vector differs from the cached one is refused: its digest lies.
    """
    digest = encoder.digest
    folder = Path(cache) / digest
    wanted = {text_key(digest, text): normal_form(text) for text in (GOLDEN_TEXT, *texts)}
    ready = ready_vectors(folder, list(wanted))
    if ready is not None:
        return ready
    with exclusively(folder / LOCK_NAME):
        sweep(folder)
        known = recovered(folder)
        _check_golden(folder, known, encoder, golden_cosine)
        missing = sorted((key for key in wanted if key not in known), key=lambda key: (len(wanted[key]), key))
        batches = encoder.batches([wanted[key] for key in missing])
        for rows, vectors in in_portions(batches, flush_rows, flush_s, telling(progress, "encode", len(missing))):
            keys = [missing[row] for row in rows]
            name = write_shard(folder, keys, np.stack(vectors))
            known.update({key: (name, row) for row, key in enumerate(keys)})
        write_index(folder, known)
        return _publish(folder, encoder)


def ready_vectors(folder: Path, keys: Sequence[str]) -> TextVectors | None:
    """The published vectors if they hold these keys and nothing of them is lost: every shard in its size, manifest and index to the bit."""
    manifest = find_manifest(folder)
    if manifest is None or seal_problems(folder, manifest) or lost_files(folder, manifest) or index_problems(folder, manifest):
        return None
    try:
        vectors = TextVectors.open(folder)
    except (MissingInput, Corrupt):
        return None
    complete = vectors.manifest.counts.get("vectors") == len(vectors)
    return vectors if complete and vectors.has(keys).all() else None


def recovered(folder: Path) -> dict[str, tuple[str, int]]:
    """key -> (shard, row) over every whole shard in the folder; a shard whose bytes do not match its name is not used."""
    known: dict[str, tuple[str, int]] = {}
    for path in sorted(folder.glob(f"*{SHARD_SUFFIX}")):
        if digest_file(path) != path.stem:
            raise Corrupt(f"{path}: bytes do not match the name; remove it, its texts are encoded again")
        for row, key in enumerate(read_shard(path)[0]):
            known.setdefault(key, (path.name, row))
    return known


def _check_golden(folder: Path, known: dict[str, tuple[str, int]], encoder: Encoder, golden_cosine: float) -> None:
    place = known.get(text_key(encoder.digest, GOLDEN_TEXT))
    if place is None:
        return
    cached = read_shard(folder / place[0])[1][place[1]].astype(np.float64)
    fresh = encoder.encode([GOLDEN_TEXT])[0].astype(np.float64)
    cosine = float(cached @ fresh / (np.linalg.norm(cached) * np.linalg.norm(fresh)))
    if cosine < golden_cosine:
        raise Corrupt(
            f"{folder}: the golden vector of {encoder.card.name} has cosine {cosine:.6f} with the cached one, expected {golden_cosine}; "
            "the encoder computes something else than when the cache was made: repair it, or remove this folder"
        )


def write_shard(folder: Path, keys: Sequence[str], vectors: np.ndarray) -> str:
    """Publish keys and vectors [n, width] as one shard; its file name."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    table = pa.table({"key": pa.array(keys), "vector": column})
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=len(keys))
    data = sink.getvalue()
    name = digest_bytes(data) + SHARD_SUFFIX
    publish_bytes(folder / name, data)
    return name


def write_index(folder: Path, known: dict[str, tuple[str, int]]) -> None:
    """Publish key -> (shard, row)."""
    keys = sorted(known)
    table = pa.table({
        "key": pa.array(keys), "shard": pa.array([known[k][0] for k in keys]), "row": pa.array([known[k][1] for k in keys], pa.int32()),
    })  # fmt: skip
    with publishing(folder / INDEX_NAME) as temporary:
        pq.write_table(table, temporary, compression="none")


def _publish(folder: Path, encoder: Encoder) -> TextVectors:
    """Write the manifest last; its digest is over keys and vectors."""
    notes = {**encoder.card.notes(), "encoder_digest": encoder.digest}
    files = file_records(folder)
    draft = Manifest(name="text_vectors", kind="text_vectors", digest="", recipe=encoder.digest, files=files, notes=notes)
    vectors = TextVectors.reindexed(folder, draft)
    golden = vectors.vectors([text_key(encoder.digest, GOLDEN_TEXT)])[0]
    notes["golden_digest"] = field_digest("vector", golden).hex()
    counts = {"vectors": len(vectors), "width": vectors.width}
    write_manifest(folder, replace(draft, digest=vectors.content_digest(), counts=counts, notes=notes), seal=True)
    return TextVectors.open(folder)


def file_records(folder: Path, leaving: Collection[str] = ()) -> dict[str, FileRecord]:
    """The shards that stay, and the index that names them."""
    index = folder / INDEX_NAME
    shards = {p.name: FileRecord(p.stat().st_size, p.stem) for p in sorted(folder.glob(f"*{SHARD_SUFFIX}")) if p.name not in leaving}
    return {**shards, INDEX_NAME: FileRecord(index.stat().st_size, digest_file(index))}
