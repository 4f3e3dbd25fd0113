"""Rotations: every form leads to every other and back, conventions are the stated ones."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from stickgen_core.skeleton import rotations as r

RNG = np.random.default_rng(5)


def random_matrices(*shape):
    return r.quaternion_to_matrix(RNG.normal(size=(*shape, 4)))


def test_matrices_are_proper():
    m = random_matrices(7, 5)
    assert_allclose(m @ np.swapaxes(m, -1, -2), np.broadcast_to(np.eye(3), m.shape), atol=1e-12)
    assert_allclose(np.linalg.det(m), 1.0)


def test_round_trips():
    m = random_matrices(50, 4)
    assert_allclose(r.axis_angle_to_matrix(r.matrix_to_axis_angle(m)), m, atol=1e-10)
    assert_allclose(r.quaternion_to_matrix(r.matrix_to_quaternion(m)), m, atol=1e-12)
    assert_allclose(r.matrix_from_6d(r.matrix_to_6d(m)), m, atol=1e-12)


@pytest.mark.parametrize("order", r.EULER_ORDERS)
def test_euler_round_trip_and_agreement_with_scipy(order):
    angles = RNG.uniform(-3, 3, size=(100, 3))
    m = r.euler_to_matrix(angles, order)
    assert_allclose(m, Rotation.from_euler(order, angles).as_matrix(), atol=1e-12)
    assert_allclose(r.euler_to_matrix(r.matrix_to_euler(m, order), order), m, atol=1e-9)


@pytest.mark.parametrize("order", r.EULER_ORDERS)
@pytest.mark.parametrize("middle", [0.0, np.pi / 2, -np.pi / 2, np.pi])
def test_euler_at_gimbal_lock_still_gives_the_same_rotation(order, middle):
    m = r.euler_to_matrix([0.7, middle, -0.4], order)
    assert_allclose(r.euler_to_matrix(r.matrix_to_euler(m, order), order), m, atol=1e-7)


def test_half_turns_and_the_identity():
    vectors = np.array([[0, 0, 0], [np.pi, 0, 0], [0, np.pi, 0], [1e-12, 0, 0], [0, 0, np.pi - 1e-9]])
    assert_allclose(
        r.axis_angle_to_matrix(r.matrix_to_axis_angle(r.axis_angle_to_matrix(vectors))), r.axis_angle_to_matrix(vectors), atol=1e-9
    )
    assert_allclose(r.axis_angle_to_matrix(np.zeros(3)), np.eye(3))


def test_left_turn_about_y_takes_z_to_x():
    assert_allclose(r.axis_angle_to_matrix([0, np.pi / 2, 0]) @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    assert_allclose(r.rotation_about("Y", np.pi / 2) @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_product_of_quaternions_is_the_product_of_matrices():
    p, q = RNG.normal(size=(2, 20, 4))
    p, q = r.normalised(p), r.normalised(q)
    assert_allclose(r.quaternion_to_matrix(r.quaternion_multiply(p, q)), r.quaternion_to_matrix(p) @ r.quaternion_to_matrix(q), atol=1e-12)


def test_slerp_moves_evenly_takes_the_short_arc_and_hits_its_ends():
    start, end = r.axis_angle_to_quaternion([0, 0, 0]), r.axis_angle_to_quaternion([0, 1.2, 0])
    t = np.linspace(0, 1, 7)
    for target in (end, -end):
        path = r.quaternion_to_axis_angle(r.slerp(start, target, t))
        assert_allclose(path[:, 1], 1.2 * t, atol=1e-12)
    assert_allclose(r.slerp(start, start, t), np.broadcast_to(start, (7, 4)), atol=1e-15)


def test_a_wrong_order_is_refused():
    with pytest.raises(ValueError, match="XXY"):
        r.euler_to_matrix([0, 0, 0], "XXY")
