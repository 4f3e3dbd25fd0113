"""Good motion passes, each planted fault fails on its own account, and a score depends on its clip alone."""

from pathlib import Path

import numpy as np
import pytest

from stickgen_core.config import load
from stickgen_core.curation.config import CurationConfig, ScoresConfig
from stickgen_core.curation.scores import ARTEFACTS, SCORES, camera_stability, score_clips
from stickgen_core.skeleton import JOINT
from stickgen_core.sources.actions import load_actions
from tests.core.curation.curation_motions import (
    FPS,
    GOOD,
    alone,
    frozen,
    jittery,
    one_joint_jumps,
    skating,
    stretching,
    stuck_loop,
    teleport,
    walk,
    wave,
)  # fmt: skip

CONFIG = ScoresConfig()
FAULTS = {
    "static_share": frozen, "jitter": jittery, "explosion_z": one_joint_jumps, "repetition": stuck_loop,
}  # fmt: skip


def scores(joints):
    return {name: float(values[0]) for name, values in score_clips([alone(joints)], CONFIG).items()}


def over(found):
    return {part for part, limit in ARTEFACTS.items() if found[part] > getattr(CONFIG, limit)}


def test_defaults_in_code_and_in_yaml_are_one():
    assert load(CurationConfig, [Path(__file__).parents[3] / "configs" / "defaults" / "curation.yaml"]) == CurationConfig()


@pytest.mark.parametrize("name", GOOD)
def test_good_motion_has_no_artefact(name):
    found = scores(GOOD[name]())
    assert over(found) == set() and found["artefact"] <= 0.5 and found["quality"] >= 0.7 and found["realism"] >= 0.8


@pytest.mark.parametrize("part", FAULTS)
def test_a_planted_fault_is_over_its_own_threshold(part):
    found = scores(FAULTS[part]())
    assert part in over(found)
    assert found["artefact"] > 0.5


def test_walking_is_not_repetition_but_a_stuck_loop_is():
    assert scores(walk(300, vary=0.0))["repetition"] < 0.1
    assert scores(stuck_loop())["repetition"] > 0.95
    assert scores(wave())["repetition"] < 0.1


def test_the_body_jumping_is_an_explosion_and_a_kick_is_not():
    assert scores(teleport())["explosion_z"] > 3
    assert scores(GOOD["kick"]())["explosion_z"] < 3


def test_a_stretching_limb_costs_the_quality_however_it_is_seen():
    found = scores(stretching())
    assert found["limb_deviation"] > 0.15 and found["quality"] == 0.0
    assert scores(walk())["limb_deviation"] < 1e-3


def test_turning_away_is_no_stretching():
    turned = walk()
    angle = np.linspace(0, np.pi, len(turned))
    c, s = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([c, 0 * c, s], 1), np.stack([0 * c, 0 * c + 1, 0 * c], 1), np.stack([-s, 0 * c, c], 1)], 1)
    turned = np.einsum("tij,tkj->tki", turn, turned - turned[:, :1]) + turned[:, :1]
    assert scores(turned)["limb_deviation"] < 1e-3


def test_skating_costs_more_quality_than_walking():
    assert scores(skating())["foot_slide_m_s"] == pytest.approx(2.0, abs=0.01)
    assert scores(skating())["quality"] < 0.8
    assert scores(walk())["foot_slide_m_s"] < 1.0


def test_a_frozen_clip_is_not_realistic():
    assert scores(frozen())["realism"] == 0.0


def test_the_order_and_company_of_clips_do_not_matter():
    clips = [alone(make()) for make in (*GOOD.values(), frozen, jittery, teleport, stretching)]
    together = score_clips(clips, CONFIG)
    for i, clip in enumerate(clips):
        apart = score_clips([clip], CONFIG)
        assert {name: together[name][i] for name in SCORES} == {name: apart[name][0] for name in SCORES}


def test_lying_crawling_and_handstands_are_motion_like_any_other():
    upright = walk()
    lying = upright[..., [2, 0, 1]]
    for other in (lying - lying[..., 1].min(), upright * [1, -1, 1] - (upright * [1, -1, 1])[..., 1].min()):
        assert over(scores(other)) == set()


def test_a_clip_is_as_bad_as_its_worst_person_but_a_listener_is_no_fault():
    def two(a, b):
        joints = np.stack([a, b], 1)
        return {k: v[0] for k, v in score_clips([(joints, np.ones(joints.shape[:2], bool), np.zeros(22, np.uint8))], CONFIG).items()}

    assert two(walk(), jittery())["jitter"] == scores(jittery())["jitter"]
    assert two(walk(), frozen())["static_share"] == scores(walk())["static_share"]
    assert over(two(walk(), frozen())) == set()


def test_a_person_who_is_absent_for_a_while_does_not_explode():
    joints = np.stack([walk(), walk()], 1)
    present = np.ones(joints.shape[:2], bool)
    present[40:90, 1] = False
    joints[~present] = 0.0
    joints[90:, 1] += [3, 0, 0]
    found = {k: v[0] for k, v in score_clips([(joints, present, np.zeros(22, np.uint8))], CONFIG).items()}
    assert found["explosion_z"] < 1.5 and found["plausible_speed"] == 1.0


def test_joints_that_are_not_known_are_not_judged():
    joints = walk()
    joints[:, JOINT["left_wrist"]] = np.random.default_rng(0).normal(size=(len(joints), 3))
    source = np.zeros(22, np.uint8)
    source[JOINT["left_wrist"]] = 2
    found = {k: v[0] for k, v in score_clips([(joints[:, None], np.ones((len(joints), 1), bool), source)], CONFIG).items()}
    assert over({k: float(v) for k, v in found.items()}) == set() and found["limb_deviation"] < 1e-3
    assert found["completeness"] == pytest.approx(21 / 22, abs=1e-3)


def test_standing_with_the_noise_of_a_sensor_is_not_jitter():
    joints = np.repeat(walk()[:1], 150, 0) + np.random.default_rng(0).normal(0, 0.002, (150, 22, 3))
    assert scores(joints)["jitter"] < CONFIG.jitter_limit


def test_no_frames_and_few_frames_are_scored_without_a_word():
    for frames in (1, 2, 3, 4, 5, 6):
        found = scores(walk()[:frames])
        assert all(np.isfinite(value) for value in found.values())


def test_camera_stability_knows_shake_from_pan_and_nothing_without_a_camera():
    t = np.arange(100) / FPS
    pan = np.stack([0.8 * t, 1 + 0.1 * t, 1 + 0.1 * t], 1)
    shaken = pan + np.random.default_rng(0).normal(0, 0.03, pan.shape)
    assert camera_stability(pan, "measured", CONFIG) > 0.95
    assert camera_stability(shaken, "measured", CONFIG) < 0.6
    assert camera_stability(shaken, "none", CONFIG) is None


def idle(seconds=6.0, sway_m=0.002):
    """Somebody who stands and sways a little."""
    t = np.arange(int(seconds * FPS)) / FPS
    return np.repeat(walk()[:1], len(t), 0) + sway_m * np.sin(2 * np.pi * 0.3 * t)[:, None, None]


def labelled(joints, action):
    actions = np.full((len(joints), 1), load_actions().id_of(action) if action else -1, np.int16)
    return {name: float(values[0]) for name, values in score_clips([alone(joints)], CONFIG, [actions]).items()}


@pytest.mark.parametrize("action", CONFIG.held_actions)
def test_who_stands_or_sits_as_labelled_is_no_artefact(action):
    assert over(scores(idle())) == {"static_share"} == over(labelled(idle(), "wave")) == over(labelled(idle(), None))
    found = labelled(idle(), action)
    assert over(found) == set() and found["static_share"] < 0.05 and found["quality"] > 0.9


def test_a_held_posture_that_repeats_to_the_last_bit_is_a_dead_sensor():
    assert over(labelled(frozen(), "stand")) == {"static_share"}


def test_a_label_excuses_its_own_frames_only():
    joints = idle(10.0)
    actions = np.full((len(joints), 1), -1, np.int16)
    actions[: len(joints) // 4] = load_actions().id_of("stand")
    (share,) = score_clips([alone(joints)], CONFIG, [actions])["static_share"]
    assert share == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("part, unit", [("jitter", "limit"), ("static", "limit"), ("explosion", "limit_z"), ("repetition", "limit")])
def test_each_documented_threshold_is_in_the_configuration_with_its_unit(part, unit):
    assert getattr(CONFIG, f"{part}_{unit}") == {"jitter": 0.3, "static": 0.8, "explosion": 3.0, "repetition": 0.7}[part]
    assert (CONFIG.static_step_m, CONFIG.repetition_lags_frames) == (0.01, (5, 20))
