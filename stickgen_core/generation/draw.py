"""One draw from the model: toward the prompt, away from a negative one, watched step by step so that it can be shown and stopped."""

from collections.abc import Callable

import torch
from torch import Tensor

from stickgen_core.model.config import ObjectiveConfig, SamplerConfig
from stickgen_core.model.denoiser import Conditions, Denoiser
from stickgen_core.model.paths import coloured
from stickgen_core.model.sampler import Denoise, guided, integrate

Watch = Callable[[int, int], None]
Mend = Callable[[Tensor], Tensor]


@torch.no_grad()
def draw(
    model: Denoiser, objective: ObjectiveConfig, sampler: SamplerConfig, conditions: Conditions, noise: Tensor, *, valid: Tensor | None = None,
    negative: Conditions | None = None, mend: Mend | None = None, watch: Watch | None = None,
) -> Tensor:  # fmt: skip
    """Normalised motion [B,T,A,W] from noise of that shape; without a negative prompt the bits of `model.sampler.sample`.

    mend    changes every clean estimate before it is used, to make windows of one timeline agree
    watch   (evaluations done, in all); an exception from it ends the draw
    """
    model.eval()
    steps = sampler.diffusion_steps if sampler.use_diffusion else 1
    if negative is None:
        denoise = guided(model, objective, conditions, valid, sampler.guidance)
    else:
        denoise = _between(model, objective, conditions, negative, valid, sampler.guidance)
    total = 2 * steps - 1 if sampler.method == "heun" else steps
    start = coloured(noise, objective.noise_span_frames)
    motion = integrate(_watched(denoise, mend, watch, total), start, steps, sampler.method, objective.path)
    return motion if valid is None else torch.where(valid[..., None], motion, 0.0)


def _between(
    model: Denoiser, objective: ObjectiveConfig, conditions: Conditions, negative: Conditions, valid: Tensor | None, guidance: float
) -> Denoise:
    """negative + guidance·(prompt − negative): the negative prompt stands where the null condition does otherwise."""
    toward = guided(model, objective, conditions, valid, 1.0)
    away = guided(model, objective, negative, valid, 1.0)

    def denoise(z: Tensor, time: Tensor) -> Tensor:
        unwanted = away(z, time)
        return unwanted + guidance * (toward(z, time) - unwanted)

    return denoise


def _watched(denoise: Denoise, mend: Mend | None, watch: Watch | None, total: int) -> Denoise:
    done = 0

    def step(z: Tensor, time: Tensor) -> Tensor:
        nonlocal done
        clean = denoise(z, time)
        done += 1
        if watch:
            watch(done, total)
        return mend(clean) if mend else clean

    return step
