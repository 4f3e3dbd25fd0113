"""Sampling on one CPU thread: 250 frames, twenty steps, guidance on.

python -m bench sampling            or, with a choice of sizes: python -m bench.sampling --variant medium
"""

import argparse
import time
from pathlib import Path

import torch

from bench.measure import Measure
from stickgen_core.model.config import SamplerConfig
from stickgen_core.model.denoiser import Conditions, build_model
from stickgen_core.model.sampler import sample
from stickgen_core.training.config import run_config

CONFIGS = Path(__file__).parents[1] / "configs"
FRAMES, STEPS, LIMIT_S = 250, 20, 3.0


def seconds(variant: str, frames: int, steps: int, repeats: int) -> float:
    """CPU-seconds of the fastest of some samples of one prompt."""
    torch.set_num_threads(1)
    run = run_config(CONFIGS, "full", variant, "pretrain")
    model = build_model(run.model).eval()
    settings = SamplerConfig(use_diffusion=True, diffusion_steps=steps, method="euler", guidance=run.sampler.guidance)
    conditions = Conditions(torch.randn(1, run.model.embedding_dim), torch.ones(1, dtype=torch.bool), camera=torch.zeros(1, frames, 3))
    noise = torch.randn(1, frames, 1, run.model.input_dim)
    times = []
    for _ in range(repeats):
        began = time.process_time()
        sample(model, run.objective, settings, conditions, noise)
        times.append(time.process_time() - began)
    return min(times)


def run(quick: bool) -> list[Measure]:
    return [
        Measure(f"{variant}_cpu_s", seconds(variant, FRAMES, STEPS, 2 if quick else 4), "s", against=f"{FRAMES} frames, {STEPS} steps", at_most=limit)
        for variant, limit in (("small", LIMIT_S), *(() if quick else (("medium", None), ("large", None))))
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="small")
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args()
    print(
        f"{chosen.variant}: {chosen.frames} frames, {chosen.steps} steps: {seconds(chosen.variant, chosen.frames, chosen.steps, 3):.2f} CPU-s"
    )


if __name__ == "__main__":
    main()
