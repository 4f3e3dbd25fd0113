"""Statistics over training seeds against their definitions."""

import numpy as np
import pytest

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.comparison import aggregate, compare_groups, holm, paired, welch


def test_welch_agrees_with_scipy_and_its_interval_excludes_zero_exactly_when_p_is_below_five_percent():
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(0)
    for shift in (0.0, 1.0, 3.0):
        a, b = rng.normal(size=5) + shift, rng.normal(size=4) * 3
        found = welch(a, b)
        assert found.p == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)
        assert (found.low > 0 or found.high < 0) == (found.p < 0.05)


def test_holm_on_a_textbook_family():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_three_seeds_give_an_interval_and_every_point_two_give_none():
    three = aggregate({42: 1.0, 123: 2.0, 456: 3.0})
    assert three["points"] == {"42": 1.0, "123": 2.0, "456": 3.0}
    assert three["summary"]["high"] - three["summary"]["value"] == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)
    assert three["shapiro"]["power"] == 0.08
    assert aggregate({1: 1.0, 2: 2.0})["summary"]["low"] is None


def test_normality_tests_decide_nothing():
    groups = {"a": [1.0, 2.0, 3.0], "b": [10.0, 10.1, 30.0]}
    found = compare_groups(groups, "a")
    assert "decides nothing" in found["levene"]["note"]
    assert set(found) == {"b", "levene"} and {"p", "p_holm", "effect"} <= set(found["b"])


def test_equal_constant_groups_do_not_differ():
    assert welch([1.0, 1.0], [1.0, 1.0]).p == 1.0


@pytest.mark.parametrize("value", [0.75, 0.1])  # the mean of three 0.1 is not 0.1
def test_constant_groups_that_differ_have_no_p_and_are_not_of_the_family(value):
    found = welch([value] * 3, [0.5] * 3)
    assert found.difference == pytest.approx(value - 0.5) and "neither group varies" in found.note
    assert found.p is found.low is found.high is found.effect is None
    groups = {"a": [1.0, 1.0, 1.0], "b": [2.0, 2.0, 2.0], "c": [1.0, 1.1, 1.3]}
    told = compare_groups(groups, "a")
    assert told["b"]["p"] is told["b"]["p_holm"] is None and told["c"]["p_holm"] == told["c"]["p"]


def test_pairing_on_shared_seeds_is_sharper_than_welch():
    base = {s: float(s) for s in range(5)}
    better = {s: v + 1 + 0.01 * s for s, v in base.items()}
    assert paired(better, base).low > 0
    assert welch(list(better.values()), list(base.values())).p > 0.05


def test_one_value_is_not_a_group():
    with pytest.raises(StickgenError, match="at least 2"):
        welch([1.0], [1.0, 2.0])
