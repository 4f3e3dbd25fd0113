"""People's frames laid one after another, so that scores are computed for many clips at once without padding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stickgen_core.sources.recording import JointSource


@dataclass(frozen=True)
class Tracks:
    """Uninterrupted appearances of people: track k is frames starts[k] … starts[k] + lengths[k].

    joints     [N, 22, 3] float64, metres, Y up
    starts     [K]    lengths  [K]    clip  [K]: which of the given clips a track belongs to
    measured   [K, 22] bool: joints whose position is known
    held       [N] bool: frames whose label says that a posture is held; None where nothing is labelled
    """

    joints: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    clip: np.ndarray
    measured: np.ndarray
    held: np.ndarray | None = None

    @classmethod
    def of(
        cls, clips: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], min_frames: int = 1, held: Sequence[np.ndarray] | None = None
    ) -> "Tracks":
        """Tracks of (joints [T, A, 22, 3], present [T, A], joint_source [22]) triples; `held` [T, A] bool of each."""
        pieces, lengths, owners, measured, postures = [], [], [], [], []
        for number, (joints, present, source) in enumerate(clips):
            known = source != JointSource.ABSENT
            for actor in range(joints.shape[1]):
                for start, stop in runs(present[:, actor]):
                    if stop - start >= min_frames:
                        pieces.append(joints[start:stop, actor])
                        lengths.append(stop - start)
                        owners.append(number)
                        measured.append(known)
                        if held is not None:
                            postures.append(held[number][start:stop, actor])
        joint_count = pieces[0].shape[1] if pieces else 0
        sizes = np.array(lengths, np.int64)
        return cls(
            np.concatenate(pieces).astype(np.float64) if pieces else np.zeros((0, joint_count, 3)), np.cumsum(sizes) - sizes, sizes,
            np.array(owners, np.int64), np.array(measured, bool).reshape(len(sizes), joint_count),
            np.concatenate(postures) if postures else None,
        )  # fmt: skip

    @property
    def count(self) -> int:
        return len(self.starts)

    @cached_property
    def planes(self) -> np.ndarray:
        """[3, N, 22]: the joints with coordinates first, which sums over coordinates read four times faster."""
        return np.ascontiguousarray(self.joints.transpose(2, 0, 1))

    @cached_property
    def owner(self) -> np.ndarray:
        """[N] track of each frame."""
        return np.repeat(np.arange(self.count), self.lengths)

    def pairs(self, lag: int) -> np.ndarray:
        """[N − lag] bool: frames t and t + lag belong to one track."""
        owner = self.owner
        return owner[lag:] == owner[:-lag] if lag < len(owner) else np.zeros(0, bool)

    def total(self, values: np.ndarray) -> np.ndarray:
        """[n ≤ N, ...] -> [K, ...]: sums over each track; values of frames past the end of `values` count as zero."""
        if len(values) < len(self.joints):
            padded = np.zeros((len(self.joints), *values.shape[1:]))
            padded[: len(values)] = values
            values = padded
        return np.add.reduceat(values, self.starts, axis=0)

    def most(self, values: np.ndarray) -> np.ndarray:
        """[n ≤ N] -> [K]: maxima over each track, at least zero."""
        padded = np.zeros(len(self.joints))
        padded[: len(values)] = values
        return np.maximum.reduceat(padded, self.starts)


def runs(present: np.ndarray) -> Sequence[tuple[int, int]]:
    """(start, stop) of each stretch of true values: [T] bool."""
    if present.all():
        return [(0, len(present))] if len(present) else []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], present.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def over_clips(values: np.ndarray, clip: np.ndarray, count: int, worst: np.ufunc, missing: float) -> np.ndarray:
    """[K] -> [count]: each clip's largest (np.maximum) or smallest (np.minimum) value over its tracks."""
    start = -np.inf if worst is np.maximum else np.inf
    found = np.full(count, start)
    worst.at(found, clip, values)
    return np.where(np.isfinite(found), found, missing)
