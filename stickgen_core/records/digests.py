"""Content digests: field → clip → artefact, over values in a fixed byte form, never over file bytes.

SHA-256 from the standard library: the arithmetic before a digest costs more than the digest does.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def digest_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Any) -> str:
    """Digest of canonical JSON: sorted keys, no blanks, NFC text, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return digest_bytes(unicodedata.normalize("NFC", text).encode())


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes: a transport check, not a content identity."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def field_digest(name: str, values: np.ndarray) -> bytes:
    """H(name, dtype, shape, little-endian C-order bytes); a non-finite float is refused."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"field {name!r} holds non-finite values and has no digest")
    ordered = np.ascontiguousarray(values)
    if ordered.dtype.byteorder == ">":
        ordered = ordered.astype(ordered.dtype.newbyteorder("<"))
    hasher = hashlib.sha256(f"{name}\0{ordered.dtype.str.lstrip('<=|')}\0{ordered.ndim}\0".encode())
    hasher.update(np.asarray(values.shape, dtype="<u8").tobytes())
    hasher.update(ordered.data)
    return hasher.digest()


def digest_fields(kind: str, fields: Mapping[str, np.ndarray], scalars: Mapping[str, Any]) -> str:
    """One digest of named arrays and JSON values: H(kind, sorted field digests, canonical JSON of the scalars)."""
    return digest_of_fields(kind, {name: field_digest(name, values) for name, values in fields.items()}, scalars)


def digest_of_fields(kind: str, digests: Mapping[str, bytes], scalars: Mapping[str, Any]) -> str:
    """The same, from field digests that are known already."""
    hasher = hashlib.sha256(kind.encode())
    for name in sorted(digests):
        hasher.update(digests[name])
    hasher.update(digest_json(scalars).encode())
    return hasher.hexdigest()


def digest_entries(kind: str, entries: Iterable[tuple[str, str]]) -> str:
    """Digest of (id, digest) pairs sorted by id: independent of order, sharding and the library that stored them."""
    hasher = hashlib.sha256(kind.encode())
    for key, digest in sorted(entries):
        hasher.update(f"\n{key}\t{digest}".encode())
    return hasher.hexdigest()
