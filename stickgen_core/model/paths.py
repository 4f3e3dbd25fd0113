"""From noise to data: z = signal(t)·x + noise(t)·e, with t = 0 noise and t = 1 data; and what a network's output says about x."""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from stickgen_core.model.config import ObjectiveConfig


class Levels(NamedTuple):
    """Signal and noise level at a time, and their time derivatives."""

    signal: Tensor
    noise: Tensor
    signal_rate: Tensor
    noise_rate: Tensor


def levels(path: str, time: Tensor) -> Levels:
    """linear: (t, 1−t). cosine: (sin, cos) of t·pi/2, which preserves variance."""
    if path == "linear":
        return Levels(time, 1 - time, torch.ones_like(time), -torch.ones_like(time))
    angle = time * (math.pi / 2)
    sine, cosine = angle.sin(), angle.cos()
    return Levels(sine, cosine, cosine * (math.pi / 2), -sine * (math.pi / 2))


# Rows of the factor that colours noise are made at once, so that a clip's noise does not depend on how long its batch is.
LEAST_FRAMES = 512
# Keeps the covariance positive definite in float64; a millionth of the variance is below float32 noise of the motion.
NUGGET = 1e-6


def coloured(noise: Tensor, span_frames: float) -> Tensor:
    """White noise [B,T,A,W] as noise that changes over time as slowly as motion does, of unit variance; a span of 0 returns it as it is.

    Each number's covariance over time is Matérn-3/2, (1 + √3·lag/span)·exp(−√3·lag/span). The factor is lower triangular: a frame hangs on
    earlier frames of its own clip alone, so neither padding nor neighbours reach it, and a cut clip has the noise of the whole one.
    """
    if not span_frames:
        return noise
    frames = noise.shape[1]
    factor = _factor(max(LEAST_FRAMES, 1 << (frames - 1).bit_length()), span_frames)[:frames, :frames].to(noise)
    return torch.einsum("ts,bsaw->btaw", factor, noise)


@lru_cache(maxsize=4)
def _factor(frames: int, span_frames: float) -> Tensor:
    """Lower Cholesky factor [T,T] of the covariance over time."""
    at = torch.arange(frames, dtype=torch.float64)
    lag = (at[:, None] - at).abs() * (math.sqrt(3.0) / span_frames)
    return torch.linalg.cholesky((1 + lag) * torch.exp(-lag) + NUGGET * torch.eye(frames, dtype=torch.float64))


def _over(per_clip: Tensor, like: Tensor) -> Tensor:
    return per_clip.reshape(-1, *[1] * (like.dim() - 1)).to(like.dtype)


def noised(path: str, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """z [B,...] at times [B]."""
    at = levels(path, time)
    return _over(at.signal, clean) * clean + _over(at.noise, clean) * noise


def clean_from_output(path: str, prediction: str, output: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
    """The clean motion that a network's output stands for: itself, a correction of the best linear estimate, or what a velocity dz/dt implies at z.

    With z = a x + s e, x and e of unit variance, the best linear estimate is a z / (a² + s²) and its error has variance s² / (a² + s²): a network
    that gives that error in units of its spread need not carry through its layers what z already tells (exactly, where the noise ends).
    With v = a' x + s' e: x = (s' z − s v) / (s' a − s a'); linear: z + (1−t) v.
    """
    if prediction == "clean":
        return output
    at = levels(path, time)
    if prediction == "residual":
        power = at.signal.square() + at.noise.square()
        return _over(at.signal / power, output) * noisy + _over(at.noise / power.sqrt(), output) * output
    divisor = at.noise_rate * at.signal - at.noise * at.signal_rate
    return _over(at.noise_rate / divisor, output) * noisy - _over(at.noise / divisor, output) * output


def draw_time(normal: Tensor, objective: ObjectiveConfig) -> Tensor:
    """Standard normal numbers as times: sigmoid(mean + std·n)."""
    return torch.sigmoid(objective.time_mean + objective.time_std * normal)


class TimeWeights:
    """Loss weights as functions of time, each divided by its mean over the drawn times so that it averages to 1."""

    QUANTILES = 4096

    def __init__(self, objective: ObjectiveConfig):
        self.objective = objective
        middle = (torch.arange(self.QUANTILES, dtype=torch.float64) + 0.5) / self.QUANTILES
        times = draw_time(torch.special.ndtri(middle), objective)
        self._mean = {name: float(self._raw(name, times).mean()) for name in ("pose", "diffusion", "auxiliary")}

    def _raw(self, name: str, time: Tensor) -> Tensor:
        config = self.objective
        if name == "auxiliary":
            return time**config.auxiliary_power
        if name == "pose" and config.pose_weighting == "uniform":
            return torch.ones_like(time)
        clip = config.pose_clip if name == "pose" else config.diffusion_clip
        return levels(config.path, time).noise.clamp(min=clip) ** -2

    def __call__(self, name: str, time: Tensor) -> Tensor:
        return self._raw(name, time) / self._mean[name]
