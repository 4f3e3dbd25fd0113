"""Distances between two sets of features: the Fréchet distance of Gaussians, and KID and the energy distance, which have no bias in N.

FID of few samples is mostly bias (of the same 256-d Gaussian: 0.14 of its variance at N = 250, 0.009 at 4,000), so below a
stated N it is not computed and KID takes its place.
"""

from collections.abc import Callable

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.finite import finite
from stickgen_core.evaluation.intervals import Measure, grouped_jackknife, not_computed
from stickgen_core.records.seeds import generator

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric square root; eigenvalues a rounding error below zero count as zero."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def frechet_of_gaussians(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """|mean_a - mean_b|² + tr(A) + tr(B) - 2 tr((A B)^½), in float64: [D], [D,D], [D], [D,D] -> float.

    The cross term is the trace of the root of A^½ B A^½, which is symmetric, so that its eigenvalues are real.
    """
    mean_a, mean_b = finite("mean", mean_a, 1), finite("mean", mean_b, 1)
    cov_a, cov_b = finite("covariance", cov_a, 2), finite("covariance", cov_b, 2)
    root = _root(cov_a)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ ((cov_b + cov_b.T) / 2) @ root), 0, None)).sum()
    distance = np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return float(max(distance, 0.0))


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Fréchet distance of the Gaussians fitted to two sets of features: [N,D], [M,D] -> float."""
    a, b = finite("features", features_a, 2), finite("features", features_b, 2)
    if min(len(a), len(b)) < 2:
        raise StickgenError(f"Fréchet distance: expected at least 2 samples on each side, found {len(a)} and {len(b)}")
    return frechet_of_gaussians(a.mean(0), np.cov(a, rowvar=False, ddof=1).reshape(a.shape[1], -1),
                                b.mean(0), np.cov(b, rowvar=False, ddof=1).reshape(b.shape[1], -1))  # fmt: skip


def fid(generated: np.ndarray, real: np.ndarray, minimum: int) -> Measure:
    """FID where both sides have `minimum` samples, else the reason why there is none."""
    n = min(len(generated), len(real))
    if n < minimum:
        return not_computed(f"not computed: N < {minimum:,}", n, unit="evaluator units²")
    return Measure(frechet_distance(generated, real), n=n, unit="evaluator units²")


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1.0) ** 3


def _unbiased_mmd(own_a: np.ndarray, own_b: np.ndarray, cross: np.ndarray) -> float:
    """MMD² from the three kernel matrices, diagonals left out."""
    n, m = len(own_a), len(own_b)
    return float((own_a.sum() - np.trace(own_a)) / (n * (n - 1)) + (own_b.sum() - np.trace(own_b)) / (m * (m - 1)) - 2 * cross.mean())


def kid(generated: np.ndarray, real: np.ndarray, groups: int = 10) -> Measure:
    """Kernel distance (polynomial, degree 3) between two sets of features: [N,D], [M,D] -> value with a jackknife interval.

    Unbiased, so two halves of one set score around zero, sometimes below it. The interval leaves out one group of items at a time.
    """
    a, b = finite("features", generated, 2), finite("features", real, 2)
    if min(len(a), len(b)) < 2:
        return not_computed("not computed: fewer than 2 samples", min(len(a), len(b)), unit="evaluator units")
    return _between(_kernel, a, b, groups, "evaluator units")


def energy_distance(generated: np.ndarray, real: np.ndarray, unit: str, groups: int = 10) -> Measure:
    """Twice the mean distance across less the mean distances within: [N,D], [M,D]. Grows with distance, not with its cube as KID does."""
    a, b = finite("features", generated, 2), finite("features", real, 2)
    if min(len(a), len(b)) < 2:
        return not_computed("not computed: fewer than 2 samples", min(len(a), len(b)), unit=unit)
    return _between(_nearness, a, b, groups, unit)


def _nearness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Negative Euclidean distance, the kernel whose MMD² is the energy distance."""
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return -np.sqrt(np.clip(squared, 0, None))


def _between(kernel: Kernel, a: np.ndarray, b: np.ndarray, groups: int, unit: str) -> Measure:
    """MMD² of a kernel with its jackknife interval."""
    own_a, own_b, cross = kernel(a, a), kernel(b, b), kernel(a, b)

    def statistic(keep_a: np.ndarray, keep_b: np.ndarray) -> float:
        return _unbiased_mmd(own_a[np.ix_(keep_a, keep_a)], own_b[np.ix_(keep_b, keep_b)], cross[np.ix_(keep_a, keep_b)])

    return grouped_jackknife(statistic, len(a), len(b), groups, unit=unit)


def disjoint_halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint sets of positions of equal size: the floor that a set of real clips itself has."""
    order = generator(seed, "disjoint halves", count).permutation(count)
    half = count // 2
    return np.sort(order[:half]), np.sort(order[half : 2 * half])
