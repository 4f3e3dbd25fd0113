"""Scoring 4,000 clips with features cached: Fréchet distance by eigenvalues against the matrix root, and R-precision in 20 reshuffles."""

import numpy as np

from bench.measure import Measure, interleaved
from stickgen_core.evaluation.distances import frechet_distance, kid
from stickgen_core.evaluation.retrieval import r_precision, unit_vectors

CLIPS, QUICK_CLIPS, WIDTH = 4000, 1000, 256
LIMIT_S = 60.0


def run(quick: bool) -> list[Measure]:
    count = QUICK_CLIPS if quick else CLIPS
    draw = np.random.default_rng(0)
    text, motion, real = (unit_vectors(draw.normal(size=(count, WIDTH))) for _ in range(3))

    def ours() -> None:
        frechet_distance(motion, real)

    def by_matrix_root() -> None:
        from scipy.linalg import sqrtm

        sqrtm(np.cov(motion, rowvar=False) @ np.cov(real, rowvar=False))

    def retrieval() -> None:
        r_precision(text, motion, seed=0, size=32, reshuffles=20, resamples=1000)

    def kernel() -> None:
        kid(motion, real)

    work = {"fid": ours, "root": by_matrix_root, "retrieval": retrieval, "kid": kernel}
    taken = {name: timing.cpu_s for name, timing in interleaved(work, repeats=1 if quick else 3).items()}
    return [
        Measure("fid_s", taken["fid"], "s", against=f"matrix root alone {taken['root']:.2f} s"),
        Measure("r_precision_s", taken["retrieval"], "s", against=f"{count} clips, 20 reshuffles, both directions"),
        Measure("kid_s", taken["kid"], "s", against="11 statistics, for the jackknife"),
        Measure("fid_and_r_precision_s", taken["fid"] + taken["retrieval"], "s", against=f"{count} clips", at_most=LIMIT_S),
    ]
