"""What must never cross a split: a performance, a motion, a near copy of one. Equal captions may; they are counted."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus import Corpus
from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.duplicates import describe, near_duplicates


@dataclass(frozen=True)
class Leak:
    """Something found on both sides of a split; `blocking` leaks make an asset check fail."""

    kind: str
    count: int
    example: str
    blocking: bool = True


def find_leaks(corpus: Corpus, config: CurationConfig) -> list[Leak]:
    """Every kind of leak in a corpus with a `split` column; an empty list is a clean bill (but for captions, which do not block)."""
    index = corpus.index
    found = [
        crossing(index, "origin", "origin"), crossing(index, "group", "group"), crossing(index, "digest", "clip"),
        crossing(index, "motion_digest", "motion"), near_copies(corpus, config), shared_captions(corpus),
    ]  # fmt: skip
    return [leak for leak in found if leak is not None]


def crossing(index: pa.Table, column: str, kind: str) -> Leak | None:
    """Values of a column that occur in more than one split."""
    if column not in index.column_names:
        return None
    pairs = index.select([column, "split"]).group_by([column]).aggregate([("split", "count_distinct"), ("split", "min"), ("split", "max")])
    several = pairs.filter(pc.greater(pairs["split_count_distinct"], 1)).sort_by(column)
    if not several.num_rows:
        return None
    first = several.slice(0, 1).to_pylist()[0]
    return Leak(kind, several.num_rows, f"{first[column]} is in {first['split_min']} and {first['split_max']}")


def near_copies(corpus: Corpus, config: CurationConfig) -> Leak | None:
    """Nearly equal motions in different splits."""
    if not len(corpus):
        return None
    described = [describe(a["joints"], a["present"], config.duplicates.time_points)
                 for a in (corpus.arrays(i, "joints", "present") for i in range(len(corpus)))]  # fmt: skip
    splits = corpus.index["split"].combine_chunks().dictionary_encode().indices.to_numpy()
    pairs = near_duplicates(
        [np.stack([d for d, _ in described])], np.array([e for _, e in described]), corpus.column("frames"), corpus.column("actors"),
        config.duplicates, splits,
    )  # fmt: skip
    if not len(pairs):
        return None
    a, b = (corpus.index["id"][int(rows[0])].as_py() for rows in (pairs.first, pairs.second))
    return Leak("near duplicate", len(pairs), f"{a} and {b} are {pairs.distance_m[0] * 100:.2f} cm apart")


def shared_captions(corpus: Corpus) -> Leak | None:
    """Texts said in more than one split: counted, because "a person walks" is nobody's secret."""
    table = corpus.text_table()
    split = corpus.index["split"].combine_chunks().take(table["clip"].combine_chunks())
    leak = crossing(pa.table({"text": table["text"], "split": split}), "text", "caption")
    return None if leak is None else Leak(leak.kind, leak.count, leak.example, blocking=False)
