"""Who is train, val and test: a pure function of index columns, decided for whole groups of clips that show one performance.

Precedence in a group: an official test id of a forcing source → test; any other official test, then val; a source that is only ever
trained on → train; else a hash of the origin. Every data set follows, so one that repeats another's recordings cannot leak them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stickgen_core.curation.config import SplitsConfig
from stickgen_core.records.seeds import unit

SPLITS = ("train", "val", "test")


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
    same: Iterable[tuple[int, int]] = (),
) -> Assignment:  # fmt: skip
    """Splits for the columns source, origin, official_split, extra_json.

    forced       origin -> the forcing source whose test list names it, known even where that source's clips are not there
    train_only   sources that never go to val or test by hash
    same         pairs of rows that show one motion under different origins
    """
    source, origin = index["source"].to_pylist(), index["origin"].to_pylist()
    official = index["official_split"].to_pylist()
    forced = dict(forced or {})
    group = groups_of(origin, index["extra_json"].to_pylist(), same)
    votes: dict[str, set[str]] = {}
    origins: dict[str, set[str]] = {}
    for row, name in enumerate(group):
        origins.setdefault(name, set()).add(origin[row])
        cast = votes.setdefault(name, set())
        if source[row] in config.forcing_sources and official[row] == "test":
            cast.add("forced")
        if official[row]:
            cast.add(official[row])
        if source[row] in train_only:
            cast.add("train_only")
    for name, members in origins.items():
        if any(o in forced for o in members):
            votes[name].add("forced")
    decided = {name: _decide(name, cast, config) for name, cast in votes.items()}
    split = np.array([decided[name][0] for name in group], dtype=object)
    reasons: dict[str, int] = {}
    for _, reason in decided.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    overruled = sum(1 for row, said in enumerate(official) if said in SPLITS and said != split[row])
    known = {*source, *forced.values()}
    warnings = tuple(f"{s}: test ids unknown; put its lists into its folder" for s in config.forcing_sources if s not in known)
    return Assignment(split, np.array(group, dtype=object), dict(sorted(reasons.items())), overruled, warnings)


def _decide(name: str, votes: set[str], config: SplitsConfig) -> tuple[str, str]:
    """(split, rule) of one group."""
    if "forced" in votes:
        return "test", "forced by an official test list"
    for split in ("test", "val"):
        if split in votes:
            return split, f"official {split}"
    if "train_only" in votes:
        return "train", "source is only trained on"
    return hashed_split(name, config), "hash of the origin"


def hashed_split(origin: str, config: SplitsConfig) -> str:
    """train, val or test by a hash of (seed, origin) alone."""
    draw = unit(config.seed, "split", origin)
    if draw < config.train:
        return "train"
    return "val" if draw < config.train + config.val else "test"


def groups_of(origin: Sequence[str], extra_json: Sequence[str], same: Iterable[tuple[int, int]] = ()) -> list[str]:
    """Each row's group, named by the smallest origin in it: equal origins, `origins` listed in extra (recombined motion), equal motions."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def join(a: str, b: str) -> None:
        low, high = sorted((root(a), root(b)))
        parent[high] = low

    for name, extra in zip(origin, extra_json, strict=True):
        root(name)
        if extra and '"origins"' in extra:
            for other in json.loads(extra).get("origins", ()):
                join(name, str(other))
    for a, b in same:
        join(origin[a], origin[b])
    return [root(name) for name in origin]
