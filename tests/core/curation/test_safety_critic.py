"""The critic passes people and stops what is not one: each fault is planted and must be named."""

import numpy as np
import pytest

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.safety import evaluate_motion_safety
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton import stick_layout, sticks
from tests.core.curation.curation_motions import FPS, GOOD, frozen, jittery, one_joint_jumps, stand, stuck_loop, teleport, walk, wave


def seen(joints, layout="stick20", azimuth_deg=45.0):
    return sticks(joints[:, None], stick_layout(layout), azimuth_deg)[:, 0]


def checks(result):
    return {issue.check for issue in result.issues}


@pytest.mark.parametrize("layout", ["stick20", "stick48"])
@pytest.mark.parametrize("name", GOOD)
def test_people_are_safe(name, layout):
    result = evaluate_motion_safety(seen(GOOD[name](), layout))
    assert result.is_safe and not result.issues and result.overall_score == 1.0


@pytest.mark.parametrize("azimuth_deg", [0.0, 45.0, 90.0])
def test_safety_critic_walking_is_not_repetitive(azimuth_deg):
    assert "repetitive" not in checks(evaluate_motion_safety(seen(walk(250), azimuth_deg=azimuth_deg)))


@pytest.mark.parametrize("seed", range(3))
def test_steps_on_the_spot_that_differ_as_peoples_do_are_not_repetitive(seed):
    assert "repetitive" not in checks(evaluate_motion_safety(seen(walk(250, stride_hz=1.4, vary=0.2, seed=seed, in_place=True))))


@pytest.mark.parametrize("sway_m", [0.003, 0.01])
def test_who_stands_and_sways_is_alive(sway_m):
    result = evaluate_motion_safety(seen(stand(sway_m=sway_m)))
    assert result.is_safe and not result.issues


@pytest.mark.parametrize("noise_m", [0.0, 0.0005, 0.002, 0.005, 0.01])
def test_noise_does_not_bring_a_picture_to_life(noise_m):
    for seed in range(5):
        picture = seen(frozen()) + np.random.default_rng(seed).normal(0, noise_m, (150, 20))
        result = evaluate_motion_safety(picture)
        assert "frozen" in checks(result) and not result.is_safe


def test_one_jump_does_not_make_a_walker_a_picture():
    assert "frozen" not in checks(evaluate_motion_safety(seen(teleport(metres=1.5))))


@pytest.mark.parametrize("make", [lambda: stand(sway_m=0.01), wave], ids=["sway of millimetres", "one arm"])
@pytest.mark.parametrize("period", [8, 12, 20])
def test_a_small_movement_that_repeats_exactly_is_repetitive(make, period):
    motion = seen(make())
    loop = np.concatenate([motion[20 : 20 + period], motion[20 + period : 20 : -1]])[::2][:period]
    assert "repetitive" not in checks(evaluate_motion_safety(motion))
    assert "repetitive" in checks(evaluate_motion_safety(np.tile(loop, (14, 1))[:150]))


FAULTS = {
    "frozen": lambda: seen(frozen()),
    "repetitive": lambda: seen(stuck_loop()),
    "jittery": lambda: seen(jittery(noise_m=0.05)),
    "velocity": lambda: seen(teleport(metres=1.5)),
    "ground": lambda: seen(walk() - [0, 0.25, 0]),
    "limbs": lambda: 1.8 * seen(walk()) * [1, 1],
}  # fmt: skip


@pytest.mark.parametrize("check", [name for name in FAULTS if name != "limbs"])
def test_a_planted_fault_is_named_and_rejected(check):
    result = evaluate_motion_safety(FAULTS[check]())
    assert check in checks(result)
    assert not result.is_safe


def test_a_limb_longer_than_any_is_rejected():
    motion = seen(walk())
    motion[:, 10:12] = motion[:, 8:10] + [1.3, 0.2]
    result = evaluate_motion_safety(motion)
    assert checks(result) >= {"limbs"} and not result.is_safe


@pytest.mark.parametrize("scale_m", [0.02, 0.1, 1.0])
def test_white_noise_is_unsafe(scale_m):
    noise = np.random.default_rng(0).normal(0, scale_m, (100, 20)) + seen(frozen(100))
    assert not evaluate_motion_safety(noise).is_safe


def test_a_random_walk_round_one_place_is_no_body():
    for seed in range(20):
        steps = np.random.default_rng(seed).normal(size=(100, 20)) * 0.01
        result = evaluate_motion_safety(np.cumsum(steps, axis=0))
        assert "no_body" in checks(result) and not result.is_safe and result.overall_score == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_motion_that_is_not_finite_is_unsafe_with_score_zero(bad):
    motion = seen(walk())
    motion[40, 3] = bad
    result = evaluate_motion_safety(motion)
    assert not result.is_safe and result.overall_score == 0.0 and checks(result) == {"non_finite"}
    assert not evaluate_motion_safety(np.full((50, 20), bad)).is_safe


def test_severities_begin_at_the_documented_values():
    documented = {"frozen": 0.9, "repetitive": 0.7, "jittery": 0.6, "velocity": 0.8, "ground": 0.6}
    for check, severity in documented.items():
        issue = next(i for i in evaluate_motion_safety(FAULTS[check]()).issues if i.check == check)
        assert severity <= issue.severity <= 1.0


def test_one_frame_under_the_ground_is_an_issue_but_no_rejection():
    joints = walk()
    joints[50:52] -= [0, 0.15, 0]
    result = evaluate_motion_safety(seen(joints))
    assert checks(result) == {"ground"} and result.is_safe and 0.3 < result.overall_score < 1


def test_a_listener_beside_a_walker_is_no_fault_but_two_statues_are():
    pair = np.stack([seen(walk()), seen(frozen()) + 1], 1)
    assert evaluate_motion_safety(pair).is_safe
    assert "frozen" in checks(evaluate_motion_safety(np.stack([seen(frozen()), seen(frozen())], 1)))


def test_absent_people_are_not_judged():
    pair = np.stack([seen(walk()), np.full_like(seen(walk()), np.nan)], 1)
    present = np.zeros(pair.shape[:2], bool)
    present[:, 0] = True
    assert evaluate_motion_safety(pair, present=present).is_safe
    assert not evaluate_motion_safety(pair).is_safe


def test_nothing_is_compared_across_an_absence():
    """A runner is 2 m farther on when she comes back, a picture is no less a picture, and a loop is none longer."""
    runner = seen(walk())
    runner[:, 0::2] += 2.5 * np.arange(150)[:, None] / FPS
    gap = np.ones((150, 1), bool)
    gap[60:100] = False
    assert not evaluate_motion_safety(np.where(gap, runner, 0), present=gap).issues
    noisy = runner + np.random.default_rng(0).normal(0, 0.05, runner.shape)
    for spoiled, check in ((seen(frozen()), "frozen"), (seen(stuck_loop()), "repetitive"), (noisy, "jittery")):
        assert check in checks(evaluate_motion_safety(np.where(gap, spoiled, 0), present=gap))


def test_a_fault_in_a_short_stay_weighs_by_all_the_frames_in_view():
    sunk = seen(walk())
    sunk[148:, 1::2] -= 0.25
    gap = np.ones((150, 1), bool)
    gap[140:148] = False
    result = evaluate_motion_safety(sunk, present=gap)
    assert checks(result) == {"ground"} and result.is_safe


def test_someone_who_comes_once_is_judged_as_if_the_clip_were_that_stay():
    late = np.zeros((150, 1), bool)
    late[30:120] = True
    for motion in (seen(walk()), seen(frozen()), seen(stuck_loop()), seen(jittery(noise_m=0.05)), seen(teleport(metres=1.5))):
        assert evaluate_motion_safety(motion, present=late) == evaluate_motion_safety(motion[30:120])


def test_the_rate_matters():
    slow_rate = SafetyConfig(fps=FPS * 10)
    assert "velocity" in checks(evaluate_motion_safety(seen(walk()), slow_rate))


def test_a_wrong_shape_is_refused_in_one_line():
    with pytest.raises(StickgenError, match=r"expected motion \[T, W\]"):
        evaluate_motion_safety(np.zeros(20))


def test_a_single_wild_frame_is_noticed():
    assert "velocity" in checks(evaluate_motion_safety(seen(one_joint_jumps(metres=0.9))))
