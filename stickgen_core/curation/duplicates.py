"""The same motion twice: equal to the bit by digest, or nearly equal by a short description of root-centred poses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from stickgen_core.curation.config import DuplicatesConfig
from stickgen_core.curation.parts import EXTREMES
from stickgen_core.skeleton.body import JOINT

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

DESCRIBED = [joint for joint in EXTREMES if joint != JOINT["pelvis"]]
PROJECTED_TO = 6  # dimensions of the search tree: more prune better and cost more to walk
ROUNDING = 1e-5  # of the projection, which is in single precision; distances that decide are in double
SAMPLED = 2000  # descriptions that decide the directions
FEWEST_AT_ONCE, MOST_AT_ONCE = 64, 4096  # rows that are searched for together ...
CANDIDATES_AT_ONCE = 100_000  # ... so that about as many lie near them
MEASURED_AT_ONCE = 8192  # candidates whose whole descriptions are held in memory


@dataclass(frozen=True)
class Pairs:
    """Rows first [m] < second [m] that show nearly the same motion, and how far apart they are: distance_m [m]. Sorted."""

    first: np.ndarray
    second: np.ndarray
    distance_m: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def of(cls, pieces: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> "Pairs":
        """From (row, row, distance) pieces in any order, each pair once."""
        a, b, distance = (np.concatenate(c) for c in zip((np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)), *pieces, strict=True))
        first, second = np.minimum(a, b), np.maximum(a, b)
        order = np.lexsort((second, first))
        return cls(first[order], second[order], distance[order])


def describe(joints: np.ndarray, present: np.ndarray, time_points: int) -> tuple[np.ndarray, float]:
    """(float32 [time_points · 9 · 3], metres it moves) of actor 0: evenly spaced poses, seen from the pelvis.

    [T, A, 22, 3], [T, A]. A clip starts facing +Z, so equal motions are described equally wherever they were performed.
    """
    frames = np.flatnonzero(present[:, 0])
    if not len(frames):
        frames = np.arange(len(joints))
    poses = joints[frames[_spread(len(frames), time_points)], 0].astype(np.float64)
    centred = poses[:, DESCRIBED] - poses[:, [JOINT["pelvis"]]]
    excursion = float(np.sqrt(((centred - centred.mean(0)) ** 2).sum(-1).mean()))
    return centred.astype(np.float32).ravel(), round(excursion, 4)


@lru_cache(maxsize=1024)
def _spread(count: int, time_points: int) -> np.ndarray:
    """[time_points] evenly spaced positions among `count`."""
    return np.linspace(0, count - 1, time_points).round().astype(int)


def equal_motions(digests: pa.ChunkedArray) -> list[np.ndarray]:
    """Groups of two or more rows with one motion digest, in order of first appearance."""
    codes = digests.combine_chunks().dictionary_encode().indices.to_numpy()
    rows = np.flatnonzero(np.bincount(codes)[codes] > 1) if len(codes) else np.zeros(0, np.int64)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(codes[rows])) + 1) if len(rows) else []


def first_of_each(digests: pa.ChunkedArray) -> np.ndarray:
    """[n] bool: rows whose motion digest has not occurred before."""
    codes = digests.combine_chunks().dictionary_encode().indices.to_numpy()
    found = np.zeros(len(codes), bool)
    found[np.unique(codes, return_index=True)[1]] = True
    return found


def near_duplicates(
    description: Sequence[np.ndarray], excursion_m: np.ndarray, frames: np.ndarray, actors: np.ndarray, config: DuplicatesConfig,
    different: np.ndarray | None = None, fresh: np.ndarray | None = None, among: np.ndarray | None = None,
) -> Pairs:  # fmt: skip
    """Pairs that show nearly the same motion; with `different`, only pairs whose labels differ; with `fresh`, only of a fresh row.

    description [n, D] in consecutive pieces, the others [n]; fresh [n] bool; among [n] bool: other rows are left out. Distance is the root mean square over joints and times.
    Candidates come from a tree over an orthonormal projection, in which no distance grows, so none is missed; each is then measured whole.
    """
    from scipy.spatial import cKDTree

    # One who hardly moves can only be a near duplicate within a share of very little: no use in searching among idle people.
    reach = np.minimum(config.distance_m, config.distance_share * excursion_m)
    rows = np.flatnonzero(reach > 0 if among is None else (reach > 0) & among)
    wanted = np.ones(len(reach), bool) if fresh is None else fresh
    if len(rows) < 2 or not wanted[rows].any():
        return Pairs.of([])
    joints_and_times = description[0].shape[1] / 3
    projected = _projected(description, rows)
    tree = cKDTree(projected)
    radius = reach[rows] * np.sqrt(joints_and_times) * (1 + ROUNDING) + ROUNDING
    found = []
    for near in _candidates(tree, projected, radius, wanted[rows]):
        a, b = rows[near[0]], rows[near[1]]
        # Of two fresh rows the one with the smaller reach looks for the other, because no pair is farther apart than that.
        keep = a != b
        keep &= ~wanted[b] | (reach[b] > reach[a]) | ((reach[b] == reach[a]) & (b > a))
        a, b = a[keep], b[keep]
        keep = (actors[a] == actors[b]) & (np.abs(np.log(frames[a] / frames[b])) <= config.length_share)
        if different is not None:
            keep &= different[a] != different[b]
        a, b = a[keep], b[keep]
        for start in range(0, len(a), MEASURED_AT_ONCE):
            i, j = a[start : start + MEASURED_AT_ONCE], b[start : start + MEASURED_AT_ONCE]
            apart = np.sqrt(((_rows_of(description, i) - _rows_of(description, j)) ** 2).sum(1) / joints_and_times)
            close = apart <= np.minimum(reach[i], reach[j])
            found.append((i[close], j[close], np.round(apart[close], 5)))
    return Pairs.of(found)


def _candidates(tree: "cKDTree", projected: np.ndarray, radius: np.ndarray, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows i and j: wanted rows and those of the tree within the radius of each, as many rows at a time as memory allows."""
    rows = tree.indices[wanted[tree.indices]]  # those that lie together, together
    start, count = 0, FEWEST_AT_ONCE
    while start < len(rows):
        block = rows[start : start + count]
        near = tree.query_ball_point(projected[block], radius[block])
        lengths = np.fromiter(map(len, near), np.int64, len(near))
        yield np.repeat(block, lengths), np.fromiter(chain.from_iterable(near), np.int64, lengths.sum())
        start += count
        count = int(np.clip(count * CANDIDATES_AT_ONCE // max(lengths.sum(), 1), FEWEST_AT_ONCE, MOST_AT_ONCE))


def _rows_of(pieces: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """[m, D] float64 of consecutive pieces."""
    bounds = np.cumsum([0, *(len(piece) for piece in pieces)])
    number = np.searchsorted(bounds, rows, side="right") - 1
    found = np.empty((len(rows), pieces[0].shape[1]))
    for n in np.unique(number):
        here = number == n
        found[here] = pieces[n][rows[here] - bounds[n]]
    return found


def _projected(pieces: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """[m, PROJECTED_TO or fewer]: rows in the orthonormal directions in which descriptions differ most: the tree prunes best there, and
    misses nothing."""
    sample = _rows_of(pieces, rows[:: max(1, len(rows) // SAMPLED)])
    apart = sample - sample.mean(0)
    directions = np.linalg.eigh(apart.T @ apart)[1][:, -PROJECTED_TO:].astype(np.float32)
    return np.concatenate([piece @ directions for piece in pieces])[rows]
