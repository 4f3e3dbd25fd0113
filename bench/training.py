"""Training speed on one CPU thread: useful frames a second and the share of the matrix-product peak measured in the same run.

    python -m bench.training [--variant small] [--clips 16] [--frames 249] [--steps 3]

A frame counts 6·P + 12·T·d·L floating-point operations (forward and backward, attention included).
"""

import argparse
import time
from pathlib import Path

import torch

from stickgen_core.model.denoiser import Conditions, build_model
from stickgen_core.model.losses import Counts
from stickgen_core.model.normalise import Normaliser, Statistics
from stickgen_core.model.objective import Draws, Objective, Target
from stickgen_core.training.config import run_config
from stickgen_core.training.cost import matmul_peak, plain_statistics, training_flops

CONFIGS = Path(__file__).parents[1] / "configs"


def random_step(run, clips: int, frames: int) -> tuple[Target, Conditions, Draws, Counts]:
    width, draw = run.model.input_dim, torch.Generator().manual_seed(0)
    shape = (clips, frames, 1)
    valid = torch.ones(shape, dtype=torch.bool)
    actions = torch.randint(0, run.model.num_actions, shape, generator=draw)
    target = Target(torch.randn(*shape, width, generator=draw), torch.randn(*shape, 6, generator=draw), actions, valid, True)
    text = torch.nn.functional.normalize(torch.randn(clips, run.model.embedding_dim, generator=draw), dim=-1)
    yes, no = torch.ones(clips, dtype=torch.bool), torch.zeros(clips, dtype=torch.bool)
    shown = Conditions(text, yes, actions, torch.zeros(clips, frames, 3))
    draws = Draws(torch.randn(*shape, width, generator=draw), torch.rand(clips, generator=draw), no, yes, no, no)
    return target, shown, draws, Counts(clips * frames, clips * (frames - 1), clips * (frames - 2), clips * frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="small")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--frames", type=int, default=249)
    parser.add_argument("--steps", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    run = run_config(CONFIGS, "full", chosen.variant, "pretrain")
    model = build_model(run.model).train()
    statistics: Statistics = plain_statistics(run.model.input_dim, run.data.fps)
    objective = Objective(run.objective, Normaliser(statistics))
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    parts = random_step(run, chosen.clips, chosen.frames)
    peaks, times = [], []
    for _ in range(chosen.steps + 1):
        peaks.append(matmul_peak(torch.device("cpu")))
        began = time.process_time()
        optimiser.zero_grad(set_to_none=True)
        values, _ = objective.terms(model, *parts[:1], parts[1], parts[2], parts[3])
        (values @ objective.weights).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), run.training.clip_norm)
        optimiser.step()
        times.append(time.process_time() - began)
    seconds, frames = min(times[1:]), chosen.clips * chosen.frames
    flops = training_flops(model, chosen.frames) * frames
    print(f"{run.variant}: {frames / seconds:.0f} frames per CPU-s, {flops / seconds / 1e9:.1f} GFLOP/s, "
          f"{flops / seconds / max(peaks):.1%} of {max(peaks) / 1e9:.1f} GFLOP/s; step {seconds:.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()
