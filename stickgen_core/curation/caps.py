"""Shares of the output, solved exactly: the largest selection in which no class exceeds its share, and which clips make it up."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

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


def ranks(ids: Sequence[str], seed: int) -> np.ndarray:
    """[n] uint64: a clip's place in line is a hash of (seed, id), whatever else is there and in whatever order."""
    return np.array([key64(seed, "rank", name) for name in ids], dtype=np.uint64)


def keep_within(classes: np.ndarray, rank: np.ndarray, counts: Mapping[str, int]) -> np.ndarray:
    """[n] bool: the `counts` lowest-ranked rows of each class; a class without a count is kept whole."""
    keep = np.ones(len(classes), bool)
    for name, count in counts.items():
        members = np.flatnonzero(classes == name)
        if len(members) > count:
            keep[members[np.argsort(rank[members], kind="stable")[count:]]] = False
    return keep
