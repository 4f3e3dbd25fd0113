"""The index: one row a clip, sorted by id. Base columns are content; every other column is an annotation with a digest of its own."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.clip import Clip
from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_entries, digest_json
from stickgen_core.sources.recording import Text

STORE_SCHEMA = 1
BASE_SCHEMA = pa.schema([
    ("id", pa.string()), ("digest", pa.string()), ("shard", pa.string()), ("row", pa.int32()),
    ("text_shard", pa.string()), ("text_row", pa.int32()), ("source", pa.string()), ("origin", pa.string()),
    ("frames", pa.int32()), ("actors", pa.int32()), ("action", pa.int16()), ("caption_count", pa.int32()), ("text_count", pa.int32()),
    ("licence", pa.string()), ("camera_source", pa.string()), ("source_fps", pa.float64()), ("official_split", pa.string()),
    ("protocol", pa.string()), ("window_start_s", pa.float64()), ("window_end_s", pa.float64()), ("origin_x_m", pa.float64()),
    ("origin_z_m", pa.float64()), ("yaw_rad", pa.float64()), ("extra_json", pa.string()),
])  # fmt: skip
HASHED_AT_ONCE = 32_768  # rows of text laid end to end and hashed with one call
PLACEMENT = ("shard", "row", "text_shard", "text_row")

Annotation: TypeAlias = pa.Array | pa.ChunkedArray | np.ndarray | Sequence[Any]


def index_row(clip: Clip, digest: str) -> dict[str, Any]:
    """Everything of a clip's row but where it is stored."""
    return {
        "id": clip.id, "digest": digest, "source": clip.source, "origin": clip.origin, "frames": clip.frames, "actors": clip.actors,
        "action": dominant_action(clip.actions), **text_counts(clip.texts), "licence": clip.licence, "camera_source": clip.camera_source,
        "source_fps": float(clip.source_fps), "official_split": clip.official_split, "protocol": clip.protocol,
        "window_start_s": float(clip.window_s[0]), "window_end_s": float(clip.window_s[1]),
        "origin_x_m": float(clip.origin_xz_m[0]), "origin_z_m": float(clip.origin_xz_m[1]), "yaw_rad": float(clip.yaw_rad),
        "extra_json": json.dumps(dict(clip.extra), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False),
    }  # fmt: skip


def dominant_action(actions: np.ndarray) -> int:
    """The known action of most frames, the lowest id among equals; −1 where none is known."""
    known = actions[actions >= 0]
    return int(np.bincount(known).argmax()) if known.size else -1


def text_counts(texts: Iterable[Text]) -> dict[str, int]:
    kinds = Counter(text.kind for text in texts)
    return {"caption_count": kinds["caption"], "text_count": kinds.total()}


def index_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as the base table, in the given order."""
    return pa.Table.from_arrays([pa.array([row[f.name] for row in rows], f.type) for f in BASE_SCHEMA], schema=BASE_SCHEMA)


def annotation_names(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name not in BASE_SCHEMA.names]


def with_annotations(table: pa.Table, annotations: Mapping[str, Annotation | None]) -> pa.Table:
    """The table with columns added or replaced (None removes one), aligned with its rows; base columns are not up for change."""
    for name, values in annotations.items():
        if name in BASE_SCHEMA.names:
            raise StickgenError(f"annotation {name!r}: this is a content column of the index; choose another name")
        if name in table.column_names:
            table = table.drop_columns([name])
        if values is not None:
            table = table.append_column(name, _checked(name, values, table.num_rows))
    return table


def _checked(name: str, values: Annotation, rows: int) -> pa.Array:
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    flat = column
    while pa.types.is_list(flat.type) or pa.types.is_large_list(flat.type):
        flat = flat.flatten()
    if pa.types.is_null(flat.type):
        raise StickgenError(
            f"annotation {name!r}: every value is missing or empty and so its type is unknown; pass a pyarrow array with a type"
        )
    if len(column) != rows:
        raise StickgenError(f"annotation {name!r}: expected {rows} values, one for each selected row, found {len(column)}")
    if pa.types.is_floating(flat.type) and not pc.all(pc.is_finite(flat.drop_null())).as_py() and len(flat.drop_null()):
        raise StickgenError(f"annotation {name!r}: holds NaN or infinity; use None (null) where a value is not known")
    return column


def finished(table: pa.Table) -> pa.Table:
    """Sorted by id, annotations in name order after the base columns, in one chunk; a repeated id is an error."""
    table = table.select(BASE_SCHEMA.names + sorted(annotation_names(table)))
    table = table.take(pc.sort_indices(table["id"])).combine_chunks() if table.num_rows else table.combine_chunks()
    ids = table["id"].combine_chunks()
    if len(ids) > 1 and (again := pc.index(pc.equal(ids[1:], ids[:-1]), True).as_py()) >= 0:
        sources = pc.unique(table.filter(pc.equal(table["id"], ids[again]))["source"]).to_pylist()
        raise StickgenError(f"clip id {ids[again].as_py()!r} occurs twice (source {', '.join(sources)}); ids are unique in a corpus")
    return table


def clips_digest(table: pa.Table) -> str:
    """Over (id, clip digest), as `digest_entries` does, many rows at a time: which motions, whatever is said about them."""
    ids, digests = (table[name].combine_chunks() for name in ("id", "digest"))
    if len(ids) > 1 and not pc.all(pc.less(ids[:-1], ids[1:])).as_py():  # not as published
        return digest_entries("artifact.v1", zip(ids.to_pylist(), digests.to_pylist(), strict=True))
    hasher = hashlib.sha256(b"artifact.v1")
    for start in range(0, len(ids), HASHED_AT_ONCE):
        keys = pc.binary_join_element_wise("", ids.slice(start, HASHED_AT_ONCE), "\n")
        hasher.update(_bytes_of(pc.binary_join_element_wise(keys, digests.slice(start, HASHED_AT_ONCE), "\t")))
    return hasher.hexdigest()


def annotations_digest(table: pa.Table) -> str:
    """Over the annotation columns of a finished table, values aligned with the sorted ids."""
    return digest_entries("annotations.v1", [(name, column_digest(table[name])) for name in annotation_names(table)])


def data_version(clips: str, annotations: str) -> str:
    return digest_json({"corpus": STORE_SCHEMA, "clips": clips, "annotations": annotations})


def column_digest(column: pa.Array | pa.ChunkedArray) -> str:
    """Digest of a column's type and values, independent of chunks, offsets, dictionaries and what lies under a null."""
    hasher = hashlib.sha256()
    _feed(hasher, column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    return hasher.hexdigest()


def _feed(hasher: Any, column: pa.Array) -> None:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        hasher.update(f"list\0{len(column)}\0".encode())
        hasher.update(np.packbits(valid).tobytes())
        hasher.update(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype("<i8").tobytes())
        _feed(hasher, column.drop_null().flatten())
        return
    hasher.update(f"{'string' if pa.types.is_large_string(kind) else kind}\0{len(column)}\0".encode())
    hasher.update(np.packbits(valid).tobytes())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        for start in range(0, len(column), HASHED_AT_ONCE):
            hasher.update(_with_lengths(column.slice(start, HASHED_AT_ONCE).drop_null()))
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.drop_null().to_numpy(zero_copy_only=False)
        hasher.update(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes())
    else:
        raise StickgenError(f"annotation of type {kind}: expected numbers, booleans, text, or lists of them")


def _with_lengths(texts: pa.Array) -> pa.Buffer:
    """Each text's length in bytes, eight of them and the lowest first, then the text, end to end."""
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype("<i8")
    eights = pa.Array.from_buffers(pa.binary(8), len(texts), [None, pa.py_buffer(lengths.tobytes())])
    return _bytes_of(
        pc.binary_join_element_wise(eights.cast(pa.large_binary()), texts.cast(pa.large_binary()), pa.scalar(b"", pa.large_binary()))
    )


def _bytes_of(texts: pa.Array) -> pa.Buffer:
    """The bytes of freshly made texts without nulls, end to end."""
    return texts.buffers()[2].slice(0, pc.sum(pc.binary_length(texts)).as_py() or 0)
