"""Read text vectors by key: memory-mapped, without torch and without the encoder that made them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stickgen_core.corpus.folder import parquet_table
from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.digests import digest_entries, digest_file, field_digest
from stickgen_core.records.manifest import Manifest, read_manifest

INDEX_NAME = "index.parquet"
SHARD_SUFFIX = ".arrow"
KEY_BYTES = 32


class TextVectors:
    """The vectors of one encoder: `<text_vectors>/<encoder digest>/`. Opening reads keys only."""

    def __init__(self, folder: Path, manifest: Manifest, keys: np.ndarray, shards: list[str], shard: np.ndarray, row: np.ndarray):
        self.folder = folder
        self.manifest = manifest
        self._keys, self._shards, self._shard, self._row = keys, shards, shard, row
        self._opened: dict[int, np.ndarray] = {}

    @classmethod
    def open(cls, folder: Path) -> "TextVectors":
        """The published vectors of a folder; MissingInput or Corrupt in one line."""
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest.kind != "text_vectors":
            raise MissingInput(f"{folder}: expected text vectors, found {manifest.kind}")
        return cls.reindexed(folder, manifest)

    @classmethod
    def reindexed(cls, folder: Path, manifest: Manifest) -> "TextVectors":
        """What the folder's index names now, under a manifest that may be about to be replaced."""
        return cls(folder, manifest, *read_index(folder))

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def notes(self) -> Mapping[str, Any]:
        """Encoder name, model, revision, pooling, width, golden digest."""
        return self.manifest.notes

    @property
    def width(self) -> int:
        return int(self.notes["width"])

    def __contains__(self, key: str) -> bool:
        return bool(self.has([key])[0])

    def has(self, keys: Sequence[str]) -> np.ndarray:
        """bool [n]: which keys are there."""
        wanted = packed(keys)
        return self._keys[self._find(wanted)] == wanted if len(self._keys) else np.zeros(len(wanted), bool)

    def vectors(self, keys: Sequence[str]) -> np.ndarray:
        """float32 [n, width] in the order of the keys; an unknown key is an error that names it."""
        wanted = packed(keys)
        if not len(wanted):
            return np.zeros((0, self.width), np.float32)
        if not len(self._keys):
            raise MissingInput(f"{self.folder}: no vector for key {keys[0][:16]}…; embed the corpus again")
        at = self._find(wanted)
        missing = np.flatnonzero(self._keys[at] != wanted)
        if len(missing):
            raise MissingInput(
                f"{self.folder}: no vector for {len(missing)} of {len(keys)} keys, e.g. {keys[missing[0]][:16]}…; embed the corpus again"
            )
        shard, row = self._shard[at], self._row[at]
        found = np.empty((len(wanted), self.width), np.float32)
        for number in np.unique(shard):
            chosen = shard == number
            found[chosen] = self._matrix(int(number))[row[chosen]]
        return found

    def _find(self, wanted: np.ndarray) -> np.ndarray:
        return np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)

    def _matrix(self, number: int) -> np.ndarray:
        if number not in self._opened:
            self._opened[number] = read_shard(self.folder / self._shards[number])[1]
        return self._opened[number]

    def verify(self) -> list[str]:
        """Recompute every digest; one line for each thing that is wrong."""
        wrong = []
        for name in self._shards:
            path = self.folder / name
            if not path.is_file():
                wrong.append(f"{path}: missing")
            elif digest_file(path) != path.stem:
                wrong.append(f"{path}: bytes do not match the name")
        if not wrong and self.content_digest() != self.manifest.digest:
            wrong.append(f"{self.folder}: vectors do not match the manifest's digest")
        return wrong

    def content_digest(self) -> str:
        """Over (key, vector), sorted: independent of shards and of the order in which texts came."""
        raw = self._keys.view(np.uint8).reshape(-1, KEY_BYTES)
        entries = []
        for number in range(len(self._shards)):
            matrix, chosen = self._matrix(number), np.flatnonzero(self._shard == number)
            entries += [(raw[i].tobytes().hex(), field_digest("vector", matrix[self._row[i]]).hex()) for i in chosen]
        return digest_entries("text_vectors.v1", entries)


def packed(keys: Sequence[str]) -> np.ndarray:
    """Hex keys as 32-byte values that sort as the hex does."""
    return np.array([bytes.fromhex(key) for key in keys], dtype=f"S{KEY_BYTES}")


def read_index(folder: Path) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Sorted keys, shard names, and for each key its shard's number and its row."""
    try:
        table = parquet_table(folder / INDEX_NAME)
    except FileNotFoundError:
        raise MissingInput(f"{folder / INDEX_NAME}: not there; embed the corpus again") from None
    except pa.ArrowInvalid as error:
        raise Corrupt(f"{folder / INDEX_NAME}: not a Parquet file ({error}); remove {folder} and embed again") from None
    names = table["shard"].combine_chunks().dictionary_encode()
    return packed(table["key"].to_pylist()), names.dictionary.to_pylist(), names.indices.to_numpy(), table["row"].to_numpy()


def read_shard(path: Path) -> tuple[list[str], np.ndarray]:
    """(keys, float32 [n, width]) of one shard; the matrix is a read-only view of the mapped file."""
    try:
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
    except FileNotFoundError:
        raise MissingInput(f"{path}: shard is missing; embed the corpus again") from None
    except pa.ArrowInvalid as error:
        raise Corrupt(f"{path}: not an Arrow file ({error}); remove it and embed again") from None
    column = batch.column("vector")
    return batch.column("key").to_pylist(), column.flatten().to_numpy().reshape(len(column), column.type.list_size)
