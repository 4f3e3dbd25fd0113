"""`.motion` files: valid, small, deterministic, the same after a round trip; a broken one is one line."""

import copy
import json

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from bench.clips import random_clip
from stickgen_core.errors import StickgenError
from stickgen_core.rendering import scene_of_clip, scene_of_motion
from stickgen_core.rendering.motionfile import document, first_problem, motion_text, read_motion, scene_of_document, schema, write_motion
from stickgen_core.skeleton import physics, stick_layout, sticks
from tests.core.rendering.rendering_people import FPS, clip, scene, walker


def full():
    return scene_of_clip(clip(250), FPS, ["stand", "walk"])


def test_ten_seconds_with_everything_are_valid_and_under_200_kb(tmp_path):
    size = write_motion(tmp_path / "a.motion", full())
    assert size < 200_000
    text = (tmp_path / "a.motion").read_text()
    value = json.loads(text)
    jsonschema.validate(value, schema())
    assert len(value["motion"]) == 250 * 20
    assert ": " not in text.replace(": ", "", 0)[:200]


def test_round_trip_is_exact_and_deterministic(tmp_path):
    first = motion_text(full())
    write_motion(tmp_path / "a.motion", full())
    found = read_motion(tmp_path / "a.motion")
    assert motion_text(found) == first == motion_text(full())
    assert_allclose(found.motion, full().motion, atol=5.1e-4)
    assert found.captions == full().captions
    assert found.moods == full().moods


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 8), st.integers(1, 3), st.sampled_from([20, 48]), st.text(max_size=30), st.integers(0, 2**31), st.booleans(),
)  # fmt: skip
def test_any_scene_is_valid_and_survives(frames, actors, width, caption, seed, joints):
    random = np.random.default_rng(seed)
    motion = random.normal(size=(frames, actors, width)) * 10
    body = random.normal(size=(frames, actors, 22, 3)) if joints else None
    made = scene_of_motion(motion, 25.0, caption, joints=body, present=random.random((frames, actors)) > 0.3)
    value = json.loads(motion_text(made))
    jsonschema.validate(value, schema())
    assert first_problem(value) is None
    assert motion_text(scene_of_document(value)) == motion_text(made)


def people(count, frames=250, width="stick20"):
    """People who walk apart, with everything that a file may hold."""
    joints = np.concatenate([walker(frames) + [0.7 * n, 0, 0] for n in range(count)], axis=1)
    joints = joints + np.random.default_rng(0).normal(size=joints.shape) * 0.05
    motion = sticks(joints, stick_layout(width), 45.0)
    return scene_of_motion(
        motion, FPS, "people walk", joints=joints, physics=physics(motion, FPS), actions=np.ones(motion.shape[:2], int),
        camera=np.tile([0, 1, 1], (frames, 1)),
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_ten_seconds_of_any_number_of_people_stay_under_200_kb(count):
    made = people(count)
    text = motion_text(made)
    assert len(text.encode()) < 200_000
    found = scene_of_document(json.loads(text))
    assert motion_text(found) == text
    if count > 2:
        assert found.joints is None
    else:
        assert_allclose(found.joints, made.joints, atol=5.1e-4 if count == 1 else 5.1e-3)


@pytest.mark.slow
def test_a_thousand_exports_hold_to_the_schema():
    """Clips of one and two people, with and without texts: all valid, bounded, the same when read and written again."""
    check = jsonschema.Draft202012Validator(schema())
    for number in range(1000):
        made = scene_of_clip(random_clip(number, frames=25 + number % 40, actors=2 if number % 16 == 5 else 1), FPS)
        text = motion_text(made)
        value = json.loads(text)
        assert next(check.iter_errors(value), None) is None and first_problem(value) is None
        assert motion_text(scene_of_document(value)) == text
        assert len(text.encode()) < 200_000


def spoiled():
    def change(*path, to):
        def apply(value):
            *way, last = path
            for key in way:
                value = value[key]
            if to is KeyError:
                del value[last]
            else:
                value[last] = to

        return apply

    return [
        (change("motion", to=KeyError), "missing key 'motion'"),
        (change("motions", to=[]), "unknown key 'motions'"),
        (change("motion", 3, to="x"), r"motion\[3\]"),
        (change("motion", 3, to=True), r"motion\[3\]"),
        (change("motion", to=[1, 2]), "expected a flat list of 1000"),
        (change("meta", "version", to=2), "version 2"),
        (change("meta", "frames", to=0), "meta.frames"),
        (change("meta", "frames", to=49), "motion: expected"),
        (change("meta", "fps", to=-1), "meta.fps"),
        (change("meta", "id", to=""), "meta.id"),
        (change("skeleton", "layout", to="stick21"), "skeleton.layout"),
        (change("skeleton", "width", to=48), "skeleton.width"),
        (change("skeleton", "segments", to=[]), "skeleton.segments"),
        (change("joints", to=[0.0]), "joints: expected"),
        (change("captions", to=[{"text": 1}]), r"captions\[0\]"),
        (change("captions", to={}), "captions: expected a list"),
        (change("face", 0, 0, "mouth", to="grin"), "mouth: expected one of"),
        (change("face", to=[[None]]), r"face\[0\]\[0\]"),
        (change("actions", to=[0.5] * 50), "actions"),
        (change("present", to=[2] * 50), "present"),
    ]


@pytest.mark.parametrize(("change", "message"), spoiled())
def test_a_spoiled_document_is_one_line(tmp_path, change, message):
    value = copy.deepcopy(document(scene()))
    change(value)
    file = tmp_path / "bad.motion"
    file.write_text(json.dumps(value))
    with pytest.raises(StickgenError, match=message) as error:
        read_motion(file)
    assert "\n" not in str(error.value)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"meta":NaN}', "\x00"])
def test_what_is_no_motion_is_one_line(tmp_path, text):
    (tmp_path / "bad.motion").write_text(text)
    with pytest.raises(StickgenError) as error:
        read_motion(tmp_path / "bad.motion")
    assert "\n" not in str(error.value)


def test_infinity_in_a_file_is_refused(tmp_path):
    (tmp_path / "a.motion").write_text(motion_text(scene()).replace('"motion":[', '"motion":[1e999,', 1))
    with pytest.raises(StickgenError, match="motion"):
        read_motion(tmp_path / "a.motion")
