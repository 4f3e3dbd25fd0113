"""The clips that are judged: motion, caption, action, and where each came from; one caption a clip, drawn by name."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.records.seeds import generator, key64
from stickgen_core.text.embed import conditioning_texts

Progress = Callable[[str, int, int], None] | None
T = TypeVar("T")


@dataclass(frozen=True)
class Items:
    """A set to judge, one entry a clip.

    motions    [T, A, W] f32 (or joints as [T, A, 66])      present  [T, A] bool
    captions   one text a clip                              keys     its text-vector key, "" where the corpus has none
    actions    [N] the clip's dominant action, -1 unknown
    """

    ids: tuple[str, ...]
    origins: tuple[str, ...]
    motions: tuple[np.ndarray, ...]
    present: tuple[np.ndarray, ...]
    captions: tuple[str, ...]
    keys: tuple[str, ...]
    actions: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def frames(self) -> tuple[int, ...]:
        return tuple(len(m) for m in self.motions)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Items":
        """Some of them, in that order."""
        pick = [int(r) for r in rows]

        def picked(column: tuple[T, ...]) -> tuple[T, ...]:
            return tuple(column[r] for r in pick)

        return Items(
            picked(self.ids), picked(self.origins), picked(self.motions), picked(self.present), picked(self.captions), picked(self.keys),
            self.actions[pick],
        )  # fmt: skip

    def with_motions(self, motions: Sequence[np.ndarray], present: Sequence[np.ndarray] | None = None) -> "Items":
        """The same captions with other motions: [T, A, W] each, or [T, W] for one person."""
        if len(motions) != len(self):
            raise StickgenError(f"evaluation: {len(self)} captions, {len(motions)} motions; one for each is needed")
        shaped = tuple(np.asarray(m, np.float32).reshape(len(m), -1, self.motions[0].shape[-1]) for m in motions)
        seen = tuple(present) if present is not None else tuple(np.ones(m.shape[:2], bool) for m in shaped)
        return replace(self, motions=shaped, present=seen)

    def cut(self, frames: int) -> "Items":
        """The first frames of each clip: what a model can be asked for."""
        return replace(self, motions=tuple(m[:frames] for m in self.motions), present=tuple(p[:frames] for p in self.present))

    def with_captions(self, order: np.ndarray) -> "Items":
        """Captions of other clips, by position; the action that is asked for goes with its caption."""
        captions, keys = (tuple(column[i] for i in order) for column in (self.captions, self.keys))
        return replace(self, captions=captions, keys=keys, actions=self.actions[order])


def choose(corpus: Corpus, split: str, count: int | None, seed: int) -> np.ndarray:
    """Positions of clips of a split that have a caption; `count` of them, drawn by clip id so that other clips do not change the draw."""
    splits = corpus.column("split")
    told = corpus.column("text_count") > 0
    rows = np.flatnonzero((splits == split) & told)
    if not len(rows):
        present = ", ".join(f"{name} {n}" for name, n in zip(*np.unique(splits.astype(str), return_counts=True), strict=True))
        raise MissingInput(f"{corpus.folder}: no captioned clip in split {split!r} (it has {present or 'no clips'})")
    if count is None or count >= len(rows):
        return rows
    ids = corpus.ids
    return np.sort(np.array(sorted(rows, key=lambda r: key64(seed, "evaluated", ids[r]))[:count]))


def read_items(
    corpus: Corpus, rows: Sequence[int] | np.ndarray, seed: int, field: str = "motion", progress: Progress = None,
    only: Mapping[int, Collection[str]] | None = None,
) -> Items:  # fmt: skip
    """Read clips whole into memory with one caption each, drawn by (seed, clip id); clips without a caption are left out.

    only   row -> the captions that may be drawn for it
    """
    ids, origins = corpus.ids, corpus.index["origin"]
    actions = corpus.column("action")
    keys = corpus.index["text_keys"] if "text_keys" in corpus.index.column_names else None
    columns: list[tuple] = []
    for done, row in enumerate(int(r) for r in rows):
        said = conditioning_texts(corpus.texts(row))
        allowed = [n for n, text in enumerate(said) if only is None or text in only[row]]
        if not allowed:
            continue
        chosen = allowed[int(generator(seed, "caption", ids[row]).integers(len(allowed)))]
        arrays = corpus.arrays(row, field, "present")
        motion = arrays[field].reshape(*arrays[field].shape[:2], -1)
        key = keys[row][chosen].as_py() if keys is not None else ""
        columns.append((ids[row], origins[row].as_py(), motion, arrays["present"], said[chosen], key, actions[row]))
        if progress and done % 256 == 0:
            progress("reading clips", done, len(rows))
    if not columns:
        raise MissingInput(f"{corpus.folder}: none of the {len(rows)} chosen clips has a caption; nothing can be judged")
    ids_, origins_, motions, present, captions, keys_, acts = zip(*columns, strict=True)
    return Items(ids_, origins_, motions, present, captions, keys_, np.array(acts, np.int64))
