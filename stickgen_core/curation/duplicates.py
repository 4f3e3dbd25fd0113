"""The same motion twice: equal to the bit by digest, or nearly equal by a short description of root-centred poses."""

from collections.abc import Sequence

import numpy as np

from stickgen_core.curation.config import DuplicatesConfig
from stickgen_core.curation.parts import EXTREMES
from stickgen_core.skeleton.body import JOINT

PROJECTED_TO = 6  # dimensions of the search tree: more prune better and cost more to walk
ROUNDING = 1e-5  # of the projection, which is in single precision; distances that decide are in double
SAMPLED = 2000  # descriptions that decide the directions


def describe(joints: np.ndarray, present: np.ndarray, time_points: int) -> tuple[np.ndarray, float]:
    """(float32 [time_points · 9 · 3], metres it moves) of actor 0: evenly spaced poses, seen from the pelvis.

    [T, A, 22, 3], [T, A]. A clip starts facing +Z, so equal motions are described equally wherever they were performed.
    """
    frames = np.flatnonzero(present[:, 0])
    if not len(frames):
        frames = np.arange(len(joints))
    at = frames[np.linspace(0, len(frames) - 1, time_points).round().astype(int)]
    poses = joints[at, 0].astype(np.float64)
    centred = poses[:, [j for j in EXTREMES if j != JOINT["pelvis"]]] - poses[:, [JOINT["pelvis"]]]
    excursion = float(np.sqrt(((centred - centred.mean(0)) ** 2).sum(-1).mean()))
    return centred.astype(np.float32).ravel(), round(excursion, 4)


def equal_motions(digests: Sequence[str]) -> list[list[int]]:
    """Groups of two or more rows with one motion digest, in order of first appearance."""
    rows: dict[str, list[int]] = {}
    for row, digest in enumerate(digests):
        rows.setdefault(digest, []).append(row)
    return [group for group in rows.values() if len(group) > 1]


def near_duplicates(
    description: np.ndarray, excursion_m: np.ndarray, frames: np.ndarray, actors: np.ndarray, config: DuplicatesConfig,
    different: np.ndarray | None = None,
) -> list[tuple[int, int, float]]:  # fmt: skip
    """Pairs (i < j, distance in metres) that show nearly the same motion; with `different`, only pairs whose labels differ.

    description [n, D], the others [n]. Distance is the root mean square over joints and times. Candidates come from a tree over an
    orthonormal projection, in which no distance grows, so none is missed; each is then measured whole.
    """
    from scipy.spatial import cKDTree

    n, width = description.shape
    # One who hardly moves can only be a near duplicate within a share of very little: no use in searching among idle people.
    reach = np.minimum(config.distance_m, config.distance_share * excursion_m)
    joints_and_times = width / 3
    order = np.argsort(-reach, kind="stable")
    order = order[reach[order] > 0]
    if len(order) < 2:
        return []
    points = description[order]
    projected = points @ _widest(points)
    lengths = np.log(frames[order])
    tree = cKDTree(projected)
    found = []
    for start in range(0, len(order), 2048):
        rows = slice(start, start + 2048)
        radius = reach[order[rows]] * np.sqrt(joints_and_times) * (1 + ROUNDING) + ROUNDING
        for i, near in enumerate(tree.query_ball_point(projected[rows], radius), start):
            others = np.array([j for j in near if j > i], dtype=np.int64)
            if not len(others):
                continue
            keep = (np.abs(lengths[others] - lengths[i]) <= config.length_share) & (actors[order[others]] == actors[order[i]])
            if different is not None:
                keep &= different[order[others]] != different[order[i]]
            others = others[keep]
            apart = np.sqrt(((points[others].astype(np.float64) - points[i]) ** 2).sum(1) / joints_and_times)
            limit = np.minimum(reach[order[i]], reach[order[others]])
            for j, distance in zip(others[apart <= limit], apart[apart <= limit], strict=True):
                a, b = sorted((int(order[i]), int(order[j])))
                found.append((a, b, round(float(distance), 5)))
    return sorted(found)


def _widest(points: np.ndarray) -> np.ndarray:
    """[D, PROJECTED_TO or fewer] orthonormal directions in which descriptions differ most: the tree prunes best there, and misses nothing."""
    sample = points[:: max(1, len(points) // SAMPLED)]
    return np.linalg.svd(sample - sample.mean(0), full_matrices=False)[2][:PROJECTED_TO].T
