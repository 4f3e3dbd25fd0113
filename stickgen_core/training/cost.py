"""Cost before spending: operations, speed, memory, hours and money of a run, from a few measured steps."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from stickgen_core.errors import StickgenError
from stickgen_core.model.denoiser import Denoiser
from stickgen_core.model.normalise import Statistics
from stickgen_core.records.digests import digest_json

# AdamW keeps two float32 moments beside each float32 weight; the average is a fourth copy and the gradient a fifth.
COPIES_WHILE_TRAINING = 5
COPIES_IN_CHECKPOINT = 4


def training_flops(model: Denoiser, frames: int) -> float:
    """Floating-point operations of a frame, forward and backward: 6·P + 12·T·d·L."""
    config = model.config
    parameters = sum(p.numel() for p in model.parameters())
    return 6.0 * parameters + 12.0 * frames * config.d_model * config.num_layers


def matmul_peak(device: torch.device, size: int = 1024, repeats: int = 8) -> float:
    """Operations a second of a square matrix product, in the arithmetic that training uses there."""
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    clock = time.perf_counter if device.type == "cuda" else time.process_time  # a busy machine must not lower the peak
    a @ b
    best = 0.0
    for _ in range(repeats):
        _finished(device)
        began = clock()
        a @ b
        _finished(device)
        best = max(best, 2.0 * size**3 / (clock() - began))
    return best


def _finished(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def plain_statistics(width: int, fps: float) -> Statistics:
    """Unit scales, for measuring speed without a corpus."""
    one, zero = np.ones(width), np.zeros(width)
    return Statistics(zero, one, one, one, np.zeros(6), np.ones(6), digest_json("no corpus"), "train", 0, 0, fps)


@dataclass(frozen=True)
class Estimate:
    """What a run will take at the measured speed."""

    steps: int
    hours: float
    checkpoint_mb: float
    state_mb: float
    money: float


def estimate(
    total_steps: int, seconds_per_step: float, trainable: int, total: int, price_per_hour: float, budget: float | None = None
) -> Estimate:
    """Hours, sizes and money; refuses what is over the budget."""
    hours = total_steps * seconds_per_step / 3600
    found = Estimate(
        total_steps, hours, COPIES_IN_CHECKPOINT * 4 * trainable / 1e6, 4 * (total + (COPIES_WHILE_TRAINING - 1) * trainable) / 1e6, hours * price_per_hour
    )  # fmt: skip
    if budget is not None and found.money > budget:
        raise StickgenError(
            f"this run would cost {found.money:.2f} over {hours:.1f} h, the budget is {budget:.2f}; raise it or train fewer steps"
        )
    return found
