"""The rows above the models: what real clips, wrong captions, retrieval and spoiled motion score, so that a number has a floor and a ceiling."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from stickgen_core.corpus import Corpus
from stickgen_core.evaluation.distances import disjoint_halves
from stickgen_core.evaluation.intervals import Measure
from stickgen_core.evaluation.items import Items, Progress
from stickgen_core.evaluation.judge import Judge, Row
from stickgen_core.records.seeds import generator
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.mirror import mirror_joints
from stickgen_core.skeleton.sticks import layout_of_width, sticks

NOISE_M = (0.01, 0.03, 0.1)


def fitted(motion: np.ndarray, frames: int) -> np.ndarray:
    """A motion cut, or its last frame held, to a length: [T,A,W] -> [frames,A,W]."""
    if len(motion) >= frames:
        return motion[:frames]
    return np.concatenate([motion, np.repeat(motion[-1:], frames - len(motion), 0)])


def lendable(train: Items, reference: Items) -> np.ndarray:
    """Positions of training clips to borrow from: who borrows a clip of the reference measures it against itself. All where none is left."""
    compared = set(reference.ids)
    free = [row for row, clip in enumerate(train.ids) if clip not in compared]
    return np.array(free or range(len(train)), np.int64)


def borrowed(items: Items, train: Items, rows: np.ndarray) -> Items:
    """The captions of `items` with motions of training clips, each at the caption's length."""
    motions = [fitted(train.motions[r], n) for r, n in zip(rows, items.frames, strict=True)]
    present = [fitted(train.present[r][..., None], n)[..., 0] for r, n in zip(rows, items.frames, strict=True)]
    return replace(items, motions=tuple(motions), present=tuple(present))


def mean_pose(items: Items, train: Items) -> Items:
    """One person in the mean pose of the training clips, repeated for one length: the very same answer to every caption."""
    mean = np.mean([m[p].mean(0) for m, p in zip(train.motions, train.present, strict=True)], axis=0)
    length = int(np.median(items.frames))
    return items.with_motions([np.broadcast_to(mean, (length, 1, len(mean))).astype(np.float32)] * len(items))


def same_length(items: Items, train: Items, seed: int) -> Items:
    """Any training motion of nearly the same length: what length alone gives away."""
    lengths = np.array(train.frames)
    draw = generator(seed, "same length")
    rows = []
    for n in items.frames:
        off = np.abs(lengths - n)
        rows.append(draw.choice(np.flatnonzero(off <= max(off.min(), 0.02 * n))))
    return borrowed(items, train, np.array(rows))


def random_train(items: Items, train: Items, seed: int) -> Items:
    return borrowed(items, train, generator(seed, "random train motion").integers(0, len(train), len(items)))


def nearest_caption(items_text: np.ndarray, train_text: np.ndarray) -> np.ndarray:
    """For each caption the training clip whose caption is nearest; ties by position: unit rows [N,E], [M,E] -> [N]."""
    return (items_text @ train_text.T).argmax(1)


def noisy(items: Items, sigma_m: float, seed: int) -> Items:
    """White noise on every number, the same draw at every level so that levels differ in size alone."""
    shaken = [
        (m + sigma_m * generator(seed, "noise", i).normal(size=m.shape)).astype(np.float32)
        for i, m in zip(items.ids, items.motions, strict=True)
    ]
    return replace(items, motions=tuple(shaken))


def reverse(items: Items) -> Items:
    return replace(items, motions=tuple(m[::-1].copy() for m in items.motions), present=tuple(p[::-1].copy() for p in items.present))


def faster(items: Items, factor: float) -> Items:
    """Played faster by linear interpolation; the clip gets shorter."""

    def played(motion: np.ndarray) -> np.ndarray:
        at = np.arange(0, len(motion) - 1 + 1e-9, factor)
        low = np.minimum(at.astype(int), len(motion) - 2) if len(motion) > 1 else at.astype(int)
        share = (at - low).reshape(-1, *[1] * (motion.ndim - 1))
        return (motion[low] * (1 - share) + motion[np.minimum(low + 1, len(motion) - 1)] * share).astype(np.float32)

    present = tuple(p[np.arange(0, len(p) - 1 + 1e-9, factor).astype(int)] for p in items.present)
    return replace(items, motions=tuple(played(m) for m in items.motions), present=present)


def mirrored(items: Items, corpus: Corpus, skeleton: SkeletonConfig) -> Items:
    """Left and right swapped in space, projected again, captions unchanged."""
    layout = layout_of_width(items.motions[0].shape[-1])
    motions = []
    for clip_id, present in zip(items.ids, items.present, strict=True):
        joints = mirror_joints(corpus.arrays(corpus.position(clip_id), "joints")["joints"][: len(present)].astype(np.float64))
        motions.append(np.where(present[..., None], sticks(joints, layout, skeleton.azimuth_deg), 0).astype(np.float32))
    return replace(items, motions=tuple(motions))


def honesty_rows(
    judge: Judge, items: Items, train: Items, *, nearest: np.ndarray, mirror: Items | None = None, progress: Progress = None
) -> list[Row]:  # fmt: skip
    """Every row that needs no generator, in the order of the table.

    items     the judged held-out clips      train   training clips to borrow motion from
    nearest   for each item the training clip with the nearest caption (by the generator's text vectors), of those that `lendable` lends
    """
    seed = judge.config.seed
    lent = train.take(lendable(train, judge.reference))
    lenders = "train" if len(lent) == len(train) else "the train clips lent"
    left, right = disjoint_halves(len(items), seed)
    shuffled = generator(seed, "shuffled captions").permutation(len(items))
    identical = float(np.mean([items.captions[i] == train.captions[n] for i, n in enumerate(nearest)]))
    plan: list[tuple[str, str, str, Callable[[], dict[str, Measure]]]] = [
        ("real", "Real clips", "the ceiling of every text measure", lambda: judge.measure(items)),
        ("real_halves", "Real A against real B (disjoint)", "KID around 0: the floor", lambda: judge.measure(items.take(left), items.take(right))),
        ("shuffled", "Real clips, shuffled captions", "R-precision at chance, KID as real",
         lambda: judge.measure(items.with_captions(shuffled))),
        ("same_length", "Any train motion of equal length", "near chance: length must not give the caption away",
         lambda: judge.measure(same_length(items, lent, seed))),
        ("mean_pose", "Mean pose, repeated", "R-precision exactly chance, diversity 0, far from real", lambda: judge.measure(mean_pose(items, train))),
        ("random_train", "Random train motion", "near in KID, R-precision at chance", lambda: judge.measure(random_train(items, lent, seed))),
        ("retrieval", "Nearest caption's train motion", f"the bar to beat; {identical:.0%} of captions stand word for word in {lenders}",
         lambda: judge.measure(borrowed(items, train, nearest))),
        *[(f"noise_{int(1000 * s)}mm", f"Real + {100 * s:g} cm noise", "worse with every level", lambda s=s: judge.measure(noisy(items, s, seed)))
          for s in NOISE_M],
        ("reversed", "Real, played backwards", "worse than real where direction matters", lambda: judge.measure(reverse(items))),
        ("faster", "Real at 1.5 x speed", "energy about 2.25 x real", lambda: judge.measure(faster(items, 1.5))),
    ]  # fmt: skip
    if mirror is not None:
        plan.append(("mirrored", "Real, left and right swapped", "worse where the caption names a side", lambda: judge.measure(mirror)))
    rows = []
    for done, (name, title, expected, measure) in enumerate(plan):
        rows.append(Row(name, title, "honesty", measure(), expected))
        if progress:
            progress("honesty rows", done + 1, len(plan))
    return rows


def monotone(rows: list[Row], measure: str = "kid") -> bool:
    """Whether real, then each noise level, is farther than the one before: a distance that cannot see that cannot judge."""
    by_name = {row.name: row for row in rows}
    series = ["real", *(f"noise_{int(1000 * s)}mm" for s in NOISE_M)]
    values = [by_name[name].measures[measure].value for name in series]
    return all(b is not None and a is not None and b > a for a, b in zip(values[:-1], values[1:], strict=True))
