"""Stick layouts, projection and mirroring: the drawn body is the posed body, and left stays left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stickgen_core.errors import ConfigError
from stickgen_core.skeleton import JOINT, SkeletonConfig, layout_of_width, mirror_joints, project, stick_layout, sticks

LAYOUTS = ("stick20", "stick48")


def bodies(*leading, seed=0):
    return np.random.default_rng(seed).normal(size=(*leading, 22, 3))


@pytest.mark.parametrize("name", LAYOUTS)
def test_mirroring_twice_is_nothing(name):
    joints = bodies(5, 2)
    assert np.array_equal(mirror_joints(mirror_joints(joints)), joints)


@pytest.mark.parametrize("name", LAYOUTS)
def test_from_the_front_a_mirrored_body_has_swapped_and_flipped_sides(name):
    layout, joints = stick_layout(name), bodies(4, 1)
    there = sticks(joints, layout, 0.0).reshape(4, 1, -1, 2, 2)
    back = sticks(mirror_joints(joints), layout, 0.0).reshape(4, 1, -1, 2, 2)
    for index, segment in enumerate(layout.segment_names):
        if segment.startswith("left_"):
            other = layout.index(segment.replace("left_", "right_"))
            assert_allclose(back[:, :, index], there[:, :, other] * [-1, 1])
            assert not np.allclose(back[:, :, index], there[:, :, index] * [-1, 1])


def test_mirroring_swaps_the_ends_of_the_legs_stick():
    layout, joints = stick_layout("stick20"), bodies(1, 1)
    legs = layout.index("legs")
    there = sticks(joints, layout, 0.0).reshape(-1, 5, 2, 2)[0, legs]
    back = sticks(mirror_joints(joints), layout, 0.0).reshape(-1, 5, 2, 2)[0, legs]
    assert_allclose(back[0], there[1] * [-1, 1])


def test_stick20_is_the_documented_one():
    joints = np.zeros((1, 1, 22, 3))
    joints[..., JOINT["head"], :] = [0, 1.6, 0]
    joints[..., JOINT["neck"], :] = [0, 1.5, 0]
    joints[..., JOINT["left_wrist"], :] = [0.7, 1.4, 0]
    joints[..., JOINT["right_foot"], :] = [-0.1, 0, 0.2]
    found = sticks(joints, stick_layout("stick20"), 0.0)[0, 0].reshape(5, 4)
    assert_allclose(found[0], [0, 1.5, 0, 1.75])
    assert_allclose(found[1], [0, 1.5, 0, 0])
    assert_allclose(found[2], [0, 0, 0.7, 1.4])
    assert_allclose(found[4], [0, 0, -0.1, 0])


def test_widths_and_names():
    assert stick_layout().width == 20
    assert stick_layout("stick48").width == 48
    assert len(stick_layout("stick48").segments) == 12
    assert layout_of_width(48).name == "stick48"
    assert stick_layout(config=SkeletonConfig(head_top_factor=2)).head_top_factor == 2
    with pytest.raises(ConfigError, match="stick21"):
        stick_layout("stick21")
    with pytest.raises(ConfigError, match="21 numbers"):
        layout_of_width(21)


@pytest.mark.parametrize("name", LAYOUTS)
def test_mass_shares_add_up_and_a_limb_weighs_the_same_in_both_layouts(name):
    layout = stick_layout(name)
    assert_allclose(layout.mass_weights.sum(), 1.0)
    total = {limb: sum(s.share for s in layout.segments if limb in s.name) for limb in ("head", "torso")}
    assert total == {"head": 0.08, "torso": 0.50}


@given(st.floats(-180, 180), st.floats(-5, 5), st.floats(-5, 5))
def test_projection_keeps_height_and_never_lengthens(angle, x, z):
    seen = project(np.array([x, 1.3, z]), angle)
    assert seen[1] == 1.3
    assert abs(seen[0]) <= np.hypot(x, z) + 1e-12


def test_projection_sides():
    assert_allclose(project([1.0, 0, 0], 0), [1, 0])
    assert_allclose(project([0, 0, 1.0], 90), [1, 0], atol=1e-15)
    assert_allclose(project([0, 0, 1.0], 45), [np.sqrt(0.5), 0])
    turning = project(np.broadcast_to([1.0, 0, 0], (3, 3)), np.array([0, 90, 180]))
    assert_allclose(turning[:, 0], [1, 0, -1], atol=1e-15)


def test_turning_the_body_is_turning_the_view():
    from stickgen_core.skeleton.rotations import rotation_about

    joints = bodies(3)
    turned = joints @ rotation_about("Y", np.deg2rad(30)).T
    assert_allclose(project(turned, 45), project(joints, 75), atol=1e-12)
