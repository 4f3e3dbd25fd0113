"""Captions: few proposals are untrue, twins differ in what they say, the checker can tell a lie, words are many."""

from dataclasses import replace

import numpy as np
import pytest

from stickgen_core.skeleton.mirror import mirror_joints
from stickgen_core.sources.synthetic.acts import Act
from stickgen_core.sources.synthetic.truth import measure, untrue, wrong_facts
from stickgen_core.sources.synthetic.words import conjugated
from tests.core.synthetic.synthetic_clips import SOURCE, made


def act_of(clip, person: int = 0, number: int = 0) -> Act:
    return Act(**clip.extra["people"][person]["acts"][number])


def single_clips(count: int):
    clips = (made(i) for i in range(count))
    return [c for c in clips if c.extra["kind"] == "single" and len(c.extra["people"][0]["acts"]) == 1]


def test_nearly_every_proposal_is_already_true():
    """Untrue proposals are refused, so accepted clips are true by construction; that few are refused is what this holds."""
    lies = 0
    for index in range(250):
        scene, played, _ = SOURCE.propose(index, 0)
        lies += bool(untrue(scene, played.joints, SOURCE.moves, SOURCE.config.fps))
    assert lies <= 5


def test_the_checker_sees_a_wrong_side_a_wrong_count_and_a_wrong_tempo():
    seen = set()
    for clip in single_clips(250):
        act = act_of(clip)
        joints = clip.joints[:, 0]
        facts = measure(joints, act, SOURCE.moves, clip.fps)
        if facts.get("side") in ("left", "right"):
            assert any("side" in line for line in wrong_facts(mirror_joints(joints), act, SOURCE.moves, clip.fps)), act
            seen.add("side")
        if "count" in facts:
            assert any("count" in line for line in wrong_facts(joints, replace(act, count=act.count + 1), SOURCE.moves, clip.fps))
            seen.add("count")
        if facts.get("tempo") == "slow":
            assert any("tempo" in line for line in wrong_facts(joints, replace(act, tempo="fast"), SOURCE.moves, clip.fps))
            seen.add("tempo")
    assert seen == {"side", "count", "tempo"}


def test_twins_say_different_things_of_one_body():
    every = SOURCE.config.pair_every
    for start in range(0, 10 * every, every):
        a, b = made(start + every - 2), made(start + every - 1)
        assert a.extra["attempt"] == b.extra["attempt"] and a.extra["stature_m"] == b.extra["stature_m"]
        differing = {
            (n, k)
            for n, (x, y) in enumerate(zip(a.extra["people"][0]["acts"], b.extra["people"][0]["acts"], strict=True))
            for k in ("move", "side", "count", "path")
            if x.get(k) != y.get(k)
        }
        assert differing, start
        flip = a.extra["held_out"]["flip"]
        assert flip == "order" or {k for _, k in differing} == {flip}


def test_words_are_many_and_captions_differ():
    clips = [made(i) for i in range(250)]
    words = {w.strip(".,;:") for c in clips for t in c.texts for w in t.text.lower().split()}
    assert len(words) >= 400
    assert len({c.texts[0].text for c in clips}) >= 0.6 * len(clips)
    assert not any("{" in t.text for c in clips for t in c.texts)


@pytest.mark.parametrize(
    ("phrase", "third", "gerund"),
    [
        ("wave the left hand", "waves the left hand", "waving the left hand"),
        ("punch", "punches", "punching"),
        ("carry a box", "carries a box", "carrying a box"),
        ("sit down", "sits down", "sitting down"),
        ("lie down", "lies down", "lying down"),
        ("do a squat", "does a squat", "doing a squat"),
        ("extend one arm and point forward", "extends one arm and points forward", "extending one arm and pointing forward"),
    ],
)
def test_verbs_are_conjugated(phrase, third, gerund):
    assert conjugated(phrase, "3") == third and conjugated(phrase, "g") == gerund and conjugated(phrase, "b") == phrase


def test_a_camera_that_a_caption_names_is_in_the_track():
    shots = {}
    for index in range(250):
        clip = made(index)
        if clip.camera is not None:
            shots[clip.extra["camera_move"]] = clip
            assert clip.camera.shape == (len(clip.joints), 3) and np.isfinite(clip.camera).all()
        else:
            assert clip.extra["camera_move"] == "none" and "camera" not in " ".join(t.text for t in clip.texts)
    assert set(shots) == {"static", "pan", "zoom", "track", "dolly", "crane", "orbit"}
    zoom = shots["zoom"]
    inward = zoom.camera[-1, 2] > zoom.camera[0, 2]
    assert any((" in" if inward else " out") in t.text.split("zoom")[-1] for t in zoom.texts if "zoom" in t.text)
    assert shots["orbit"].azimuth_rad is not None
    assert np.ptp(shots["static"].camera, axis=0).max() == 0
