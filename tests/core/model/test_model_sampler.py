"""The sampler against a distribution whose exact answer is known, and against itself."""

import math
from pathlib import Path

import pytest
import torch

from stickgen_core.model.paths import TimeWeights, clean_from_output, coloured, draw_time, levels, noised
from stickgen_core.model.sampler import integrate
from stickgen_core.training.config import run_config

torch.set_num_threads(1)
CONFIGS = Path(__file__).parents[3] / "configs"
MEAN, STD = 0.7, 0.3


def posterior(path: str):
    """E[x | z, t] where x is N(MEAN, STD²): the best any network can do."""

    def denoise(z: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        at = levels(path, time[:, None])
        gain = at.signal * STD**2 / (at.signal**2 * STD**2 + at.noise**2)
        return MEAN + gain * (z - at.signal * MEAN)

    return denoise


def exact_map_std(path: str, steps: int) -> float:
    """Standard deviation after the first-order steps, composed by hand: each is affine in z."""
    slope = 1.0
    for n in range(steps):
        now, then = torch.tensor(n / steps, dtype=torch.float64), torch.tensor((n + 1) / steps, dtype=torch.float64)
        at, to = levels(path, now), levels(path, then)
        gain = at.signal * STD**2 / (at.signal**2 * STD**2 + at.noise**2)
        slope *= float(to.signal * gain + to.noise * (1 - at.signal * gain) / at.noise)
    return abs(slope)


@pytest.mark.parametrize("path", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [1, 5, 20, 50])
def test_euler_gives_the_gaussian_that_its_steps_must_give(path: str, steps: int) -> None:
    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = integrate(posterior(path), noise, steps, "euler", path)
    assert found.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert found.std().item() == pytest.approx(exact_map_std(path, steps) * noise.std().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("method", "steps", "tolerance"), [("euler", 20, 0.035), ("euler", 50, 0.015), ("heun", 20, 0.01), ("heun", 50, 0.004)]
)
@pytest.mark.parametrize("path", ["linear", "cosine"])
def test_more_steps_approach_the_true_spread(path: str, method: str, steps: int, tolerance: float) -> None:
    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = (noise - noise.mean()) / noise.std()
    assert abs(integrate(posterior(path), noise, steps, method, path).std().item() - STD) < tolerance


def test_one_step_is_the_conditional_mean() -> None:
    noise = torch.randn(100, 1, dtype=torch.float64)
    torch.testing.assert_close(integrate(posterior("linear"), noise, 1, "euler", "linear"), torch.full_like(noise, MEAN))


@pytest.mark.parametrize("path", ["linear", "cosine"])
def test_a_true_velocity_implies_the_true_motion(path: str) -> None:
    clean, noise, time = (
        torch.randn(6, 4, 2, dtype=torch.float64),
        torch.randn(6, 4, 2, dtype=torch.float64),
        torch.linspace(0, 0.95, 6, dtype=torch.float64),
    )
    at = levels(path, time[:, None, None])
    velocity = at.signal_rate * clean + at.noise_rate * noise
    noisy = noised(path, clean, noise, time)
    torch.testing.assert_close(clean_from_output(path, "velocity", velocity, noisy, time), clean, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("path", ["linear", "cosine"])
def test_a_correction_starts_from_the_best_linear_estimate_and_ends_at_the_data(path: str) -> None:
    draw = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(200_000, 1, dtype=torch.float64, generator=draw) for _ in range(2))
    nothing = torch.zeros_like(clean)
    for t in (0.0, 0.3, 0.7, 1.0):
        time = torch.full((len(clean),), t, dtype=torch.float64)
        at = levels(path, time[:1])
        noisy = noised(path, clean, noise, time)
        error = clean - clean_from_output(path, "residual", nothing, noisy, time)
        expected = at.noise**2 / (at.signal**2 + at.noise**2)
        assert error.square().mean() == pytest.approx(expected.item(), abs=0.01), "no linear estimate does better"
        spread = expected.sqrt()
        wanted = torch.where(spread > 0, error / spread.clamp(min=1e-12), nothing)
        torch.testing.assert_close(clean_from_output(path, "residual", wanted, noisy, time), clean, atol=1e-9, rtol=1e-9)


def test_coloured_noise_has_the_covariance_that_it_names_and_unit_variance_everywhere() -> None:
    white = torch.randn(20_000, 60, 1, 1, generator=torch.Generator().manual_seed(0))
    noise = coloured(white, 20.0)[..., 0, 0].double()
    assert (noise.var(0) - 1).abs().max() < 0.04
    for lag in (1, 8, 30):
        away = math.sqrt(3) * lag / 20
        expected = (1 + away) * math.exp(-away)
        assert (noise[:, lag:] * noise[:, :-lag]).mean().item() == pytest.approx(expected, abs=0.02)
    assert (noise[:, :10] * noise[:, 10:20].roll(1, 0)).mean().abs() < 0.03, "clips are independent"
    assert coloured(white, 0.0) is white


def test_coloured_noise_of_a_clip_hangs_on_nothing_but_the_clip() -> None:
    white = torch.randn(3, 40, 2, 4, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([white, torch.full((3, 700, 2, 4), 1e3)], 1)
    alone = coloured(white, 12.0)
    torch.testing.assert_close(coloured(padded, 12.0)[:, :40], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(coloured(white[1:2, :30, :1], 12.0), alone[1:2, :30, :1], atol=1e-5, rtol=0)


def test_a_model_that_knows_the_law_samples_it_from_coloured_noise() -> None:
    """x of the noise's own law: the best estimate is linear, frame by frame, and many steps give the covariance back."""
    white = torch.randn(4000, 50, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def denoise(z: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return clean_from_output("linear", "residual", torch.zeros_like(z), z, time)

    found = integrate(denoise, coloured(white, 16.0), 50, "heun", "linear")[..., 0, 0]
    given = coloured(white, 16.0)[..., 0, 0]
    assert (found.T @ found / 4000 - given.T @ given / 4000).abs().max() < 0.03


def test_time_weights_average_to_one_over_the_drawn_times() -> None:
    objective = run_config(CONFIGS, "full", "small", "pretrain").objective
    times = draw_time(torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64), objective)
    weights = TimeWeights(objective)
    for name in ("pose", "diffusion", "auxiliary"):
        assert weights(name, times).mean().item() == pytest.approx(1, abs=0.03)
    assert math.isclose(times.median().item(), 1 / (1 + math.exp(0.8)), abs_tol=0.01)
