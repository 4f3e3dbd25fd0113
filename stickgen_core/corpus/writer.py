"""Writing a corpus: clips stream into content-addressed shards, nothing is visible before `publish`."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from stickgen_core.corpus.check import BadClip, check_clip
from stickgen_core.corpus.clip import Clip
from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.corpus.folder import LOCK_NAME, Draft, publish_folder
from stickgen_core.corpus.index import index_row, index_table
from stickgen_core.corpus.ledger import LedgerRow, ledger_table
from stickgen_core.corpus.shards import ARRAY_SCHEMA, TEXT_SCHEMA, ShardWriter, array_row, text_row
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.records.publish import exclusively, sweep


class CorpusWriter:
    """One writer of one folder; use it as a context manager so that a failure releases the folder and its temporary files.

    shards    the pool that this and other corpora share
    parents   asset key -> digest of what is read
    """

    def __init__(
        self, folder: Path, *, shards: Path, name: str, kind: str = "corpus", recipe: str = "", parents: Mapping[str, str] | None = None,
        layout: CorpusConfig | None = None,
    ):  # fmt: skip
        self.folder, self.pool = Path(folder), Path(shards)
        self._draft = Draft(name, kind, recipe, dict(parents or {}), {}, {})
        self._held = contextlib.ExitStack()
        self._held.enter_context(exclusively(self.folder / LOCK_NAME))
        for place in (self.folder, self.pool):
            sweep(place)
        layout = layout or CorpusConfig()
        self._arrays = ShardWriter(self.pool, ARRAY_SCHEMA, layout)
        self._texts = ShardWriter(self.pool, TEXT_SCHEMA, layout)
        self._rows: list[dict[str, Any]] = []
        self._ids: set[str] = set()
        self._drops: list[LedgerRow] = []
        self._motion_width: int | None = None
        self._open = True

    def __enter__(self) -> "CorpusWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dropped(self) -> int:
        return len(self._drops)

    def add(self, clip: Clip) -> str:
        """Store a clip and return its digest; raises BadClip, and then nothing of it is stored."""
        self._must_be_open()
        check_clip(clip)
        width = clip.motion.shape[-1]
        if clip.id in self._ids:
            raise BadClip(clip.id, "duplicate_id", "a clip of this id is already in the corpus")
        if width != (self._motion_width or width):
            raise BadClip(clip.id, "wrong_shape", f"motion is {width} wide, the clips before it {self._motion_width}; one layout a corpus")
        fields = clip.field_digests()
        digest = clip.digest_from(fields)
        self._arrays.add(array_row(clip, fields))
        self._texts.add(text_row(clip.id, clip.texts))
        self._rows.append(index_row(clip, digest))
        self._ids.add(clip.id)
        self._motion_width = width
        return digest

    def drop(self, row: LedgerRow) -> None:
        """Note something that does not become a clip."""
        self._must_be_open()
        self._drops.append(row)

    def publish(self, notes: Mapping[str, Any] | None = None, *, read: int | None = None, made: Mapping[str, Any] | None = None) -> Corpus:
        """Make the corpus visible, whole. `read` is how many things were considered, if known apart: it must equal kept + dropped."""
        self._must_be_open()
        kept, dropped = len(self._rows), len(self._drops)
        if read is not None and read != kept + dropped:
            raise StickgenError(f"{self.folder}: counts do not add up: {read} read, but {kept} kept + {dropped} dropped = {kept + dropped}")
        arrays, texts = self._arrays.flush(), self._texts.flush()
        for row, (shard, number), (text_shard, text_number) in zip(self._rows, arrays, texts, strict=True):
            row.update(shard=shard, row=number, text_shard=text_shard, text_row=text_number)
        draft = replace(self._draft, notes=dict(notes or {}), made=dict(made or {}))
        counts = {"read": kept + dropped, "motion_width": self._motion_width or 0}
        publish_folder(self.folder, self.pool, index_table(self._rows), ledger_table(self._drops), draft, counts)
        self.close()
        return Corpus.open(self.folder)

    def close(self) -> None:
        """Release the folder; what was not published is forgotten."""
        if self._open:
            self._open = False
            self._arrays.abandon()
            self._texts.abandon()
            self._held.close()

    def _must_be_open(self) -> None:
        if not self._open:
            raise StickgenError(f"{self.folder}: this writer is closed; open a new one")
