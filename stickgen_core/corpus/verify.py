"""Verification: every digest recomputed from the bytes on disk, and whatever differs named as precisely as it can be."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stickgen_core.corpus.clip import CLIP_KIND
from stickgen_core.corpus.folder import (
    PEOPLE_NAMES,
    STORE_NOTE,
    pool_of,
    read_part,
    sealed,
    store_manifest,
    table_counts,
)
from stickgen_core.corpus.index import annotation_names, annotations_digest, clips_digest, data_version
from stickgen_core.corpus.shards import DIGEST_BYTES, FIELDS, OpenShard, shaped, shard_path
from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_file, digest_of_fields, field_digest
from stickgen_core.records.manifest import Manifest, manifest_path, manifest_text


def verify_folder(folder: Path, whole: Collection[str] = (), known: np.ndarray | None = None) -> list[str]:
    """One line for each thing that is wrong with a corpus; an empty list means that every bit is as it was published.

    whole   names of shards whose bytes need not be read
    known   [n] bool: clips in such shards that need not be looked at
    """
    try:
        manifest = store_manifest(folder)
    except StickgenError as error:
        return [str(error)]
    return [*_manifest_problems(folder, manifest), *_content_problems(folder, manifest, whole, known)]


def _manifest_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    path = manifest_path(folder)
    if sealed(manifest) != manifest:
        yield f"{path}: its seal does not match its content; the manifest was changed after it was published"
    elif path.read_bytes() != manifest_text(manifest).encode():
        yield f"{path}: the same values in other bytes than were published"


def _content_problems(folder: Path, manifest: Manifest, whole: Collection[str], known: np.ndarray | None) -> Iterator[str]:
    for part, people in PEOPLE_NAMES.items():
        named = folder / manifest.notes[STORE_NOTE][part]
        if not (folder / people).exists():
            yield f"{folder / people}: missing (programs read {named.name}); build again to restore the link"
        elif named.exists() and digest_file(folder / people) != digest_file(named):
            yield f"{folder / people}: differs from {named.name}, which the manifest names; build again to restore the link"
    try:
        read_part(folder, manifest, "ledger")
    except StickgenError as error:
        yield str(error)
    try:
        index = read_part(folder, manifest, "index")
    except StickgenError as error:
        yield str(error)
        return
    yield from _digest_problems(folder, manifest, index)
    yield from _shard_problems(pool_of(folder, manifest), index, whole, known)


def _digest_problems(folder: Path, manifest: Manifest, index: pa.Table) -> Iterator[str]:
    store = manifest.notes[STORE_NOTE]
    clips, annotations = clips_digest(index), annotations_digest(index)
    if clips != store["clips_digest"]:
        yield f"{folder}: digest over the clips is {clips[:16]}, the manifest says {store['clips_digest'][:16]}"
    if annotations != store["annotations_digest"]:
        names = ", ".join(annotation_names(index)) or "none"
        yield f"{folder}: digest over the annotations ({names}) is {annotations[:16]}, the manifest says {store['annotations_digest'][:16]}"
    if data_version(clips, annotations) != manifest.digest:
        yield f"{manifest_path(folder)}: digest {manifest.digest[:16]} is not that of its index, {data_version(clips, annotations)[:16]}"
    for name, found in table_counts(index).items():
        if manifest.counts.get(name) != found:
            yield f"{manifest_path(folder)}: counts {name} {manifest.counts.get(name)}, the index holds {found}"


def _shard_problems(pool: Path, index: pa.Table, whole: Collection[str], known: np.ndarray | None) -> Iterator[str]:
    """Each shard's bytes against its name, then each clip against its digest."""
    shards: dict[str, OpenShard] = {}
    unsafe: set[tuple[str, int]] = set()
    for name in sorted({name for column in ("shard", "text_shard") for name in index[column].unique().to_pylist()}):
        try:
            path = shard_path(pool, name)
            shards[name] = OpenShard(path)
            if name not in whole and digest_file(path) != name:
                yield f"{path}: SHA-256 differs from its name; the shard is damaged; run `stickgen corpus verify --repair`, then build"
                for number, problem in shards[name].damaged_batches():
                    unsafe.add((name, number))
                    yield f"{path}: batch {number} cannot be read ({problem})"
        except StickgenError as error:
            yield str(error)
    for batch in (index if known is None else index.filter(pa.array(~known))).to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            arrays, texts = shards.get(row["shard"]), shards.get(row["text_shard"])
            if arrays is None or texts is None:
                continue
            if {(row["shard"], arrays.batch_of(row["row"])), (row["text_shard"], texts.batch_of(row["text_row"]))} & unsafe:
                yield f"clip {row['id']!r}: lies in a batch that cannot be read ({arrays.path}, texts {texts.path})"
                continue
            yield from _clip_problems(row, arrays, texts)


def _clip_problems(row: dict[str, Any], arrays: OpenShard, texts: OpenShard) -> Iterator[str]:
    where = f"clip {row['id']!r}"
    try:
        stored = arrays.cell(row["row"], "field_digests")
        found = {}
        for n, name in enumerate(FIELDS):
            try:
                values = shaped(arrays.flat(row["row"], name), name, row["frames"], row["actors"])
                found[name] = field_digest(name, values)
            except ValueError as error:
                yield f"{where}, field {name}: {error} ({arrays.path})"
                found[name] = b""
            if found[name] and found[name] != stored[n * DIGEST_BYTES : (n + 1) * DIGEST_BYTES]:
                yield f"{where}, field {name}: its values differ from their digest ({arrays.path})"
        if digest_of_fields(CLIP_KIND, found, identity_of(row, texts)) != row["digest"]:
            yield f"{where}: its arrays, texts or scalars differ from its digest ({arrays.path}, texts {texts.path})"
        for shard, column in ((arrays, "row"), (texts, "text_row")):
            if shard.cell(row[column], "id") != row["id"]:
                yield f"{where}: row {row[column]} of {shard.path} is clip {shard.cell(row[column], 'id')!r}"
    except (StickgenError, ValueError, KeyError, IndexError, pa.ArrowException) as error:
        yield f"{where}: unreadable ({error}); {arrays.path}, texts {texts.path}"


def identity_of(row: dict[str, Any], texts: OpenShard) -> dict[str, Any]:
    """What `Clip.identity` gives, from the index row and the text shard."""
    return {
        "id": row["id"], "source": row["source"], "origin": row["origin"],
        "texts": [[t.text, t.start_s, t.end_s, t.kind, t.actor] for t in texts.texts(row["text_row"])],
        "source_fps": row["source_fps"], "window_s": [row["window_start_s"], row["window_end_s"]],
        "origin_xz_m": [row["origin_x_m"], row["origin_z_m"]], "yaw_rad": row["yaw_rad"], "camera_source": row["camera_source"],
        "licence": row["licence"], "official_split": row["official_split"], "protocol": row["protocol"],
        "extra": json.loads(row["extra_json"]),
    }  # fmt: skip
