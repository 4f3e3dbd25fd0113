"""The synthetic source: the same clip from the same index, bodies that keep their bones, feet that stay where they stand."""

from pathlib import Path

import numpy as np
import pytest

from stickgen_core.records.seeds import generator
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.synthetic import SyntheticReader
from stickgen_core.sources.synthetic.acts import Act
from stickgen_core.sources.synthetic.checks import bone_lengths, faults, stance_slide
from stickgen_core.sources.synthetic.company import TOGETHER, pair
from stickgen_core.sources.synthetic.compose import matching_rule
from stickgen_core.sources.synthetic.drawing import Drawer
from stickgen_core.sources.synthetic.scene import Person, Scene, moves_of
from stickgen_core.sources.synthetic.stage import play
from stickgen_core.sources.synthetic.truth import untrue
from tests.core.synthetic.synthetic_clips import SOURCE, made, reader


@pytest.fixture(scope="module")
def source() -> SyntheticReader:
    return SOURCE


@pytest.fixture(scope="module")
def clips(source: SyntheticReader) -> list:  # type: ignore[type-arg]
    return [made(i) for i in range(160)]


def test_a_clip_is_the_same_whatever_was_made_before_it(source, clips):
    fresh = reader()
    for index in (131, 7, 59):
        again = fresh.clip(index)
        assert np.array_equal(again.joints, clips[index].joints)
        assert (again.texts, again.labels, again.extra) == (clips[index].texts, clips[index].labels, clips[index].extra)


def test_blocks_do_not_change_the_clips():
    by_seven, by_fifty = reader(clips=20, block=7), reader(clips=20, block=50)
    missing = Path("no such folder")
    a = [c for u in by_seven.discover(missing).units for c in by_seven.read(missing, u)]
    b = [c for u in by_fifty.discover(missing).units for c in by_fifty.read(missing, u)]
    assert [c.key for c in a] == [c.key for c in b] == [f"{i:06d}" for i in range(20)]
    assert all(np.array_equal(x.joints, y.joints) for x, y in zip(a, b, strict=True))


def test_another_seed_is_another_clip(clips):
    other = reader(seed=99).clip(3)
    assert other.joints.shape != clips[3].joints.shape or not np.allclose(other.joints, clips[3].joints)


def test_bones_keep_their_length_before_and_after_the_cast(clips):
    for clip in clips:
        assert np.ptp(bone_lengths(clip.joints), axis=0).max() < 1e-9
        assert np.ptp(bone_lengths(clip.joints.astype(np.float32).astype(np.float64)), axis=0).max() < 5e-6


def test_nothing_sinks_into_the_ground(clips):
    assert min(clip.joints[..., 1].min() for clip in clips) > -0.01


def test_planted_feet_do_not_slide_and_a_slide_would_be_seen(source):
    slides = []
    for index in range(40):
        _, played, wrong = source.propose(index, 0)
        if not wrong:
            slides.append(stance_slide(played.joints, played.planted, source.config.fps))
    assert max(slides) < 0.01
    drift = played.joints + np.linspace(0, 0.5, len(played.joints))[:, None, None, None] * np.array([1.0, 0, 0])
    assert "stance_slide_m_s" in [name for name, _, _ in faults(drift, played.planted | True, source.config.fps)]


def test_a_stretched_bone_is_a_fault(source):
    _, played, _ = source.propose(1, 0)
    bad = played.joints.copy()
    bad[5:, :, 20] += 0.01
    assert "bone_length_m" in [name for name, _, _ in faults(bad, played.planted, source.config.fps)]


def test_most_proposals_are_accepted(source):
    wrong = [bool(source.propose(index, 0)[2]) for index in range(200)]
    assert np.mean(wrong) <= 0.05


def test_motion_is_smooth_to_the_second_derivative(clips):
    """A jump in acceleration would show as a jerk that grows with the frame rate; here it stays within human bounds."""
    jerk = [np.abs(np.diff(c.joints, 3, axis=0)).max() * c.fps**3 for c in clips]
    assert np.median(jerk) < 4000 and max(jerk) < 25000


def test_every_action_of_the_vocabulary_can_be_drawn_and_is_labelled(clips):
    moves, _ = moves_of()
    ids = load_actions().ids
    together = {"shake_hands", "hug"}
    assert set(ids) - moves.action_names - together == set()
    seen = {label.action for clip in clips for label in clip.labels}
    assert len(seen) >= 45


@pytest.mark.slow
def test_every_action_occurs_in_the_demo():
    seen = {label.action for index in range(3000) for label in SOURCE.clip(index).labels}
    assert seen == set(load_actions().ids.values())


def test_held_out_compositions_are_the_test_split_and_twins_share_an_origin(clips):
    for first, second in ((18, 19), (38, 39), (118, 119)):
        a, b = clips[first], clips[second]
        assert a.origin == b.origin and a.official_split == b.official_split == "test"
        assert a.protocol == "compositional" and a.extra["minimal_twin"] == b.key
        assert a.joints.shape != b.joints.shape or not np.allclose(a.joints, b.joints)
    for clip in clips:
        assert (clip.official_split == "test") == (clip.extra["split_hint"] == "compositional")


def test_no_composition_that_is_held_out_is_left_in_training(clips):
    """What falls under a rule is test, by chance or as a pair; of everything else only the twins of such pairs are."""
    for clip in (made(i) for i in range(250)):
        people = tuple(Person((0.0, 0.0, 0.0), tuple(Act(**act) for act in person["acts"])) for person in clip.extra["people"])
        under = matching_rule(Scene(clip.extra["kind"], people, 1.0), SOURCE.config) >= 0
        assert (clip.official_split == "test") == (under or "minimal_twin" in clip.extra)


def test_every_way_of_moving_that_was_asked_for_is_a_move():
    going = "walk run sprint jog skip limp tiptoe march crawl walk_backward sidestep turn"
    standing = "wave clap point punch kick throw catch swing jump squat lunge bow stretch_up look_around drink phone read type stand"
    moves = SOURCE.moves
    assert set(going.split()) <= set(moves.gaits) and {"circle_left", "left"} <= set(moves.gaits["walk"].paths)
    assert set(standing.split()) <= set(moves.gestures) and sum(name.startswith("dance") for name in moves.gestures) >= 3
    assert {"sit", "kneel", "lie_back", "lie_front"} <= set(moves.postures)
    assert {"left", "right", "both"} == set(moves.gestures["wave"].sides)


@pytest.mark.parametrize("script", [*TOGETHER, "mirror"])
def test_what_two_people_do_together_can_be_drawn_and_is_true(script):
    held = 0
    for seed in range(6):
        rng = generator(seed, "company", script)
        scene = pair(Drawer(rng, SOURCE.moves, SOURCE.config, (2.0, 6.0)), script)
        played = play(scene, SOURCE.moves, SOURCE.config, rng, SOURCE.ids)
        wrong = faults(played.joints, played.planted, SOURCE.config.fps) or untrue(scene, played.joints, SOURCE.moves, SOURCE.config.fps)
        assert played.joints.shape[1] == 2
        held += not wrong
    assert held >= 4


def test_labels_cover_the_clip_and_texts_are_captions(clips):
    for clip in clips:
        seconds = len(clip.joints) / clip.fps
        assert {t.kind for t in clip.texts} == {"caption"} and len(clip.texts) >= 1
        for actor in range(clip.joints.shape[1]):
            spans = [(x.start_s, x.end_s) for x in clip.labels if x.actor == actor]
            assert min(s for s, _ in spans) == 0.0 and abs(max(e for _, e in spans) - seconds) < 0.05
            assert all(e > s for s, e in spans)
