"""Forward kinematics against chains that can be worked out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from stickgen_core.skeleton import PARENTS, forward_kinematics, world_rotations
from stickgen_core.skeleton.rotations import axis_angle_to_matrix, quaternion_to_matrix


def test_a_bent_chain_by_hand():
    # Root turns 90° about Z (x -> y), the elbow 90° more (x -> -x of the world).
    turn = axis_angle_to_matrix([0, 0, np.pi / 2])
    rotations = np.stack([turn, turn, np.eye(3)])[None]
    offsets = np.array([[9, 9, 9], [1, 0, 0], [2, 0, 0]])
    found = forward_kinematics(rotations, offsets, [-1, 0, 1], np.array([[10.0, 0, 5]]))
    assert_allclose(found[0], [[10, 0, 5], [10, 1, 5], [8, 1, 5]], atol=1e-12)


def test_identity_adds_offsets_and_bones_keep_their_length_under_any_pose():
    rng = np.random.default_rng(1)
    offsets = rng.normal(size=(22, 3))
    rotations = quaternion_to_matrix(rng.normal(size=(6, 22, 4)))
    positions = forward_kinematics(rotations, offsets, PARENTS, rng.normal(size=(6, 3)))
    bones = positions[:, 1:] - positions[:, list(PARENTS[1:])]
    assert_allclose(np.linalg.norm(bones, axis=-1), np.broadcast_to(np.linalg.norm(offsets[1:], axis=-1), (6, 21)))
    one_by_one = np.stack([forward_kinematics(r, offsets, PARENTS, p) for r, p in zip(rotations, positions[:, 0], strict=True)])
    assert_allclose(positions, one_by_one)


def test_parents_may_come_after_their_children_and_unsigned_roots_count():
    rotations = np.broadcast_to(np.eye(3), (3, 3, 3))
    found = forward_kinematics(rotations, np.eye(3), np.array([1, 2, 2**32 - 1]), np.zeros(3))
    assert_allclose(found, [[1, 1, 0], [0, 1, 0], [0, 0, 0]])


def test_world_rotations_compose_down_the_chain():
    half = axis_angle_to_matrix([0, 0.5, 0])
    assert_allclose(world_rotations(np.stack([half, half]), [-1, 0])[1], axis_angle_to_matrix([0, 1.0, 0]), atol=1e-12)


@pytest.mark.parametrize("parents", [[-1, -1], [-1, 2, 1], [1, 0]])
def test_what_is_not_a_tree_is_refused(parents):
    with pytest.raises(ValueError, match="parents"):
        forward_kinematics(np.broadcast_to(np.eye(3), (len(parents), 3, 3)), np.zeros((len(parents), 3)), parents, np.zeros(3))
