"""Who is train, val and test: a pure function of index columns, decided for whole groups of clips that show one performance.

Precedence in a group: an official test id of a forcing source → test; any other official test, then val; a source that is only ever
trained on → train; else a hash of the origin. Every data set follows, so one that repeats another's recordings cannot leak them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.curation.config import SplitsConfig
from stickgen_core.records.seeds import unit

SPLITS = ("train", "val", "test")
FORCED, TRAIN_ONLY, HASHED = "forced by an official test list", "source is only trained on", "hash of the origin"


@dataclass(frozen=True)
class Assignment:
    """The splits of an index, row by row, and what is worth knowing of how they came about.

    split        [n] object array of train | val | test
    group        [n] the group's name: its first origin
    reasons      how many groups were decided by each rule
    overruled    rows whose source's own list said otherwise
    warnings     one line each
    """

    split: np.ndarray
    group: np.ndarray
    reasons: Mapping[str, int]
    overruled: int
    warnings: tuple[str, ...] = ()


def assign_splits(
    index: pa.Table, config: SplitsConfig, *, forced: Mapping[str, str] | None = None, train_only: Iterable[str] = (),
    same: np.ndarray | Sequence[tuple[int, int]] = (),
) -> Assignment:  # fmt: skip
    """Splits for the columns source, origin, official_split, extra_json.

    forced       origin -> the forcing source whose test list names it, known even where that source's clips are not there
    train_only   sources that never go to val or test by hash
    same         [m, 2] rows that show one motion under different origins
    """
    origin = index["origin"].combine_chunks().dictionary_encode()
    names = groups_of(origin, index["extra_json"], np.asarray(same, np.int64).reshape(-1, 2))
    members = pa.array(names, pa.string()).dictionary_encode()
    groups, of_origin = members.dictionary.to_pylist(), members.indices.to_numpy()
    row_group = of_origin[origin.indices.to_numpy()]
    forced = dict(forced or {})

    def having(rows: pa.ChunkedArray) -> np.ndarray:
        """[G] bool: groups with at least one of these rows."""
        found = np.zeros(len(groups), bool)
        found[row_group[np.flatnonzero(pc.fill_null(rows, False).to_numpy())]] = True
        return found

    official = index["official_split"]
    listed = pc.is_in(origin.dictionary, pa.array(list(forced), pa.string())).to_numpy(zero_copy_only=False)
    forcing = pc.and_(pc.is_in(index["source"], pa.array(config.forcing_sources, pa.string())), pc.equal(official, "test"))
    by_list = having(forcing)
    by_list[of_origin[listed]] = True
    only_train = having(pc.is_in(index["source"], pa.array(sorted(train_only), pa.string())))
    votes = ((FORCED, "test", by_list), *((f"official {name}", name, having(pc.equal(official, name))) for name in ("test", "val")),
             (TRAIN_ONLY, "train", only_train))  # fmt: skip
    decided, reasons, open_still = np.full(len(groups), "", object), {}, np.ones(len(groups), bool)
    for reason, split, cast in votes:
        going = open_still & cast
        decided[going] = split
        open_still &= ~cast
        reasons[reason] = int(going.sum())
    left = np.flatnonzero(open_still)
    decided[left] = [hashed_split(groups[n], config) for n in left]
    reasons[HASHED] = len(left)
    split = decided[row_group]
    said = pc.and_(pc.is_in(official, pa.array(SPLITS)), pc.not_equal(official, pa.array(split, pa.string())))
    known = {*pc.unique(index["source"]).to_pylist(), *forced.values()}
    warnings = tuple(f"{s}: test ids unknown; put its lists into its folder" for s in config.forcing_sources if s not in known)
    found = {reason: count for reason, count in sorted(reasons.items()) if count}
    return Assignment(split, np.array(groups, dtype=object)[row_group], found, pc.sum(said).as_py() or 0, warnings)


def hashed_split(origin: str, config: SplitsConfig) -> str:
    """train, val or test by a hash of (seed, origin) alone."""
    draw = unit(config.seed, "split", origin)
    if draw < config.train:
        return "train"
    return "val" if draw < config.train + config.val else "test"


def groups_of(origin: pa.DictionaryArray, extra_json: pa.ChunkedArray, same: np.ndarray) -> list[str]:
    """The group of each distinct origin, named by the smallest origin in it: `origins` listed in extra (recombined motion), equal motions."""
    names, of_row = origin.dictionary.to_pylist(), origin.indices.to_numpy()
    told = np.flatnonzero(pc.fill_null(pc.match_substring(extra_json, '"origins"'), False).to_numpy())
    extras = extra_json.take(pa.array(told)).to_pylist()
    made_of = [
        (names[of_row[row]], str(other)) for row, extra in zip(told, extras, strict=True) for other in json.loads(extra).get("origins", ())
    ]
    joined = np.unique(of_row[same], axis=0)
    touched = sorted({name for pair in made_of for name in pair} | {names[code] for code in np.unique(joined)})
    place = {name: n for n, name in enumerate(touched)}
    pairs = np.array([[place[a], place[b]] for a, b in [*made_of, *((names[a], names[b]) for a, b in joined)]], np.int64).reshape(-1, 2)
    smallest = connected(len(touched), pairs)
    return [touched[smallest[place[name]]] if name in place else name for name in names]


def connected(count: int, pairs: np.ndarray) -> np.ndarray:
    """[count] the smallest number that each number is joined with, directly or through others: [m, 2] pairs."""
    smallest = np.arange(count)
    while True:
        least = smallest[pairs].min(1) if len(pairs) else np.zeros(0, np.int64)
        found = smallest.copy()
        for side in (0, 1):
            np.minimum.at(found, pairs[:, side], least)
            np.minimum.at(found, smallest[pairs[:, side]], least)
        found = found[found]
        if (found == smallest).all():
            return found
        smallest = found
