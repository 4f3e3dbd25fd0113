"""Token-level states, kept only where the configuration asks for them: what a model that attends to words is conditioned on.

They lie beside the vectors of their encoder, `<text_vectors>/<encoder digest>/tokens/`, in immutable shards named by their SHA-256; a
text's states depend on the text alone, because batches are canonical here as well. About fifteen times as large as the vectors.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.digests import digest_bytes, digest_entries, digest_file, field_digest
from stickgen_core.records.manifest import (
    FileRecord,
    Manifest,
    find_manifest,
    lost_files,
    read_manifest,
    seal_problems,
    write_manifest,
)
from stickgen_core.records.publish import exclusively, publish_bytes, sweep
from stickgen_core.text.batches import in_portions
from stickgen_core.text.encoders import Encoder, Progress, normal_form, telling, text_key
from stickgen_core.text.vectors import SHARD_SUFFIX, UNREADABLE

FOLDER = "tokens"
LOCK_NAME = ".lock"


class TokenStates:
    """States of texts by key. Opening reads keys only; states are memory-mapped."""

    def __init__(self, folder: Path, width: int, places: dict[str, tuple[str, int]]):
        self.folder, self.width = folder, width
        self._places = places
        self._opened: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def open(cls, folder: Path, width: int) -> "TokenStates":
        """The states of `<text_vectors>/<encoder digest>`."""
        tokens = Path(folder) / FOLDER
        places: dict[str, tuple[str, int]] = {}
        for path in sorted(tokens.glob(f"*{SHARD_SUFFIX}")):
            for row, key in enumerate(_batch(path).column("key").to_pylist()):
                places.setdefault(key, (path.name, row))
        return cls(tokens, width, places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def states(self, key: str) -> np.ndarray:
        """[tokens, width] float32, read-only; the first is [CLS], the last [SEP]."""
        if key not in self._places:
            raise MissingInput(f"{self.folder}: no token states for key {key[:16]}…; embed the corpus again with text.token_states=true")
        name, row = self._places[key]
        if name not in self._opened:
            column = _batch(self.folder / name).column("states")
            self._opened[name] = column.offsets.to_numpy(), column.values.to_numpy()
        offsets, values = self._opened[name]
        found: np.ndarray = values[offsets[row] : offsets[row + 1]].reshape(-1, self.width)
        return found

    def digest(self, keys: Iterable[str]) -> str:
        """Over (key, states) of the given keys."""
        return digest_entries("token_states.v1", [(key, field_digest("states", self.states(key)).hex()) for key in keys])


def ensure_tokens(
    texts: Iterable[str], encoder: Encoder, cache: Path, *, flush_rows: int, flush_s: float, progress: Progress = None
) -> TokenStates:
    """The encoder's token states under `cache`, holding at least these texts; only those not yet there are computed."""
    folder = Path(cache) / encoder.digest
    wanted = {text_key(encoder.digest, text): normal_form(text) for text in texts}
    with exclusively(folder / FOLDER / LOCK_NAME):
        sweep(folder / FOLDER)
        _check(folder / FOLDER)
        known = TokenStates.open(folder, encoder.width)
        missing = sorted((key for key in wanted if key not in known), key=lambda key: (len(wanted[key]), key))
        batches = encoder.token_batches([wanted[key] for key in missing])
        for rows, states in in_portions(batches, flush_rows, flush_s, telling(progress, "token states", len(missing))):
            _write(folder / FOLDER, [missing[row] for row in rows], states)
        found = TokenStates.open(folder, encoder.width)
        if missing or not _whole(folder / FOLDER):
            _publish(folder / FOLDER, found, encoder.digest)
    return found


def keep_only_tokens(folder: Path, width: int, encoder_digest: str, wanted: set[str]) -> int:
    """Remove the states of all other keys; how many went. Killed midway it can simply be run again."""
    tokens = folder / FOLDER
    if not tokens.is_dir():
        return 0
    with exclusively(tokens / LOCK_NAME):
        sweep(tokens)
        known = TokenStates.open(folder, width)
        gone = {key for key in known._places if key not in wanted}
        old = sorted({known._places[key][0] for key in gone})
        for name in old:
            keys = [key for key, place in known._places.items() if place[0] == name and key in wanted]
            if keys:
                _write(tokens, keys, [known.states(key) for key in keys])
        for name in old:
            (tokens / name).unlink()
        if gone:
            _publish(tokens, TokenStates.open(folder, width), encoder_digest)
    return len(gone)


def verify_tokens(folder: Path) -> list[str]:
    """One line for each thing that is wrong with an encoder's token states: their shards and their manifest."""
    tokens = folder / FOLDER
    wrong = [
        f"{path}: bytes do not match the name; remove it, its texts are encoded again"
        for path in sorted(tokens.glob(f"*{SHARD_SUFFIX}"))
        if digest_file(path) != path.stem
    ]
    try:
        manifest = read_manifest(tokens)
    except MissingInput:
        return wrong
    except Corrupt as error:
        return [*wrong, str(error)]
    lost = (
        f"{tokens / name}: missing; embed a corpus again, its texts are encoded again"
        for name in manifest.files
        if not (tokens / name).is_file()
    )
    return [*wrong, *seal_problems(tokens, manifest), *lost]


def tokens_ready(folder: Path, width: int, keys: Iterable[str]) -> bool:
    """Whether the published states hold these keys and nothing of them is lost."""
    if not _whole(folder / FOLDER):
        return False
    states = TokenStates.open(folder, width)
    return all(key in states for key in keys)


def _whole(tokens: Path) -> bool:
    manifest = find_manifest(tokens)
    return manifest is not None and not seal_problems(tokens, manifest) and not lost_files(tokens, manifest)


def _batch(path: Path) -> pa.RecordBatch:
    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).get_batch(0)
    except UNREADABLE as error:
        raise Corrupt(f"{path}: not an Arrow file ({error}); remove it and embed again") from None


def _write(folder: Path, keys: Sequence[str], states: Sequence[np.ndarray]) -> None:
    flat = np.concatenate([s.reshape(-1) for s in states]).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum([s.size for s in states])]).astype(np.int64)
    table = pa.table({"key": pa.array(keys), "states": pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(flat))})
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=len(keys))
    data = sink.getvalue()
    publish_bytes(folder / (digest_bytes(data) + SHARD_SUFFIX), data)


def _check(folder: Path) -> None:
    for path in sorted(folder.glob(f"*{SHARD_SUFFIX}")):
        if digest_file(path) != path.stem:
            raise Corrupt(f"{path}: bytes do not match the name; remove it, its texts are encoded again")


def _publish(folder: Path, found: TokenStates, encoder_digest: str) -> None:
    keys = sorted(found._places)
    files = {path.name: FileRecord(path.stat().st_size, path.stem) for path in sorted(folder.glob(f"*{SHARD_SUFFIX}"))}
    write_manifest(folder, Manifest(
        name="token_states", kind="token_states", digest=found.digest(keys), recipe=encoder_digest, counts={"texts": len(keys)}, files=files,
        notes={"width": found.width, "encoder_digest": encoder_digest},
    ), seal=True)  # fmt: skip
