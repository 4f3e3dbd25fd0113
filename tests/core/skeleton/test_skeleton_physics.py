"""Physics of the stick plane: exact on motions whose derivatives are known, at the ends too, in NumPy and torch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from stickgen_core.skeleton import layout_of_width, physics, physics_where_present

FPS = 25.0


def moving(x, y, width=20, actors=1):
    """A rigid figure whose every point follows (x, y)."""
    pose = np.random.default_rng(3).normal(size=(1, actors, width // 2, 2))
    path = np.stack([x, y], -1)[:, None, None]
    return (pose + path).reshape(len(x), actors, width)


@pytest.mark.parametrize("width", [20, 48])
@pytest.mark.parametrize("frames", [2, 3, 4, 30])
def test_uniform_motion_has_constant_velocity_and_no_acceleration(width, frames):
    t = np.arange(frames) / FPS
    found = physics(moving(1.5 * t, -0.5 * t, width), FPS)
    assert_allclose(found, np.broadcast_to([1.5, -0.5, 0, 0, 1.5, -0.5], (frames, 1, 6)), atol=1e-9)


@pytest.mark.parametrize("frames", [3, 4, 5, 30])
def test_a_parabola_is_exact_to_its_ends(frames):
    t = np.arange(frames) / FPS
    found = physics(moving(t, 3 * t - 4.905 * t**2), FPS)[:, 0]
    assert_allclose(found[:, 1], 3 - 9.81 * t, atol=1e-9)
    assert_allclose(found[:, 3], -9.81, atol=1e-8)
    assert_allclose(found[:, 5], found[:, 1], atol=1e-9)


def test_one_frame_has_no_motion():
    assert not physics(np.ones((1, 2, 20)), FPS).any()


def test_momentum_is_the_weighted_segment_middles():
    motion = np.zeros((5, 20))
    motion[:, 2] = np.arange(5) / FPS  # the head top alone moves at 1 m/s: half of the head's share
    found = physics(motion, FPS)
    assert_allclose(found[:, 4], 0.04)
    assert_allclose(found[:, 0], 0)
    motion = np.zeros((5, 20))
    motion[:, 6] = np.arange(5) / FPS  # the pelvis: half the torso and half the legs
    assert_allclose(physics(motion, FPS)[:, 4], 0.25 + 0.16)
    assert_allclose(physics(motion, FPS)[:, 0], 1)


def test_leading_axes_are_batches():
    motion = np.random.default_rng(0).normal(size=(3, 9, 2, 20))
    assert_allclose(physics(motion, FPS)[1], physics(motion[1], FPS))
    assert_allclose(physics(motion, FPS)[2, :, 1], physics(motion[2, :, 1], FPS))


def test_torch_agrees_and_passes_gradients():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    motion = np.random.default_rng(0).normal(size=(2, 9, 2, 20))
    tensor = torch.tensor(motion, requires_grad=True)
    found = physics(tensor, FPS)
    assert_allclose(found.detach().numpy(), physics(motion, FPS), rtol=1e-12)
    found.square().sum().backward()
    assert torch.isfinite(tensor.grad).all()
    assert physics(tensor.float(), FPS).dtype == torch.float32


def test_an_entrance_is_not_an_acceleration():
    t = np.arange(20) / FPS
    motion = moving(5 + t, t, actors=2)
    present = np.ones((20, 2), bool)
    present[:7, 1] = False
    motion[~present] = 0
    found = physics_where_present(motion, present, FPS, layout_of_width(20))
    assert_allclose(found[7:, 1], np.broadcast_to([1, 1, 0, 0, 1, 1], (13, 6)), atol=1e-9)
    assert not found[:7, 1].any()
    assert np.abs(physics(motion, FPS)[:, 1]).max() > 100
