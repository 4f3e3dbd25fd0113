"""Stick-native measures by motions whose answer is known."""

import numpy as np
import pytest

from stickgen_core.curation.config import ScoresConfig
from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.artefacts import artefact_score, artefacts, realism
from stickgen_core.evaluation.kinematics import (
    Anatomy,
    Motion,
    energy,
    foot_slide,
    ground_depth,
    jerk,
    longest_segments,
    overshoot,
    plausible_share,
    ratio,
    temporal_consistency,
    torn_joints,
)
from stickgen_core.evaluation.kinetics import kinetic_distance, kinetic_features
from stickgen_core.skeleton.sticks import stick_layout

FPS = 25.0
LAYOUT, RULES = stick_layout("stick20"), ScoresConfig()
ANATOMY = Anatomy.of(LAYOUT)


def shown(*clips: Motion) -> dict[str, np.ndarray]:
    """The artefacts of clips: name -> [N]."""
    return artefacts([c.motion for c in clips], [c.present for c in clips], LAYOUT, RULES)


def figure() -> np.ndarray:
    """One standing figure: head, torso, arms, legs as [20]."""
    return np.array([
        0, 1.5, 0, 1.75, 0, 1.5, 0, 0.9, -0.2, 1.4, -0.4, 0.9, 0.2, 1.4, 0.4, 0.9, -0.1, 0.03, 0.1, 0.03,
    ])  # fmt: skip


def clip(frames: int = 100, speed: float = 0.0, sway: float = 0.0, noise: float = 0.0, hz: float = 0.5, seed: int = 0) -> Motion:
    time = np.arange(frames) / FPS
    motion = np.tile(figure(), (frames, 1))
    motion[:, 0::2] += speed * time[:, None]
    motion[:, 10] += sway * np.sin(2 * np.pi * hz * time)
    return Motion.of(motion + noise * np.random.default_rng(seed).normal(size=motion.shape))


def test_the_anatomy_comes_from_the_layout():
    assert ANATOMY.joined == ((0, 2),) and ANATOMY.feet == (8, 9) and ANATOMY.pelvis == 3
    longer = Anatomy.of(stick_layout("stick48"))
    assert len(longer.feet) == 2 and len(longer.joined) > 4


def test_a_still_figure_has_no_energy_no_jerk_and_is_frozen_throughout():
    still = clip()
    assert energy(still, FPS) == 0 and jerk(still, FPS) == 0 and temporal_consistency(still) == 0
    assert shown(still)["static"].all() and not shown(clip(speed=1.0))["static"].any()


def test_uniform_travel_has_known_energy_and_no_jerk():
    moving = clip(speed=2.0)
    assert energy(moving, FPS) == pytest.approx(4.0)
    assert jerk(moving, FPS) == pytest.approx(0, abs=1e-6)
    assert temporal_consistency(moving) == pytest.approx(1)


def test_length_does_not_matter_to_a_measure_of_the_same_motion():
    for measure in (energy, jerk):
        assert measure(clip(200, sway=0.3), FPS) == pytest.approx(measure(clip(250, sway=0.3), FPS), rel=0.01)


def test_white_noise_is_jerky_inconsistent_and_jitters():
    loud = clip(noise=0.05)
    assert temporal_consistency(loud) == pytest.approx(-0.5, abs=0.05)
    assert shown(loud, clip(sway=0.3))["jitter"].tolist() == [True, False]


def test_kinetic_features_are_the_derivatives_of_each_end_in_si_units():
    """Uniform travel along the ground: its speed at every end, no acceleration, no jerk; a clip too short for one has none."""
    found = kinetic_features([clip(speed=1.5), Motion.of(clip().motion[:1])], 25.0)
    ends = found.shape[1] // 3
    assert found[0, :ends] == pytest.approx(1.5, rel=1e-5) and np.abs(found[0, ends : 2 * ends]).max() < 1e-2
    assert not found[1].any()


def test_the_kinetic_distance_knows_speed_and_noise_and_nothing_of_length():
    def of(**how):
        return kinetic_features([clip(sway=0.2, seed=n, frames=80 + 4 * n, hz=0.3 + 0.05 * n, **how) for n in range(20)], 25.0)

    real = of(noise=0.001)
    again = kinetic_features([clip(sway=0.2, seed=50 + n, frames=180 + 4 * n, hz=0.3 + 0.05 * n, noise=0.001) for n in range(20)], 25.0)
    levels = [kinetic_distance(of(noise=level), real).value for level in (0.001, 0.01, 0.03, 0.1)]
    assert levels == sorted(levels) and levels[1] > 0.5
    assert abs(kinetic_distance(again, real).value) < 0.2


@pytest.mark.filterwarnings("error")
def test_a_kinetic_distance_to_clips_that_do_not_vary_is_not_computed_and_says_so():
    moving = kinetic_features([clip(sway=0.1 * n, noise=0.001, seed=n) for n in range(1, 5)], FPS)
    still = kinetic_features([clip(), clip()], FPS)
    for generated, real, why in ((moving, moving[:1], "fewer than 2"), (moving[:1], moving, "fewer than 2"),
                                 (moving, still, "does not vary"), (moving, moving[[0, 0]], "does not vary")):  # fmt: skip
        found = kinetic_distance(generated, real)
        assert found.value is None and why in found.note and found.unit == "standard deviations"
    half_still = np.concatenate([moving, np.zeros_like(moving)], 1)
    assert kinetic_distance(np.tile(moving, 2), half_still).value == pytest.approx(kinetic_distance(moving, moving).value)


def test_sliding_feet_are_measured_only_in_contact():
    arguments = (ANATOMY, FPS, 0.08, 0.3)
    assert foot_slide(clip(speed=1.0), *arguments) == pytest.approx(1.0)
    airborne = clip(speed=1.0).motion + np.tile([0, 1.0], 10)
    assert foot_slide(Motion.of(airborne), *arguments) == 0
    assert foot_slide(clip(sway=0.5), *arguments) == 0


def test_depth_below_ground_is_in_metres():
    assert ground_depth(clip()) == 0
    assert ground_depth(Motion.of(clip().motion - np.tile([0, 0.13], 10))) == pytest.approx(0.10)


def test_limbs_may_shorten_under_projection_but_not_stretch():
    real = [clip()]
    longest = longest_segments(real, 0.999)
    assert overshoot(Motion.of(clip().motion * 0.5), longest) == 0
    assert overshoot(Motion.of(clip().motion * 1.1), longest) == pytest.approx(0.1)


def test_a_torn_neck_is_measured_in_metres():
    torn = clip().motion.copy()
    torn[..., 0] += 0.2
    assert torn_joints(clip(), ANATOMY) == 0
    assert torn_joints(Motion.of(torn), ANATOMY) == pytest.approx(0.2)


def test_a_jump_in_one_frame_is_an_explosion_and_implausible():
    walk = clip(speed=1.0, sway=0.3)
    jumped = walk.motion.copy()
    jumped[50:] += 3.0
    assert shown(Motion.of(jumped), walk)["explosion"].tolist() == [True, False]
    assert plausible_share(walk, ANATOMY, FPS, 15, 100) == 1
    assert plausible_share(Motion.of(jumped), ANATOMY, FPS, 15, 100) < 1


def test_frames_without_the_person_are_not_measured():
    motion = clip(speed=1.0).motion.copy()
    motion[40:60] = 0
    present = np.ones((100, 1), bool)
    present[40:60] = False
    assert energy(Motion.of(motion, present), FPS) == pytest.approx(1.0)
    assert torn_joints(Motion.of(motion, present), ANATOMY) == 0
    assert energy(Motion.of(motion), FPS) > 10


def test_realism_falls_with_noise_and_artefacts():
    real_jerk = jerk(clip(sway=0.3), FPS)
    louder = [clip(sway=0.3, noise=noise) for noise in (0.0, 0.005, 0.05)]
    score = artefact_score(shown(*louder))
    scores = realism(np.array([jerk(c, FPS) for c in louder]), real_jerk, score, np.ones(3))
    assert (np.diff(scores) < 0).all() and ((scores >= 0) & (scores <= 1)).all() and score[0] == 0


def test_travel_is_no_repetition_and_a_stuck_loop_is_one():
    loop = clip(240).motion.copy()
    beat = 0.3 * np.sin(2 * np.pi * np.arange(240) / 12)
    loop[..., 8:20] += beat[:, None, None]
    walk = loop.copy()
    walk[..., 0::2] += 1.2 * np.arange(240)[:, None, None] / FPS
    assert shown(Motion.of(loop), Motion.of(walk))["repetition"].tolist() == [True, False]


def test_one_rule_for_captures_and_sticks():
    """The ends of the sticks are scored by curation's own functions: the same points as joints in space get the same verdict."""
    from stickgen_core.curation import parts
    from stickgen_core.curation.tracks import Tracks

    noisy = clip(sway=0.3, noise=0.02)
    points = noisy.ends()[:, :, [0, 1, 3, 4, 5, 6, 7, 8, 9]]
    space = np.concatenate([points, np.zeros((*points.shape[:3], 1))], -1)
    tracks = Tracks.of([(space, noisy.present, np.zeros(9, np.uint8))])
    limit = float(parts.jitter(tracks, parts.steps(tracks), RULES)[0])
    for factor, verdict in ((1.01, False), (0.99, True)):
        rules = RULES.model_copy(update={"jitter_limit": factor * limit})
        assert artefacts([noisy.motion], [noisy.present], LAYOUT, rules)["jitter"].tolist() == [verdict]


def test_a_ratio_to_real_is_one_for_real_and_says_when_it_means_nothing():
    values = np.random.default_rng(0).uniform(1, 2, 100)
    assert ratio(values, values).value == pytest.approx(1)
    assert ratio(2 * values, values).value == pytest.approx(2)
    assert ratio(values, np.zeros(5)).value is None


def test_non_finite_motion_is_refused():
    with pytest.raises(StickgenError, match="not finite"):
        Motion.of(np.full((10, 20), np.nan))
