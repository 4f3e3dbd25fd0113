"""Sampling speed on one CPU thread: 250 frames, twenty steps, guidance on.

python -m bench.sampling [--variant small] [--frames 250] [--steps 20]
"""

import argparse
import time
from pathlib import Path

import torch

from stickgen_core.model.config import SamplerConfig
from stickgen_core.model.denoiser import Conditions, build_model
from stickgen_core.model.sampler import sample
from stickgen_core.training.config import run_config

CONFIGS = Path(__file__).parents[1] / "configs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="small")
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    run = run_config(CONFIGS, "full", chosen.variant, "pretrain")
    model = build_model(run.model).eval()
    settings = SamplerConfig(use_diffusion=True, diffusion_steps=chosen.steps, method="euler", guidance=run.sampler.guidance)
    conditions = Conditions(
        torch.randn(1, run.model.embedding_dim), torch.ones(1, dtype=torch.bool), camera=torch.zeros(1, chosen.frames, 3)
    )
    noise = torch.randn(1, chosen.frames, 1, run.model.input_dim)
    times = []
    for _ in range(3):
        began = time.process_time()
        sample(model, run.objective, settings, conditions, noise)
        times.append(time.process_time() - began)
    print(f"{run.variant}: {chosen.frames} frames, {chosen.steps} steps, guidance {settings.guidance}: {min(times):.2f} CPU-s")


if __name__ == "__main__":
    main()
