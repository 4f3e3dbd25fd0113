"""The journal of a part in progress: each finished unit is appended whole, so that a kill costs the unit in flight and none before it.

A record is a header (what became of the unit, who its clips are) with its digest, then the bytes of the clips' arrays. A record that a
kill or a full disk tore is told by its length or its digest, and what stands before it holds. Nothing is synced: a killed process
loses nothing of what it wrote, and what a power cut tears is converted again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from stickgen_core.corpus.clip import ARRAY_FIELDS, Clip
from stickgen_core.corpus.shards import disk_errors
from stickgen_core.sources.recording import Text

# Length of the header, then its SHA-256.
PREFIX_BYTES = 8 + 32


class Finished(NamedTuple):
    """A unit of a journal: its key, its outcome as it was written, and the clips that were stored of it."""

    key: str
    outcome: dict[str, Any]
    clips: list[Clip]


class Journal:
    """Appends finished units to a file that is removed once the part is published; a failure or a kill leaves it for `finished_in`."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb", buffering=0)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def append(self, key: str, outcome: Mapping[str, Any], clips: Sequence[Clip], digests: Sequence[str]) -> None:
        """A unit with its clips and their digests; whole once this returns."""
        named = [
            {"identity": clip.identity(), "shapes": [getattr(clip, name).shape for name in ARRAY_FIELDS], "digest": digest}
            for clip, digest in zip(clips, digests, strict=True)
        ]
        header = json.dumps([key, outcome, named], allow_nan=False).encode()
        pieces: list[bytes | memoryview] = [len(header).to_bytes(8, "little"), hashlib.sha256(header).digest(), header]
        with disk_errors(self.path):
            for clip in clips:
                pieces += [np.ascontiguousarray(getattr(clip, name)).data.cast("B") for name in ARRAY_FIELDS]
                self._write(b"".join(pieces))
                pieces = []
            self._write(b"".join(pieces))

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def remove(self) -> None:
        self._file.close()
        self.path.unlink()


def finished_in(path: Path) -> Iterator[Finished]:
    """The whole units of a journal, in order, up to the first that is torn or differs from its digests."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while True:
            prefix = file.read(PREFIX_BYTES)
            length = int.from_bytes(prefix[:8], "little")
            if len(prefix) < PREFIX_BYTES or length > size:
                return
            header = file.read(length)
            if hashlib.sha256(header).digest() != prefix[8:]:
                return
            key, outcome, named = json.loads(header)
            clips = []
            for row in named:
                arrays = _arrays(file, row["shapes"], size)
                clip = None if arrays is None else _clip(row["identity"], arrays)
                if clip is None or clip.digest() != row["digest"]:
                    return
                clips.append(clip)
            yield Finished(key, outcome, clips)


def _arrays(file: BinaryIO, shapes: Sequence[Sequence[int]], size: int) -> dict[str, np.ndarray] | None:
    found = {}
    for (name, dtype), shape in zip(ARRAY_FIELDS.items(), shapes, strict=True):
        wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
        data = file.read(wanted) if wanted <= size else b""
        if len(data) < wanted:
            return None
        found[name] = np.frombuffer(data, dtype).reshape(shape)
    return found


def _clip(identity: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Clip:
    """The clip of that identity; a list in JSON is a tuple here."""
    pairs = {name: tuple(identity[name]) for name in ("window_s", "origin_xz_m")}
    texts = tuple(Text(*text) for text in identity["texts"])
    return Clip(**{**identity, **pairs, **arrays, "texts": texts})
