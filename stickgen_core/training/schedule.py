"""When a run ends, how fast it learns until then, and the optimiser that does it."""

import math

import torch

from stickgen_core.training.config import RunConfig


def learning_rate(step: int, total: int, warmup: int, peak: float, final_share: float) -> float:
    """Linear warm-up to the peak, then half a cosine down to its final share; `step` counts from 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(total - warmup, 1)
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def schedule(run: RunConfig, steps_per_epoch: int) -> tuple[int, int]:
    """(total steps, warm-up steps): the documented epochs, unless steps are given."""
    t = run.training
    total = t.steps if t.steps is not None else t.epochs * steps_per_epoch
    warmup = t.warmup_steps if t.warmup_steps is not None else round(t.warmup_epochs * steps_per_epoch)
    return total, min(warmup, total)


def optimiser_for(model: torch.nn.Module, run: RunConfig, device: torch.device) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, on nothing that is a gain, a bias or a single vector."""
    live = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in live if p.dim() > 1], "weight_decay": run.training.weight_decay},
        {"params": [p for p in live if p.dim() <= 1], "weight_decay": 0.0},
    ]
    rate = torch.tensor(run.training.learning_rate) if device.type == "cuda" else run.training.learning_rate
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, betas=run.training.betas, fused=device.type != "mps")
