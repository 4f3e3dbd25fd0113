"""How different are the motions: over a set (diversity) and over repeats of one prompt (multimodality).

Neither has a good direction of its own: diversity should match the real set's, multimodality means something only beside R-precision.
"""

import numpy as np

from stickgen_core.evaluation.finite import finite
from stickgen_core.evaluation.intervals import Measure, bootstrap, not_computed
from stickgen_core.records.seeds import generator


def diversity(features: np.ndarray, pairs: int, *, seed: int, resamples: int) -> Measure:
    """Mean distance of `pairs` random pairs of different items: [N,D] -> measure."""
    found = finite("features", features, 2)
    n = len(found)
    if n < 2:
        return not_computed("not computed: fewer than 2 samples", n, unit="evaluator units")
    draw = generator(seed, "diversity", n, pairs)
    left = draw.integers(0, n, pairs)
    right = (left + draw.integers(1, n, pairs)) % n
    return bootstrap(np.linalg.norm(found[left] - found[right], axis=1), seed, "diversity", resamples, unit="evaluator units")


def multimodality(features: np.ndarray, pairs: int, *, seed: int, resamples: int) -> Measure:
    """Mean distance between repeats of one prompt, `pairs` pairs a prompt: [P,R,D] -> measure, interval over prompts."""
    found = finite("features", features, 3)
    prompts, repeats = found.shape[:2]
    if repeats < 2:
        return not_computed("not computed: one repeat a prompt", prompts, unit="evaluator units")
    draw = generator(seed, "multimodality", prompts, repeats, pairs)
    left = draw.integers(0, repeats, (prompts, pairs))
    right = (left + draw.integers(1, repeats, (prompts, pairs))) % repeats
    rows = np.arange(prompts)[:, None]
    distances = np.linalg.norm(found[rows, left] - found[rows, right], axis=-1).mean(1)
    return bootstrap(distances, seed, "multimodality", resamples, unit="evaluator units")
