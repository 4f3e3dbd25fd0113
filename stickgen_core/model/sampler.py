"""Sampling: from noise to motion along the path, by Euler or Heun steps, with classifier-free guidance.

A step moves to the level pair of the next time with the noise that the current clean estimate implies. On the linear path that
is exactly Euler on the flow, on the cosine path it is deterministic diffusion sampling, so one loop serves both.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from stickgen_core.model.config import ObjectiveConfig, SamplerConfig
from stickgen_core.model.denoiser import Conditions, Denoiser
from stickgen_core.model.memory import keep_freed_memory
from stickgen_core.model.paths import clean_from_output, coloured, levels

Denoise = Callable[[Tensor, Tensor], Tensor]


def integrate(denoise: Denoise, noise: Tensor, steps: int, method: str, path: str) -> Tensor:
    """noise [B,...] -> sample [B,...]; `denoise(z, t)` gives the clean estimate E[x | z, t] for t [B]."""
    times = torch.linspace(0, 1, steps + 1, device=noise.device, dtype=noise.dtype)
    z = noise
    for now, then in zip(times[:-1], times[1:], strict=True):
        at, to = levels(path, now), levels(path, then)
        clean = denoise(z, now.expand(len(z)))
        ahead = to.signal * clean + to.noise * (z - at.signal * clean) / at.noise
        if method == "heun" and to.noise > 1e-3:  # at t = 1 the velocity is 0/0; the last step is Euler's
            second = denoise(ahead, then.expand(len(z)))
            ahead = z + (then - now) * (_velocity(z, clean, at) + _velocity(ahead, second, to)) / 2
        z = ahead
    return z


def _velocity(z: Tensor, clean: Tensor, at: tuple[Tensor, ...]) -> Tensor:
    signal, noise, signal_rate, noise_rate = at
    return signal_rate * clean + noise_rate * (z - signal * clean) / noise


def guided(model: Denoiser, objective: ObjectiveConfig, conditions: Conditions, valid: Tensor | None, guidance: float) -> Denoise:
    """Clean estimates of a model: null + guidance·(text − null), both in one batch; guidance 1 asks the text alone."""
    one = guidance == 1.0
    asked = conditions if one else _twice(conditions)
    mask = valid if one or valid is None else torch.cat([valid, valid])

    def denoise(z: Tensor, time: Tensor) -> Tensor:
        noisy, t = (z, time) if one else (torch.cat([z, z]), torch.cat([time, time]))
        output = model.motion(noisy, t, asked, mask).float()
        clean = clean_from_output(objective.path, objective.prediction, output, noisy, t)
        if one:
            return clean
        told, untold = clean.chunk(2)
        return untold + guidance * (told - untold)

    return denoise


def _twice(conditions: Conditions) -> Conditions:
    """The conditions followed by themselves without text (and image)."""

    def doubled(x: Tensor | None) -> Tensor | None:
        return None if x is None else torch.cat([x, x])

    nothing = torch.zeros_like(conditions.has_text)
    return replace(
        conditions, text=torch.cat([conditions.text] * 2), has_text=torch.cat([conditions.has_text, nothing]),
        actions=doubled(conditions.actions), camera=doubled(conditions.camera), image=doubled(conditions.image),
        viewpoint=doubled(conditions.viewpoint),
        has_image=None if conditions.has_image is None else torch.cat([conditions.has_image, nothing]),
    )  # fmt: skip


@torch.no_grad()
def sample(
    model: Denoiser, objective: ObjectiveConfig, sampler: SamplerConfig, conditions: Conditions, noise: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Normalised motion [B,T,A,W] from standard normal noise of that shape; the model is put into evaluation mode.

    `use_diffusion: false` is the one-step conditional mean: a preview, never a sample to be measured.
    """
    model.eval()
    keep_freed_memory()
    steps = sampler.diffusion_steps if sampler.use_diffusion else 1
    denoise = guided(model, objective, conditions, valid, sampler.guidance)
    motion = integrate(denoise, coloured(noise, objective.noise_span_frames), steps, sampler.method, objective.path)
    return motion if valid is None else torch.where(valid[..., None], motion, 0.0)
