"""Export as `torch.save(list[dict])`, the documented interface: plain tensors and Python values.

Tensors are views of the memory-mapped shards, so no motion is copied before it is written: memory grows by about 6 KB of
Python objects a clip, whatever its length. The archive inside the file has
a fixed name and equal strings are one object: corpora of equal content export equal bytes on one version of torch.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stickgen_core.corpus.shards import disk_errors
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.records.digests import digest_file, digest_json
from stickgen_core.records.manifest import FileRecord, Manifest, read_manifest, seal_problems, write_manifest
from stickgen_core.records.publish import publish_text, publishing, temporary_beside
from stickgen_core.sources.recording import Text

DOCUMENTED_FIELDS = ("motion", "actions", "physics", "camera")
ALL_FIELDS = (*DOCUMENTED_FIELDS, "joints", "present", "joint_source")
SCALARS = ("id", "source", "origin", "licence", "official_split", "protocol", "camera_source", "source_fps", "split")

Vectors = Callable[[Sequence[str]], np.ndarray]
Progress = Callable[[str, int, int], None]


def export_pt(
    corpora: Corpus | Sequence[Corpus], path: Path, *, fields: Sequence[str] = DOCUMENTED_FIELDS, vectors: Vectors | None = None,
    rows: Sequence[Sequence[int] | np.ndarray] | None = None, progress: Progress | None = None,
) -> Path:  # fmt: skip
    """Write `path` (loads with weights_only=True, mmap=True) and `path`.md5; returns the path.

    corpora   one, or several for a combined file: a clip that several hold is exported once, from the first of them
    fields    ALL_FIELDS adds the joints, and makes a file that `import_pt` turns back into the same clips
    vectors   text keys -> [n, D]; with it (and a column text_keys) each sample has `embeddings` [n, D] and `embedding` [D]
    rows      positions to export of each corpus, default all; samples come in id order
    """
    sources = [corpora] if isinstance(corpora, Corpus) else list(corpora)
    unknown = sorted(set(fields) - set(ALL_FIELDS))
    if unknown:
        raise StickgenError(f"{path}: unknown field {unknown[0]!r}; expected some of {', '.join(ALL_FIELDS)}")
    for corpus in sources if vectors is not None else ():
        if "text_keys" not in corpus.index.column_names:
            raise MissingInput(f"{corpus.folder}: has no column text_keys, so no vectors can be exported; export the embedded corpus")
    chosen = _chosen(sources, rows, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(disk_errors(path))
        scratch = temporary_beside(path.with_name(path.name + ".vectors"))
        stack.callback(lambda: scratch.unlink(missing_ok=True))
        embeddings = _Embeddings(chosen, vectors, scratch) if vectors else None
        samples = []
        memo: dict[str, str] = {}
        for done, (corpus, i) in enumerate(chosen):
            samples.append(_sample(corpus, i, fields, memo) | (embeddings.of(done) if embeddings else {}))
            if progress and done % 1000 == 0:
                progress("export", done, len(chosen))
        # A file object, not a path: torch would put the file's own name into the archive.
        with publishing(path) as temporary, temporary.open("wb") as file:
            _save(samples, file)
    publish_text(_md5_path(path), f"{_md5(path)}  {path.name}\n")
    write_manifest(path, _export_manifest(sources, path, len(samples), fields), seal=True)
    return path


def verify_pt(path: Path) -> list[str]:
    """One line for each thing that is wrong with an export: its bytes, its .md5 or its manifest."""
    try:
        manifest = read_manifest(path)
    except StickgenError as error:
        return [str(error)]
    wrong = [
        name
        for name, record in manifest.files.items()
        if not (file := path.with_name(Path(name).name)).is_file() or digest_file(file) != record.sha256
    ]
    return [*seal_problems(path, manifest), *(f"{name}: missing, or differs from its manifest; export it again" for name in wrong)]


class _Sink:
    """A file that remembers why it could not be written: torch tells of a full disk as of a wrong position."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.failed: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.failed = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _save(samples: list[dict[str, Any]], file: BinaryIO) -> None:
    import torch

    sink = _Sink(file)
    try:
        torch.save(samples, sink)
    except RuntimeError:
        if sink.failed is not None:
            raise sink.failed from None
        raise


def _chosen(sources: Sequence[Corpus], rows: Sequence[Sequence[int] | np.ndarray] | None, path: Path) -> list[tuple[Corpus, int]]:
    """Which clips, in id order."""
    if rows is not None and len(sources) != len(rows):
        raise StickgenError(f"{path}: expected rows for each of {len(sources)} corpora, found {len(rows)}")
    first: dict[str, tuple[Corpus, int]] = {}
    for number, corpus in enumerate(sources):
        for i in range(len(corpus)) if rows is None else rows[number]:
            first.setdefault(corpus.ids[i], (corpus, int(i)))
    return [first[clip_id] for clip_id in sorted(first)]


def _sample(corpus: Corpus, i: int, fields: Sequence[str], memo: dict[str, str]) -> dict[str, Any]:
    """One clip as the documented dict; the people axis is dropped where there is one person."""

    def interned(value: Any) -> Any:
        return memo.setdefault(value, value) if isinstance(value, str) else value

    row = corpus.index.slice(i, 1).to_pylist()[0]
    texts = corpus.texts(i)
    sample: dict[str, Any] = {
        name: _tensor(values[:, 0] if name not in ("camera", "joint_source") and row["actors"] == 1 else values)
        for name, values in corpus.arrays(i, *fields).items()
    }
    described, first = _described(texts)
    sample["description"] = interned(described[first].text if described else "")
    sample["texts"] = [
        {"text": interned(t.text), "start_s": t.start_s, "end_s": t.end_s, "kind": interned(str(t.kind)), "actor": t.actor} for t in texts
    ]
    sample |= {name: interned(row[name]) for name in SCALARS if name in row}
    sample |= {
        "frames": row["frames"], "actors": row["actors"], "window_s": [row["window_start_s"], row["window_end_s"]],
        "origin_xz_m": [row["origin_x_m"], row["origin_z_m"]], "yaw_rad": row["yaw_rad"], "extra_json": interned(row["extra_json"]),
    }  # fmt: skip
    return sample


def _described(texts: Sequence[Text]) -> tuple[list[Text], int]:
    """The texts that `text_keys` stands for, and which of them speaks for the clip: the first caption, else the first template."""
    described = [t for t in texts if t.describes]
    return described, next((n for n, t in enumerate(described) if t.kind == "caption"), 0)


def _tensor(values: np.ndarray) -> Any:
    """A tensor over the mapped bytes; torch warns that they are read-only, and nothing here writes."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.ascontiguousarray(values))


class _Embeddings:
    """Vectors of all texts in a scratch file, so that they need address space, not memory."""

    def __init__(self, chosen: Sequence[tuple[Corpus, int]], vectors: Vectors, scratch: Path):
        keys_of = {id(corpus): corpus.index["text_keys"].to_pylist() for corpus, _ in chosen}
        keys = [keys_of[id(corpus)][i] for corpus, i in chosen]
        self._counts = [len(k or ()) for k in keys]
        self._starts = np.concatenate([[0], np.cumsum(self._counts)]).astype(np.int64)
        self._captions = [_described(corpus.texts(i))[1] for corpus, i in chosen]
        self._file: np.ndarray | None = None
        for start in range(0, len(keys), 1024):
            wanted = [key for row in keys[start : start + 1024] for key in row or ()]
            if not wanted:
                continue
            found = np.asarray(vectors(wanted), dtype=np.float32)
            if self._file is None:
                self._file = np.memmap(scratch, np.float32, "w+", shape=(int(self._starts[-1]), found.shape[1]))
            self._file[self._starts[start] : self._starts[start] + len(wanted)] = found

    def of(self, sample: int) -> dict[str, Any]:
        if self._file is None or not self._counts[sample]:
            return {"embedding": None, "embeddings": None}
        every = _tensor(self._file[self._starts[sample] : self._starts[sample + 1]])
        first = self._captions[sample] if self._captions[sample] < len(every) else 0
        return {"embedding": every[first], "embeddings": every}


def _md5_path(path: Path) -> Path:
    return path.with_name(path.name + ".md5")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _export_manifest(sources: Sequence[Corpus], path: Path, samples: int, fields: Sequence[str]) -> Manifest:
    files = {file.name: FileRecord(file.stat().st_size, digest_file(file)) for file in (path, _md5_path(path))}
    return Manifest(
        name=f"export/{path.name}", kind="export", digest=files[path.name].sha256, recipe=digest_json({"export_pt": 2, "fields": list(fields)}),
        parents={corpus.manifest.name: corpus.digest for corpus in sources},
        counts={"clips": samples}, files=files, notes={"fields": list(fields)},
    )  # fmt: skip
