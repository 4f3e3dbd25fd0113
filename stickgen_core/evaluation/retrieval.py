"""Does a motion find its caption among others? R-precision in pools, both directions, and retrieval over the whole set.

Ties are broken at random in expectation, so constant embeddings score exactly chance instead of everything or nothing.
"""

from collections.abc import Sequence

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.finite import finite
from stickgen_core.evaluation.intervals import Measure, bootstrap, not_computed
from stickgen_core.records.seeds import generator

# Features come from float32 networks: a difference in similarity below a millionth is rounding, and a tie.
TIE = 1e-6


def unit_vectors(features: np.ndarray) -> np.ndarray:
    """Rows of length 1: [N,D] -> [N,D]; a zero row is an error, it has no direction."""
    found = finite("features", features, 2)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise StickgenError(f"features: {int((lengths == 0).sum())} rows are zero and have no direction")
    return found / lengths


def pools(count: int, size: int, reshuffles: int, seed: int) -> np.ndarray:
    """Fixed pools of positions: [reshuffles, count // size, size]; a last partial pool is left out."""
    whole = count // size
    orders = [generator(seed, "pools", count, size, r).permutation(count)[: whole * size] for r in range(reshuffles)]
    return np.array(orders, np.int64).reshape(reshuffles, whole, size)


def _first_correct(similarity: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates above the best correct one, tied with it, and correct among the tied: [...,Q,C], bool [...,Q,C] -> [...,Q] each."""
    best = np.where(correct, similarity, -np.inf).max(-1, keepdims=True)
    tied = np.abs(similarity - best) <= TIE
    return (similarity > best + TIE).sum(-1), tied.sum(-1), (tied & correct).sum(-1)


def hit_share(similarity: np.ndarray, correct: np.ndarray, k: int) -> np.ndarray:
    """Probability that a correct candidate is among the k nearest, with ties in random order: [...,Q,C], bool [...,Q,C] -> [...,Q].

    Counts the best correct candidate only.
    """
    above, tied_all, tied_correct = _first_correct(similarity, correct)
    slots = np.clip(k - above, 0, tied_all)
    # Chance that `slots` draws without replacement from the tied candidates all miss the correct ones.
    miss = np.ones(slots.shape)
    for draw in range(int(slots.max(initial=0))):
        left = tied_all - draw
        factor = np.where(left > 0, np.clip(left - tied_correct, 0, None) / np.maximum(left, 1), 0.0)
        miss = np.where(draw < slots, miss * factor, miss)
    return 1.0 - miss


def expected_rank(similarity: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Rank of the nearest correct candidate, 1 the best, with ties in random order: [...,Q,C], bool [...,Q,C] -> [...,Q].

    Of t tied candidates c are correct; they part the t - c others into c + 1 runs of equal expected length, and one run comes before the first.
    """
    above, tied_all, tied_correct = _first_correct(similarity, correct)
    return above + (tied_all - tied_correct) / (tied_correct + 1) + 1


def r_precision(
    text: np.ndarray, motion: np.ndarray, *, seed: int, size: int, reshuffles: int, resamples: int, ranks: Sequence[int] = (1, 2, 3),
) -> dict[str, Measure]:  # fmt: skip
    """R@k in pools, text -> motion and motion -> text: unit rows [N,D], [N,D] -> name -> measure (interval over items).

    The pool's size is part of the metric's name: chance is k / size.
    """
    text, motion = finite("text features", text, 2), finite("motion features", motion, 2)
    n = len(text)
    names = [(f"r_precision_{way}_{k}", way, k) for way in ("text_to_motion", "motion_to_text") for k in ranks]
    if n < size:
        return {name: not_computed(f"not computed: N < pool of {size}", n, unit="share") for name, _, _ in names}
    chosen = pools(n, size, reshuffles, seed)
    similarity = np.einsum("rpid,rpjd->rpij", text[chosen], motion[chosen])
    own = np.broadcast_to(np.eye(size, dtype=bool), similarity.shape)
    found = {}
    for name, way, k in names:
        hits = hit_share(similarity if way == "text_to_motion" else np.swapaxes(similarity, -1, -2), own, k)
        total, seen = np.zeros(n), np.zeros(n)
        np.add.at(total, chosen, hits)
        np.add.at(seen, chosen, 1)
        found[name] = bootstrap(total[seen > 0] / seen[seen > 0], seed, name, resamples, unit=f"share, pools of {size}")
    return found


def full_retrieval(
    text: np.ndarray, motion: np.ndarray, same_text: np.ndarray, *, seed: int, resamples: int, ranks: Sequence[int] = (1, 3, 10),
) -> dict[str, Measure]:  # fmt: skip
    """Retrieval of motions over the whole set, near-duplicate captions counted as correct: [N,D], [N,D], bool [N,N] -> measures."""
    similarity = finite("text features", text, 2) @ finite("motion features", motion, 2).T
    correct = same_text | np.eye(len(similarity), dtype=bool)
    found = {
        f"full_set_recall_{k}": bootstrap(hit_share(similarity, correct, k), seed, f"full {k}", resamples, unit=f"share of {len(text)}")
        for k in ranks
    }
    found["full_set_median_rank"] = Measure(float(np.median(expected_rank(similarity, correct))), n=len(text), unit="rank")
    return found


def matching_distance(text: np.ndarray, motion: np.ndarray, *, seed: int, resamples: int) -> Measure:
    """MM-Dist: mean Euclidean distance of the true pairs; the scale belongs to the evaluator."""
    distances = np.linalg.norm(finite("text features", text, 2) - finite("motion features", motion, 2), axis=1)
    return bootstrap(distances, seed, "matching distance", resamples, unit="evaluator units")


def alignment(text: np.ndarray, motion: np.ndarray, *, seed: int, resamples: int) -> Measure:
    """Mean cosine of the true pairs: unit rows [N,D], [N,D] -> measure."""
    cosines = (finite("text features", text, 2) * finite("motion features", motion, 2)).sum(1)
    return bootstrap(cosines, seed, "alignment", resamples, unit="cosine")


def near_duplicates(text: np.ndarray, captions: Sequence[str], threshold: float) -> np.ndarray:
    """Which captions say the same: equal words, or text vectors closer than the threshold: [N,D] -> bool [N,N]."""
    keys = {caption: number for number, caption in enumerate(dict.fromkeys(" ".join(c.lower().split()) for c in captions))}
    same = np.array([keys[" ".join(c.lower().split())] for c in captions])
    return (same[:, None] == same[None, :]) | (finite("text features", text, 2) @ text.T > threshold)
