"""Read text vectors by key: memory-mapped, without torch and without the encoder that made them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stickgen_core.corpus.folder import parquet_table
from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.digests import digest_entries, digest_file, field_digest
from stickgen_core.records.manifest import Manifest, read_manifest, seal_problems

INDEX_NAME = "index.parquet"
SHARD_SUFFIX = ".arrow"
KEY_BYTES = 32
REMAKE = "embed a corpus again, it is written again from the shards"
# What a damaged Arrow or Parquet file makes pyarrow, and the reading of its cells, raise.
UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError)


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
            found[chosen] = self._rows_of(int(number), row[chosen])
        return found

    def _find(self, wanted: np.ndarray) -> np.ndarray:
        return np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)

    def _rows_of(self, number: int, rows: np.ndarray) -> np.ndarray:
        if number not in self._opened:
            self._opened[number] = read_shard(self.folder / self._shards[number])[1]
        matrix = self._opened[number]
        if len(rows) and (rows.min() < 0 or rows.max() >= len(matrix)):
            raise Corrupt(f"{self.folder / INDEX_NAME}: names a row that {self._shards[number]} does not have; {REMAKE}")
        return matrix[rows]

    def verify(self) -> list[str]:
        """`verify_vectors` of this folder."""
        return verify_vectors(self.folder)

    def content_digest(self) -> str:
        """Over (key, vector), sorted: independent of shards and of the order in which texts came."""
        raw = self._keys.view(np.uint8).reshape(-1, KEY_BYTES)
        entries = []
        for number in range(len(self._shards)):
            chosen = np.flatnonzero(self._shard == number)
            rows = self._rows_of(number, self._row[chosen])
            entries += [(raw[i].tobytes().hex(), field_digest("vector", row).hex()) for i, row in zip(chosen, rows, strict=True)]
        return digest_entries("text_vectors.v1", entries)


def verify_vectors(folder: Path) -> list[str]:
    """Recompute every digest of an encoder's vectors; one line for each thing that is wrong."""
    try:
        manifest = read_manifest(folder)
        damaged = index_problems(folder, manifest)
        vectors = None if damaged else TextVectors.open(folder)
    except StickgenError as error:
        return [str(error)]
    wrong = [*seal_problems(folder, manifest), *damaged]
    listed = {*manifest.files, *(vectors._shards if vectors else ())} - {INDEX_NAME}
    for name in sorted(listed | {path.name for path in folder.glob(f"*{SHARD_SUFFIX}")}):
        path = folder / name
        if not path.is_file():
            wrong.append(f"{path}: missing; embed a corpus again, its texts are encoded again")
        elif digest_file(path) != path.stem:
            wrong.append(f"{path}: bytes do not match the name; remove it, its texts are encoded again")
    try:
        if vectors and not wrong and vectors.content_digest() != manifest.digest:
            wrong.append(f"{folder}: vectors do not match the manifest's digest; {REMAKE}")
    except (StickgenError, *UNREADABLE) as error:
        wrong.append(str(error))
    return wrong


def index_problems(folder: Path, manifest: Manifest) -> list[str]:
    """The index against its digest; a manifest of before the seal has none."""
    path, record = folder / INDEX_NAME, manifest.files.get(INDEX_NAME)
    if not path.is_file():
        return [f"{path}: not there; {REMAKE}"]
    if record is not None and digest_file(path) != record.sha256:
        return [f"{path}: bytes do not match the manifest; {REMAKE}"]
    return []


def packed(keys: Sequence[str]) -> np.ndarray:
    """Hex keys as 32-byte values that sort as the hex does."""
    return np.array([bytes.fromhex(key) for key in keys], dtype=f"S{KEY_BYTES}")


def read_index(folder: Path) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Sorted keys, shard names, and for each key its shard's number and its row."""
    path = folder / INDEX_NAME
    try:
        table = parquet_table(path)
        names = table["shard"].combine_chunks().dictionary_encode()
        return packed(table["key"].to_pylist()), names.dictionary.to_pylist(), names.indices.to_numpy(), table["row"].to_numpy()
    except FileNotFoundError:
        raise MissingInput(f"{path}: not there; {REMAKE}") from None
    except UNREADABLE as error:
        raise Corrupt(f"{path}: not an index of vectors ({_first_line(error)}); {REMAKE}") from None


def read_shard(path: Path) -> tuple[list[str], np.ndarray]:
    """(keys, float32 [n, width]) of one shard; the matrix is a read-only view of the mapped file."""
    try:
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        column = batch.column("vector")
        return batch.column("key").to_pylist(), column.flatten().to_numpy().reshape(len(column), column.type.list_size)
    except FileNotFoundError:
        raise MissingInput(f"{path}: shard is missing; embed the corpus again") from None
    except (*UNREADABLE, AttributeError) as error:
        raise Corrupt(f"{path}: not a shard of vectors ({_first_line(error)}); remove it, its texts are encoded again") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
