"""A corpus to read: a manifest and an index over shared shards. Selecting writes a new index; shards are never rewritten."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stickgen_core.corpus.clip import Clip
from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.corpus.folder import LOCK_NAME, pool_of, read_folder, read_part, tidy
from stickgen_core.corpus.index import Annotation
from stickgen_core.corpus.ledger import LedgerRow
from stickgen_core.corpus.selection import Part, publish_selection
from stickgen_core.corpus.shards import FIELDS, OpenShard, shaped, shard_path
from stickgen_core.corpus.verify import verify_folder
from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.manifest import Manifest, OtherSchema
from stickgen_core.records.publish import exclusively
from stickgen_core.sources.recording import Text

TEXT_TABLE_SCHEMA = pa.schema([
    ("clip", pa.int64()), ("ordinal", pa.int32()), ("text", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64()),
    ("kind", pa.string()), ("actor", pa.int32()),
])  # fmt: skip


class Corpus:
    """Clips of one published folder, by position in id order. Arrays are read-only views into memory-mapped shards."""

    def __init__(self, folder: Path, manifest: Manifest, index: pa.Table, pool: Path):
        self.folder, self.manifest, self.index, self.pool = folder, manifest, index, pool
        self._reset()

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """The corpus published at a folder; MissingInput or Corrupt in one line."""
        folder = Path(folder)
        manifest, index = read_folder(folder)
        return cls(folder, manifest, index, pool_of(folder, manifest))

    def _reset(self) -> None:
        self._shards: dict[str, OpenShard] = {}
        names = self.index["shard"].combine_chunks().dictionary_encode()
        self._shard_names: list[str] = names.dictionary.to_pylist()
        self._opened: list[OpenShard | None] = [None] * len(self._shard_names)
        self._shard_of = names.indices.to_numpy()
        self._row = self.index["row"].to_numpy()
        self._frames = self.index["frames"].to_numpy()
        self._actors = self.index["actors"].to_numpy()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "manifest": self.manifest, "index": self.index, "pool": self.pool}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def __len__(self) -> int:
        return self.index.num_rows

    def __iter__(self) -> Iterator[Clip]:
        return (self.clip(i) for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Corpus({self.manifest.name}, {len(self)} clips, {self.digest[:12]}, {self.folder})"

    @property
    def digest(self) -> str:
        """The data version: motions and annotations together."""
        return self.manifest.digest

    @property
    def clips_digest(self) -> str:
        """The motions alone; two corpora that differ in scores or splits share it."""
        return self.manifest.notes["store"]["clips_digest"]

    @cached_property
    def content_bytes(self) -> int:
        """Bytes of all arrays of these clips, without what else lies in their shards."""
        if not len(self):
            return 0
        first, frames, people = self.arrays(0), int(self._frames[0]), int(self._frames[0]) * int(self._actors[0])
        per_frame = first["camera"].nbytes // frames
        per_person = sum(values.nbytes // people for name, values in first.items() if name not in ("camera", "joint_source"))
        total_people = int((self._frames.astype(np.int64) * self._actors).sum())
        return total_people * per_person + int(self._frames.sum(dtype=np.int64)) * per_frame + len(self) * first["joint_source"].nbytes

    @cached_property
    def ids(self) -> list[str]:
        return self.index["id"].to_pylist()

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {clip_id: position for position, clip_id in enumerate(self.ids)}

    def position(self, clip_id: str) -> int:
        """Where a clip stands in the index."""
        try:
            return self._positions[clip_id]
        except KeyError:
            raise MissingInput(f"{self.folder}: no clip {clip_id!r} among {len(self)}") from None

    def column(self, name: str) -> np.ndarray:
        """An index column as numpy; text becomes an object array, missing numbers become NaN."""
        if name not in self.index.column_names:
            raise MissingInput(f"{self.folder}: no column {name!r}; it has {', '.join(self.index.column_names)}")
        return self.index[name].to_numpy()

    def arrays(self, i: int, *fields: str) -> dict[str, np.ndarray]:
        """Named arrays of clip `i` without copying: joints [T,A,22,3], motion [T,A,W]... All fields if none is named."""
        number = self._shard_of[i]
        shard = self._opened[number] or self._open_array_shard(number)
        row, frames, actors = int(self._row[i]), int(self._frames[i]), int(self._actors[i])
        found = {}
        for name in fields or FIELDS:
            flat = shard.flat(row, name)
            try:
                found[name] = shaped(flat, name, frames, actors)
            except ValueError:
                raise Corrupt(
                    f"{shard.path}: row {row}, {name}: {flat.size} values do not make {frames} frames of {actors} people;"
                    f" run `stickgen corpus verify`"
                ) from None
        return found

    def _open_array_shard(self, number: int) -> OpenShard:
        shard = self._opened[number] = self._shard(self._shard_names[number])
        return shard

    def _shard(self, name: str) -> OpenShard:
        if name not in self._shards:
            self._shards[name] = OpenShard(shard_path(self.pool, name))
        return self._shards[name]

    def texts(self, i: int) -> tuple[Text, ...]:
        return self._shard(self.index["text_shard"][i].as_py()).texts(self.index["text_row"][i].as_py())

    def field_digests(self, i: int) -> bytes:
        """The stored digests of a clip's arrays, one after another in the order of FIELDS."""
        return self._shard(self._shard_names[self._shard_of[i]]).cell(int(self._row[i]), "field_digests")

    def text_table(self) -> pa.Table:
        """Every text of the corpus at once: position of its clip, ordinal within the clip, the text's own fields."""
        shard_of = self.index["text_shard"].combine_chunks().dictionary_encode()
        numbers, rows = shard_of.indices.to_numpy(), self.index["text_row"].to_numpy()
        tables = []
        for number, name in enumerate(shard_of.dictionary.to_pylist()):
            clips = np.flatnonzero(numbers == number)
            tables.append(self._shard(name).text_table(rows[clips], clips, TEXT_TABLE_SCHEMA))
        table = pa.concat_tables([TEXT_TABLE_SCHEMA.empty_table(), *tables])
        return table.sort_by([("clip", "ascending"), ("ordinal", "ascending")]).combine_chunks()

    def clip(self, i: int) -> Clip:
        """The whole clip; its arrays are views."""
        row = self.index.slice(i, 1).to_pylist()[0]
        return Clip(
            id=row["id"], source=row["source"], origin=row["origin"], **self.arrays(i), texts=self.texts(i), source_fps=row["source_fps"],
            window_s=(row["window_start_s"], row["window_end_s"]), origin_xz_m=(row["origin_x_m"], row["origin_z_m"]),
            yaw_rad=row["yaw_rad"], camera_source=row["camera_source"], licence=row["licence"], official_split=row["official_split"],
            protocol=row["protocol"], extra=json.loads(row["extra_json"]),
        )  # fmt: skip

    def ledger(self) -> pa.Table:
        """What this stage left out, one row each with its reason."""
        return read_part(self.folder, self.manifest, "ledger")

    def verify(self) -> list[str]:
        """Recompute every digest; one line for each thing that is wrong, naming file, shard, clip and field."""
        return verify_folder(self.folder)

    def select(
        self, rows: Sequence[int] | np.ndarray, folder: Path, name: str, recipe: str,
        annotations: Mapping[str, Annotation | None] | None = None,
        ledger: Iterable[LedgerRow] | pa.Table = (), notes: Mapping[str, Any] | None = None, parents: Mapping[str, str] | None = None,
        *, kind: str = "corpus", texts: Mapping[str, Sequence[Text]] | None = None, made: Mapping[str, Any] | None = None,
        layout: CorpusConfig | None = None,
    ) -> "Corpus":  # fmt: skip
        """Publish some of these clips elsewhere: a new manifest and index over the same shards.

        rows          positions to keep, or a boolean mask; each clip left out needs one row in `ledger`
        annotations   columns aligned with `rows`; those this corpus has are carried over, None removes one
        texts         new texts by clip id, for the few clips whose texts change; their digests change with them
        parents       defaults to this corpus alone
        """
        return union(
            [self], folder, name, recipe, rows=[rows], annotations=annotations, ledger=ledger, notes=notes,
            parents=parents, kind=kind, texts=texts, made=made, layout=layout,
        )  # fmt: skip


def union(
    corpora: Sequence[Corpus], folder: Path, name: str, recipe: str, *, rows: Sequence[Sequence[int] | np.ndarray] | None = None,
    annotations: Mapping[str, Annotation | None] | None = None, ledger: Iterable[LedgerRow] | pa.Table = (),
    notes: Mapping[str, Any] | None = None, parents: Mapping[str, str] | None = None, kind: str = "corpus",
    texts: Mapping[str, Sequence[Text]] | None = None, made: Mapping[str, Any] | None = None, shards: Path | None = None,
    layout: CorpusConfig | None = None,
) -> Corpus:  # fmt: skip
    """Publish clips of several corpora as one, over their shards; `rows` (one selection a corpus) defaults to all of them.

    Annotations are aligned with the chosen rows of all corpora one after another. `shards` is the pool, by default the
    first corpus' one; shards of other pools are linked (or copied) into it.
    """
    parts = [
        Part(
            c.manifest.name, c.digest, int(c.manifest.counts.get("motion_width", 0)), c.index, c.pool,
            np.arange(len(c)) if rows is None else np.asarray(rows[n]),
        )
        for n, c in enumerate(corpora)
    ]  # fmt: skip

    def clip_of(clip_id: str) -> Clip:
        owner = next(c for c in corpora if clip_id in c._positions)
        return owner.clip(owner.position(clip_id))

    publish_selection(
        parts, Path(folder), name, recipe, kind=kind, annotations=annotations or {}, ledger=ledger, notes=notes or {}, parents=parents,
        texts=texts or {}, made=made or {}, pool=shards, layout=layout or CorpusConfig(), clip_of=clip_of,
    )  # fmt: skip
    return Corpus.open(folder)


def current(folder: Path, recipe: str, parents: Mapping[str, str]) -> Corpus | None:
    """The corpus at a folder if this recipe and these inputs would make it again, else None; leftovers of a kill are cleared."""
    try:
        corpus = Corpus.open(folder)
    except OtherSchema:
        raise  # to be migrated, never silently made again
    except (MissingInput, Corrupt):
        return None
    if not corpus.manifest.is_current(recipe, parents):
        return None
    with exclusively(Path(folder) / LOCK_NAME):
        tidy(corpus.folder, corpus.manifest)
    return corpus
