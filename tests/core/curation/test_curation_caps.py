"""A cap is a fraction of what comes out, and the answer is the largest there is."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stickgen_core.curation.caps import Classes, Ranks, keep_within, solve_caps
from stickgen_core.errors import StickgenError


def solve(available, cap, relax=False, **others):
    return solve_caps(available, cap, relax=relax, what="merge", own=others)


def test_the_documented_nine_sources_cut_only_the_largest():
    sizes = {"amass": 5592, "humanml3d": 14616, "kit": 3911, "ntu": 56880, "style": 4000, "interhuman": 6022, "babel": 13220,
             "beat": 8000, "synthetic": 3000}  # fmt: skip
    found = solve(sizes, 0.3)
    assert {name for name, n in found.counts.items() if n < sizes[name]} == {"ntu"}
    assert found.counts["ntu"] <= 0.3 * found.total < found.counts["ntu"] + 1


def test_three_sources_at_thirty_per_cent_have_only_the_empty_solution():
    with pytest.raises(StickgenError, match="add up to 0.9 .*1/k"):
        solve({"a": 100, "b": 100, "c": 100}, 0.3)
    found = solve({"a": 100, "b": 60, "c": 100}, 0.3, relax=True)
    assert found.relaxed and found.counts == {"a": 60, "b": 60, "c": 60}
    assert found.shares["a"] == pytest.approx(1 / 3)


def test_a_class_with_a_share_of_its_own_keeps_it_when_the_others_are_relaxed():
    found = solve({"real": 100, "synthetic": 1000}, 0.3, relax=True, synthetic=0.4)
    assert found.shares == {"real": 0.6, "synthetic": 0.4}
    assert found.counts == {"real": 99, "synthetic": 66}  # 100 of 166 would be more than 0.6


def test_nothing_available_gives_nothing():
    assert solve({"a": 0}, 0.3).total == 0


SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 40), min_size=1)


@settings(max_examples=150, deadline=None)
@given(SIZES, st.sampled_from([0.17, 0.25, 0.3, 1 / 3, 0.34, 0.5, 0.7, 1.0]))
def test_caps_hold_and_no_larger_selection_does(available, cap):
    present = [n for n in available.values() if n]
    if len(present) * Fraction(str(cap)) < 1:
        return
    found = solve(available, cap)
    share = Fraction(str(cap))
    assert all(0 <= n <= available[name] and n <= share * found.total for name, n in found.counts.items())
    for larger in range(found.total + 1, sum(present) + 1):
        assert sum(min(n, int(share * larger)) for n in available.values()) < larger


@settings(max_examples=60, deadline=None)
@given(SIZES, st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from([0.1, 0.4]))
def test_relaxed_shares_are_the_least_that_fit(available, cap, own):
    found = solve_caps(available, cap, relax=True, what="x", own={"a": own})
    present = {name: n for name, n in available.items() if n}
    if found.relaxed:
        assert sum(Fraction(found.shares[n]).limit_denominator(10**6) for n in present) == 1
        assert "a" not in present or len(present) == 1 or found.shares["a"] == own
    assert all(found.shares[name] >= (own if name == "a" else cap) for name in present)


def test_which_clips_stay_depends_on_their_ids_alone():
    everything = [(f"clip{n}", "ab"[n % 2]) for n in range(200)]

    def kept(clips, **counts):
        ids, names = (pa.chunked_array([list(values)]) for values in zip(*clips, strict=True))
        stay = keep_within(Classes.of(names), np.ones(200, bool), Ranks(ids, 42), counts)
        return {clips[i][0] for i in np.flatnonzero(stay)}

    found = kept(everything, a=30, b=70)
    shuffled = [everything[i] for i in np.random.default_rng(0).permutation(200)]
    assert kept(shuffled, a=30, b=70) == found and len(found) == 100
    assert kept(everything, a=20, b=70) < found
