"""Chance in action accuracy: three levels by their definitions, and a test that neither a constant nor a blind answer can pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation import chance
from stickgen_core.evaluation.ranking import agreement, kendall_tau

labels = st.lists(st.integers(0, 5), min_size=1, max_size=40)


def test_a_constant_answer_scores_its_actions_share_dealt_or_not():
    asked = np.array([0] * 5 + [1] * 3 + [2] * 2)
    for action, share in ((0, 0.5), (1, 0.3), (7, 0.0)):
        shown = np.full(10, action)
        assert chance.permuted(asked, shown) == pytest.approx(share)
        found = chance.influence(asked, shown, seed=1, resamples=100)
        assert found["action_influence_p"].value == 1.0
        assert found["action_accuracy_permuted"].low == found["action_accuracy_permuted"].high == pytest.approx(share)


@settings(max_examples=100, deadline=None)
@given(labels, st.randoms())
def test_no_answer_that_ignores_the_caption_beats_the_commonest_action(asked, random):
    shown = [random.randrange(6) for _ in asked]
    assert chance.permuted(np.array(asked), np.array(shown)) <= chance.commonest(np.array(asked)) + 1e-12


def test_the_expectation_is_the_mean_over_all_deals():
    from itertools import permutations

    asked, shown = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    every = np.mean([(np.array(deal) == shown).mean() for deal in permutations(asked)])
    assert chance.permuted(asked, shown) == pytest.approx(every)


def test_right_answers_are_influence_and_blind_ones_are_not_at_the_rate_of_the_level():
    rng = np.random.default_rng(0)
    asked = rng.integers(0, 8, 96)
    half = np.where(rng.random(96) < 0.4, asked, rng.integers(0, 8, 96))
    assert chance.influence(asked, half, seed=1, resamples=500)["action_influence_p"].value < 0.01
    blind = [chance.influence(asked, rng.integers(0, 8, 96), seed=s, resamples=200)["action_influence_p"].value for s in range(100)]
    assert np.mean(np.array(blind) < 0.05) <= 0.12


def test_unequal_lists_are_refused():
    with pytest.raises(StickgenError, match="as many of each"):
        chance.permuted(np.array([1, 2]), np.array([1]))


def test_kendalls_tau_is_scipys():
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 5, 9), rng.integers(0, 5, 9)
        assert kendall_tau(a, b) == pytest.approx(kendalltau(a, b).statistic)
    assert kendall_tau([1, 2, 3], [4, 4, 4]) is None
    assert kendall_tau([1, 2, 3], [1, 2, 3]) == 1 and kendall_tau([1, 2, 3], [3, 2, 1]) == -1


def test_a_ranking_is_claimed_only_where_evaluators_agree():
    def opinion(*values):
        return {name: {"kid": value} for name, value in zip("abc", values, strict=True)}

    same = agreement({"one": opinion(1, 2, 3), "two": opinion(10, 20, 30)}, 0.8)["measures"]["kid"]
    apart = agreement({"one": opinion(1, 2, 3), "two": opinion(30, 20, 10)}, 0.8)["measures"]["kid"]
    assert (same["mean"], same["determined"]) == (1.0, True) and (apart["mean"], apart["determined"]) == (-1.0, False)
    assert "one evaluator" in agreement({"one": opinion(1, 2, 3)}, 0.8)["note"]
    with pytest.raises(StickgenError, match="judged a, b"):
        agreement({"one": opinion(1, 2, 3), "two": {"a": {"kid": 1.0}, "b": {"kid": 1.0}}}, 0.8)
