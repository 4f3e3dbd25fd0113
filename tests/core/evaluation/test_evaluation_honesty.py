"""Floor, ceiling and chance on clips whose answer is known: if these rows are out of order, no model row means anything."""

import numpy as np
import pytest

from stickgen_core.evaluation.honesty import faster, fitted, honesty_rows, lendable, monotone, nearest_caption, same_length
from stickgen_core.evaluation.items import choose, read_items
from stickgen_core.evaluation.judge import Judge, over_repetitions


@pytest.fixture(scope="module")
def judged(corpus, config, evaluator):
    items = read_items(corpus, choose(corpus, "test", None, config.seed), config.seed)
    train = read_items(corpus, choose(corpus, "train", None, config.seed), config.seed)
    reference = read_items(corpus, choose(corpus, "train", 96, config.seed + 1), config.seed)
    judge = Judge(evaluator, config, reference, fps=25.0)
    lent = lendable(train, reference)
    bags = [evaluator.vocabulary.bags(evaluator.vocabulary.numbers(s.captions)[0]) for s in (items, train.take(lent))]
    rows = honesty_rows(judge, items, train, nearest=lent[nearest_caption(*bags)])
    return judge, items, train, rows, {row.name: row.measures for row in rows}


def test_the_rows_come_in_the_expected_order(judged):
    judge, items, _, _, by = judged
    chance = judge.chance(items)
    top3 = "r_precision_text_to_motion_3"
    assert by["real"][top3].low > by["shuffled"][top3].high
    assert by["retrieval"][top3].low > by["random_train"][top3].high
    for name in ("shuffled", "random_train", "same_length"):
        assert by[name][top3].low <= chance[top3] + 0.05, name


def test_one_answer_to_every_caption_is_exactly_at_chance_and_has_no_diversity(judged):
    """Mathematics, not statistics: constant features tie with each other, and the distance of equal features is zero."""
    judge, items, _, _, by = judged
    row = by["mean_pose"]
    for way in ("text_to_motion", "motion_to_text"):
        for k in (1, 2, 3):
            assert row[f"r_precision_{way}_{k}"].value == pytest.approx(k / 32, abs=1e-9)
    assert row["diversity"].value == pytest.approx(0, abs=1e-5) and row["diversity"].high < 1e-5
    assert row["energy_ratio"].value == row["jerk_ratio"].value == 0 and row["frozen"].value == 1
    named = judge.evaluator.name_actions(items.with_motions([items.motions[0]] * len(items)))
    assert len(set(named.tolist())) == 1
    assert row["action_accuracy"].value == pytest.approx(row["action_accuracy_permuted"].value) and row["action_influence_p"].value == 1


def test_action_accuracy_of_real_clips_is_above_chance_and_of_shuffled_ones_is_not(judged):
    judge, items, _, _, by = judged
    chance = judge.chance(items)
    assert chance["action_accuracy"] == pytest.approx(1 / 8)
    assert by["real"]["action_accuracy"].low > chance["action_accuracy"]
    assert by["shuffled"]["action_accuracy"].low < 0.3 > by["random_train"]["action_accuracy"].low


def test_the_floor_is_around_zero_and_far_below_the_mean_pose(judged):
    by = judged[4]
    assert by["real_halves"]["kid"].low < 0.02
    assert by["mean_pose"]["kid"].low > by["real_halves"]["kid"].high
    assert by["shuffled"]["kid"].value == pytest.approx(by["real"]["kid"].value)
    kinetic = {name: measures["kinetic_distance"] for name, measures in by.items()}
    assert kinetic["real_halves"].low < 0.05 and kinetic["mean_pose"].low > kinetic["real_halves"].high
    assert kinetic["shuffled"].value == pytest.approx(kinetic["real"].value) == pytest.approx(kinetic["reversed"].value)
    assert kinetic["faster"].low > kinetic["real"].high
    assert by["real"]["fid"].value is None and "N < 2,000" in by["real"]["fid"].note


def test_more_noise_is_always_farther(judged):
    _, _, _, rows, by = judged
    assert monotone(rows) and monotone(rows, "kinetic_distance")
    jerks = [by[n]["jerk_ratio"].value for n in ("real", "noise_10mm", "noise_30mm", "noise_100mm")]
    assert jerks == sorted(jerks) and jerks[-1] > 10
    realism = [by[n]["realism"].value for n in ("real", "noise_30mm", "noise_100mm")]
    assert realism == sorted(realism, reverse=True)


def test_playing_faster_raises_energy_by_the_square_of_the_factor(judged):
    by = judged[4]
    assert by["faster"]["energy_ratio"].value == pytest.approx(2.25 * by["real"]["energy_ratio"].value, rel=0.1)


def test_a_faster_clip_keeps_its_path():
    line = np.arange(31, dtype=np.float32)[:, None, None] * np.ones((1, 1, 20), np.float32)

    class One:
        motions, present = (line,), (np.ones((31, 1), bool),)

    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Set:
        motions: tuple
        present: tuple

    quick = faster(Set(One.motions, One.present), 1.5)
    assert quick.motions[0].shape[0] == quick.present[0].shape[0] == 21
    assert np.allclose(np.diff(quick.motions[0][:, 0, 0]), 1.5)


def test_borrowed_motion_is_cut_or_held_to_the_asked_length(judged):
    _, items, train, _, _ = judged
    assert same_length(items, train, 1).frames == items.frames
    motion = np.arange(5.0)[:, None, None]
    assert fitted(motion, 3)[-1] == 2 and fitted(motion, 8).shape[0] == 8 and fitted(motion, 8)[-1] == 4


def test_no_row_borrows_a_clip_that_it_is_measured_against(judged, monkeypatch):
    judge, items, train, _, _ = judged
    measured = []
    monkeypatch.setattr(Judge, "measure", lambda _, clips, against=None: measured.append(clips) or {})
    rows = honesty_rows(judge, items, train, nearest=lendable(train, judge.reference)[: len(items)])
    beginnings = {motion[:40].tobytes() for motion in judge.reference.motions}
    shown = {row.name: clips for row, clips in zip(rows, measured, strict=True)}
    for name in ("same_length", "random_train", "retrieval"):
        assert not any(motion[:40].tobytes() in beginnings for motion in shown[name].motions), name


def test_every_training_clip_is_lent_where_the_reference_holds_none_or_all(judged):
    _, items, train, _, _ = judged
    assert lendable(train, items).tolist() == lendable(train, train).tolist() == list(range(len(train)))
    assert lendable(train, train.take([0, 2])).tolist() == [1, *range(3, len(train))]


def test_intervals_over_repetitions_are_kept_apart_from_those_over_items(judged):
    judge, items, _, _, by = judged
    merged = over_repetitions([by["real"], by["noise_10mm"], by["noise_30mm"]])
    assert merged["kid"].over == "repetitions" and by["real"]["kid"].over == "items"
    assert merged["fid"].value is None
