"""Metrics by known answers: each would be wrong in a way that somebody has already published."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.distances import disjoint_halves, energy_distance, fid, frechet_distance, frechet_of_gaussians, kid
from stickgen_core.evaluation.intervals import Measure, bootstrap, t_interval, t_quantile, wilson
from stickgen_core.evaluation.retrieval import (
    alignment,
    expected_rank,
    full_retrieval,
    hit_share,
    matching_distance,
    near_duplicates,
    pools,
    r_precision,
    unit_vectors,
)
from stickgen_core.evaluation.spread import diversity, multimodality


def features(n: int, d: int = 16, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def in_pools(text: np.ndarray, motion: np.ndarray) -> dict[str, Measure]:
    return r_precision(text, motion, seed=1, size=32, reshuffles=20, resamples=200)


def test_covariances_with_disjoint_support_are_eight_apart():
    zero = np.zeros(4)
    assert frechet_of_gaussians(zero, np.diag([4.0, 0, 0, 0]), zero, np.diag([0, 4.0, 0, 0])) == pytest.approx(8.0)


def test_frechet_of_commuting_gaussians_is_the_closed_form():
    rng = np.random.default_rng(3)
    basis, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    a, b = rng.uniform(0.1, 4, 6), rng.uniform(0.1, 4, 6)
    mean = rng.normal(size=6)
    expected = mean @ mean + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert frechet_of_gaussians(np.zeros(6), basis * a @ basis.T, mean, basis * b @ basis.T) == pytest.approx(expected)


def test_frechet_of_gaussians_that_do_not_commute_equals_the_matrix_root():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(4)
    a, b = (m @ m.T for m in rng.normal(size=(2, 5, 5)))
    expected = np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet_of_gaussians(np.zeros(5), a, np.zeros(5), b) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_is_zero_and_a_permutation_of_coordinates_is_noticed():
    x = features(400) * np.arange(1, 17)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(x, x[:, ::-1]) > 100


def test_the_order_of_samples_does_not_matter_to_a_distance():
    x, y = features(100), features(100, seed=1, shift=0.5)
    shuffled = np.random.default_rng(0).permutation(100)
    assert frechet_distance(x[shuffled], y) == pytest.approx(frechet_distance(x, y))
    assert kid(x[shuffled], y).value == pytest.approx(kid(x, y).value)


def test_fid_of_few_samples_is_not_computed_and_says_so():
    found = fid(features(500), features(500), minimum=2000)
    assert found.value is None and found.note == "not computed: N < 2,000"


def test_kid_of_the_same_distribution_is_zero_within_its_interval_at_any_n():
    for n in (60, 240):
        values = [kid(features(n, seed=s), features(n, seed=s + 1000)) for s in range(12)]
        assert abs(np.mean([v.value for v in values])) < 3 * np.std([v.value for v in values]) / np.sqrt(12) + 1e-3
        assert sum(v.low <= 0 <= v.high for v in values) >= 9


def test_kid_sees_a_shift():
    assert kid(features(100, shift=1.0), features(100, seed=1)).low > 0


def test_the_energy_distance_of_two_points_is_twice_their_distance_and_has_no_bias():
    zeros = np.zeros((20, 2))
    assert energy_distance(zeros, zeros + [3.0, 4.0], "m").value == pytest.approx(10, abs=1e-6)
    values = [energy_distance(features(40, seed=s), features(40, seed=s + 1000), "m").value for s in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(40)


def test_disjoint_halves_share_nothing():
    left, right = disjoint_halves(101, 7)
    assert len(left) == len(right) == 50 and not set(left) & set(right)


def test_retrieval_is_perfect_for_equal_vectors_and_chance_for_unrelated_ones():
    text = unit_vectors(features(320))
    assert in_pools(text, text)["r_precision_text_to_motion_1"].value == 1.0
    unrelated = in_pools(text, unit_vectors(features(320, seed=9)))
    for way in ("text_to_motion", "motion_to_text"):
        for k in (1, 2, 3):
            found = unrelated[f"r_precision_{way}_{k}"]
            assert abs(found.value - k / 32) < 0.04


def test_constant_embeddings_score_exactly_chance():
    text, motion = unit_vectors(features(64)), np.tile(unit_vectors(features(1)), (64, 1))
    found = in_pools(text, motion)
    for k in (1, 2, 3):
        assert found[f"r_precision_text_to_motion_{k}"].value == pytest.approx(k / 32)


def test_hits_count_ties_in_expectation():
    similarity = np.array([[1.0, 1.0, 0.0, 0.0]])
    correct = np.array([[True, False, False, False]])
    assert hit_share(similarity, correct, 1) == pytest.approx(0.5)
    assert hit_share(similarity, correct, 2) == pytest.approx(1.0)
    assert hit_share(np.zeros((1, 4)), np.array([[True, True, False, False]]), 2) == pytest.approx(1 - 1 / 6)


def test_the_expected_rank_among_ties_is_the_mean_over_every_order():
    for tied, right in ((6, 1), (6, 2), (5, 3), (4, 4)):
        similarity, correct = np.array([[2.0, *[1.0] * tied, 0.0]]), np.zeros((1, tied + 2), bool)
        correct[0, 1 : 1 + right] = correct[0, -1] = True
        first = [min(order[:right]) for order in permutations(range(tied))]
        assert expected_rank(similarity, correct) == pytest.approx(2 + np.mean(first))
    constant = np.tile([[1.0, 0.0]], (110, 1))
    tenth = np.arange(110)[:, None] % 10 == np.arange(110) % 10  # 11 of 110 are correct
    assert full_retrieval(constant, constant, tenth, seed=0, resamples=5)["full_set_median_rank"].value == pytest.approx(99 / 12 + 1)


def test_a_rank_does_not_hang_on_the_rounding_of_float32():
    similarity, correct = np.array([[0.5, 0.5 + 1e-7, 0.5 - 1e-7]]), np.array([[True, False, False]])
    assert expected_rank(similarity, correct) == 2.0


def test_the_two_directions_are_two_metrics():
    text = unit_vectors(features(64, 8))
    motion = unit_vectors(text + 0.5 * features(64, 8, seed=2))
    motion[:8] = unit_vectors(text.mean(0, keepdims=True))
    found = in_pools(text, motion)
    assert found["r_precision_text_to_motion_3"].value != found["r_precision_motion_to_text_3"].value
    swapped = in_pools(motion, text)
    assert swapped["r_precision_motion_to_text_3"].value == pytest.approx(found["r_precision_text_to_motion_3"].value)


def test_pools_are_fixed_whole_and_without_repeats():
    first = pools(100, 32, 20, 5)
    assert first.shape == (20, 3, 32)
    assert np.array_equal(first, pools(100, 32, 20, 5))
    assert all(len(set(r.ravel())) == 96 for r in first)
    assert not np.array_equal(first[0], first[1])


def test_retrieval_below_one_pool_is_not_computed():
    found = in_pools(unit_vectors(features(31)), unit_vectors(features(31)))
    assert found["r_precision_text_to_motion_1"].value is None


def test_full_retrieval_counts_near_duplicates_as_correct():
    text = unit_vectors(features(40))
    twins = text[np.arange(40) // 2]
    captions = [f"caption {i // 2}" for i in range(40)]
    strict = full_retrieval(twins, twins, np.eye(40, dtype=bool), seed=0, resamples=50)
    kind = full_retrieval(twins, twins, near_duplicates(twins, captions, 0.999), seed=0, resamples=50)
    assert strict["full_set_recall_1"].value == pytest.approx(0.5)
    assert kind["full_set_recall_1"].value == 1.0 and kind["full_set_median_rank"].value == 1.0


def test_matching_distance_and_alignment_of_known_pairs():
    text = np.tile([1.0, 0.0], (10, 1))
    motion = np.tile([0.0, 1.0], (10, 1))
    assert matching_distance(text, motion, seed=0, resamples=10).value == pytest.approx(np.sqrt(2))
    assert alignment(text, motion, seed=0, resamples=10).value == pytest.approx(0)


def test_diversity_of_a_constant_set_is_zero_and_of_a_gaussian_is_known():
    assert diversity(np.ones((50, 4)), 300, seed=0, resamples=20).value == 0
    found = diversity(features(4000, 256), 3000, seed=0, resamples=100)
    assert found.value == pytest.approx(np.sqrt(2 * 256), rel=0.01)


def test_multimodality_ignores_how_far_prompts_are_apart():
    prompts = np.arange(20)[:, None, None] * 100.0
    assert multimodality(np.tile(prompts, (1, 5, 3)), 10, seed=0, resamples=20).value == 0
    varied = prompts + np.random.default_rng(0).normal(size=(20, 30, 64))
    assert multimodality(varied, 10, seed=0, resamples=20).value == pytest.approx(np.sqrt(128), rel=0.05)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_features_are_an_error_everywhere(bad):
    x = features(64)
    x[3, 2] = bad
    clean = features(64)
    calls = [
        lambda: frechet_distance(x, clean), lambda: frechet_distance(clean, x), lambda: kid(x, clean), lambda: kid(clean, x),
        lambda: energy_distance(x, clean, "m"), lambda: energy_distance(clean, x, "m"),
        lambda: unit_vectors(x), lambda: in_pools(clean, x), lambda: in_pools(x, clean), lambda: diversity(x, 10, seed=0, resamples=5),
        lambda: multimodality(x[None], 5, seed=0, resamples=5), lambda: matching_distance(x, clean, seed=0, resamples=5),
        lambda: alignment(x, clean, seed=0, resamples=5), lambda: full_retrieval(clean, x, np.eye(64, dtype=bool), seed=0, resamples=5),
        lambda: Measure(bad), lambda: t_interval([1.0, bad, 2.0], "repetitions"), lambda: bootstrap(x[:, 2], 0, "x", 5),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(StickgenError, match="finite"):
            call()


def test_t_quantiles_are_students():
    from scipy.stats import t as student

    for degrees in (1, 2, 4, 19, 30, 31, 60, 200):
        assert t_quantile(degrees) == pytest.approx(student.ppf(0.975, degrees), rel=2e-4)


def test_no_interval_is_claimed_from_two_values():
    found = t_interval([1.0, 2.0], "training seeds")
    assert found.low is None and "no interval" in found.note


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 500), st.integers(0, 500))
def test_wilson_stays_inside_and_holds_the_share(n, k):
    found = wilson(min(k, n), n)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_a_t_interval_covers_at_its_rate():
    rng = np.random.default_rng(0)
    covered = [(lambda m: m.low <= 0 <= m.high)(t_interval(rng.normal(size=3), "repetitions")) for _ in range(2000)]
    assert 0.93 < np.mean(covered) < 0.97
