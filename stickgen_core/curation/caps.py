"""Shares of the output, solved exactly: the largest selection in which no class exceeds its share, and which clips make it up."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa

from stickgen_core.errors import StickgenError
from stickgen_core.records.seeds import key64


@dataclass(frozen=True)
class Caps:
    """How many of each class stay, and the shares that were used: those asked for, or the least feasible ones."""

    counts: Mapping[str, int]
    shares: Mapping[str, float]
    relaxed: bool

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def solve_caps(available: Mapping[str, int], share: float, *, relax: bool, what: str, own: Mapping[str, float] | None = None) -> Caps:
    """The largest total N with min(available, floor(share · N)) of each class adding up to N.

    `own` are classes with a share of their own. If the shares of the classes that are there add up to less than 1 only the empty
    selection fits: refused, or the common share is raised to the least feasible value (those of their own only if there is no other class).
    """
    own = own or {}
    present = {name: n for name, n in available.items() if n > 0}
    limits = {name: Fraction(str(own.get(name, share))) for name in present}
    if not present:
        return Caps({name: 0 for name in available}, {}, False)
    relaxed = sum(limits.values()) < 1
    if relaxed:
        if not relax:
            asked = ", ".join(f"{name} {float(limit):g}" for name, limit in sorted(limits.items()))
            raise StickgenError(
                f"{what}: shares of {len(limits)} classes add up to {float(sum(limits.values())):g} of the output ({asked}), so only the empty "
                "selection fits; raise the cap to at least 1/k for k classes, add sources, or set infeasible: relax"
            )
        limits = least_feasible(limits, set(own))
    total = _largest_total(present, limits)
    counts = {name: min(n, int(limits[name] * total)) for name, n in present.items()}
    for _ in range(sum(counts.values()) - total):  # floors may leave room for a few too many: the largest class gives way
        counts[max(counts, key=lambda name: (counts[name], name))] -= 1
    return Caps({name: counts.get(name, 0) for name in available}, {name: float(s) for name, s in limits.items()}, relaxed)


def least_feasible(limits: Mapping[str, Fraction], own: Set[str]) -> dict[str, Fraction]:
    """Raise the common share until all shares add up to 1; shares of their own stay, unless there are no others."""
    loose = [name for name in limits if name not in own] or list(limits)
    firm = sum((limit for name, limit in limits.items() if name not in loose), Fraction(0))
    level = (1 - firm) / len(loose)
    return {name: level if name in loose else limit for name, limit in limits.items()}


def _largest_total(available: Mapping[str, int], limits: Mapping[str, Fraction]) -> int:
    """The sum over min(n, share · N) is concave in N, so real N* is found by bisection; floors then cost at most one per class."""

    def fits(total: int, whole: bool) -> bool:
        room = sum(min(Fraction(n), limits[name] * total // 1 if whole else limits[name] * total) for name, n in available.items())
        return room >= total

    low, high = 0, sum(available.values())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle, False) else (low, middle - 1)
    while not fits(low, True):
        low -= 1
    return low


class Ranks:
    """A clip's place in line is a hash of (seed, id), whatever else is there and in whatever order; hashed when it is asked for."""

    def __init__(self, ids: pa.ChunkedArray, seed: int):
        self._ids, self._seed = ids, seed
        self._rank = np.zeros(len(ids), np.uint64)
        self._known = np.zeros(len(ids), bool)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """[m] uint64 of some rows."""
        asked = rows[~self._known[rows]]
        self._rank[asked] = [key64(self._seed, "rank", name) for name in self._ids.take(pa.array(asked)).to_pylist()]
        self._known[asked] = True
        return self._rank[rows]


@dataclass(frozen=True)
class Classes:
    """What a cap is about: the class of each row as a number [n], and the classes' names."""

    number: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, names: pa.ChunkedArray) -> "Classes":
        """From a column of names."""
        coded = names.combine_chunks().dictionary_encode()
        return cls(coded.indices.to_numpy(), tuple(coded.dictionary.to_pylist()))

    def rows_of(self, name: str) -> np.ndarray:
        """[n] bool: the rows of one class."""
        return self.number == (self.names.index(name) if name in self.names else -1)

    def counts(self, rows: np.ndarray) -> dict[str, int]:
        """How many of the chosen rows [n] bool are of each class that has some, by name."""
        found = np.bincount(self.number[rows], minlength=len(self.names)).tolist()
        return {name: n for name, n in sorted(zip(self.names, found, strict=True)) if n}

    def each(self, values: Mapping[str, float]) -> np.ndarray:
        """[n] the value of each row's class, 0 where it has none."""
        return np.array([values.get(name, 0) for name in self.names], float)[self.number] if len(self.names) else np.zeros(0)


def keep_within(classes: Classes, counted: np.ndarray, rank: Ranks, counts: Mapping[str, int]) -> np.ndarray:
    """[n] bool: of the counted rows [n] bool the `counts` lowest-ranked of each class; all else is kept."""
    keep = np.ones(len(counted), bool)
    for number, name in enumerate(classes.names):
        count = counts.get(name, 0)
        members = np.flatnonzero(counted & (classes.number == number))
        if len(members) > count:
            keep[members[np.argsort(rank[members], kind="stable")[count:]]] = False
    return keep
