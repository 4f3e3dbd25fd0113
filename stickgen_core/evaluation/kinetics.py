"""A distance between sets of motions that needs no network: how fast, how abruptly and how roughly every end of a segment moves.

An evaluator of text and motion learns to look past what no caption names, noise among it; these features cannot.
"""

from collections.abc import Sequence

import numpy as np

from stickgen_core.evaluation.distances import energy_distance
from stickgen_core.evaluation.intervals import Measure, not_computed
from stickgen_core.evaluation.kinematics import Motion

# Differences of the positions: speed, acceleration, jerk.
ORDERS = (1, 2, 3)
# A feature varies where its values differ by more than this share of the largest; less is rounding.
ROUNDING = 1e-9
UNIT = "standard deviations"


def kinetic_features(clips: Sequence[Motion], fps: float) -> np.ndarray:
    """Mean size of the derivatives of every segment end, m/s, m/s², m/s³: [N, orders x ends]."""
    return np.array([[size for order in ORDERS for size in _sizes(clip, order) * fps**order] for clip in clips])


def kinetic_distance(generated: np.ndarray, real: np.ndarray) -> Measure:
    """Energy distance of kinetic features in octaves, in standard deviations of the real set a feature: [N,D], [M,D] -> Measure."""
    n = min(len(generated), len(real))
    if n < 2:
        return not_computed("not computed: fewer than 2 samples", n, UNIT)
    varies = np.ptp(real, axis=0) > ROUNDING * real.max(0)
    if not varies.any():
        return not_computed("not computed: the real set does not vary", n, UNIT)
    typical = np.where(varies, real.mean(0), 1.0)
    a, b = np.log2(1 + generated / typical), np.log2(1 + real / typical)
    scale = b.std(0)[varies] * np.sqrt(varies.sum())
    return energy_distance(a[:, varies] / scale, b[:, varies] / scale, UNIT)


def _sizes(clip: Motion, order: int) -> np.ndarray:
    """Mean length of each end's difference of that order: [ends]; zero where the clip is too short for one."""
    steps = np.linalg.norm(clip.difference(order), axis=-1)
    return steps.mean(0) if len(steps) else np.zeros(steps.shape[1])
