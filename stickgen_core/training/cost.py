"""Cost before spending: operations, speed, memory, hours and money of a run, from a measured step."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from stickgen_core.errors import StickgenError
from stickgen_core.model.denoiser import Conditions, Denoiser, build_model
from stickgen_core.model.lora import inject
from stickgen_core.model.losses import Counts
from stickgen_core.model.normalise import Normaliser, Statistics
from stickgen_core.model.objective import Draws, Objective, Target
from stickgen_core.records.digests import digest_json
from stickgen_core.skeleton.physics import PHYSICS_NAMES
from stickgen_core.training.config import RunConfig

# AdamW keeps two float32 moments beside each float32 weight; the average is a fourth copy and the gradient a fifth.
COPIES_WHILE_TRAINING = 5
COPIES_IN_CHECKPOINT = 4
# Enough to measure a CPU, whose speed hardly depends on the batch, without waiting minutes for the large model.
MOST_TOKENS_ON_CPU = 512


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


def seconds_per_step(run: RunConfig, mean_frames: float, mean_actors: float, device: torch.device) -> float:
    """Time of one optimiser step of the run, measured on a model of its own that is thrown away.

    One micro-batch of random clips as long as the mean is timed twice, the first time to warm up, and scaled to the clips of a step; the
    optimiser is added once. Global generators are left as they were.
    """
    frames, actors = max(round(mean_frames), 3), max(round(mean_actors), 1)
    tokens = run.data.token_budget if device.type == "cuda" else min(run.data.token_budget, MOST_TOKENS_ON_CPU)
    clips = min(max(tokens // (frames * actors), 1), run.training.effective_batch)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = build_model(run.model, run.data.use_parallax_augmentation)
        if run.lora.enabled:
            inject(model, run.lora)
        model.to(device).train()
        objective = Objective(run.objective, Normaliser(plain_statistics(run.model.input_dim, run.data.fps), device))
        target, shown, draws, counts = random_step(run, clips, frames, actors, device)
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0, fused=device.type != "mps")
        marks = []
        for _ in range(2):
            marks = [_now(device)]
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                values, _ = objective.terms(model, target, shown, draws, counts)
            (values @ objective.weights).backward()
            marks.append(_now(device))
            optimiser.step()
            marks.append(_now(device))
            optimiser.zero_grad(set_to_none=True)
    share = run.training.effective_batch * mean_frames * mean_actors / (clips * frames * actors)
    return (marks[1] - marks[0]) * share + marks[2] - marks[1]


def random_step(
    run: RunConfig, clips: int, frames: int, actors: int, device: torch.device
) -> tuple[Target, Conditions, Draws, Counts]:  # fmt: skip
    """A micro-batch of noise with every condition shown, pictures included where the model reads them."""
    width, draw, shape = run.model.input_dim, torch.Generator().manual_seed(0), (clips, frames, actors)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=draw).to(device)

    actions = torch.randint(0, run.model.num_actions, shape, generator=draw).to(device)
    yes, no = torch.ones(clips, dtype=torch.bool, device=device), torch.zeros(clips, dtype=torch.bool, device=device)
    pictures = run.data.use_parallax_augmentation
    shown = Conditions(
        torch.nn.functional.normalize(normal(clips, run.model.embedding_dim), dim=-1), yes, actions, normal(clips, frames, 3),
        image=normal(clips, 3, *run.data.parallax_image_size) if pictures else None,
        viewpoint=normal(clips, run.model.image_camera_dim) if pictures else None, has_image=yes if pictures else None,
    )  # fmt: skip
    valid = torch.ones(shape, dtype=torch.bool, device=device)
    target = Target(normal(*shape, width), normal(*shape, len(PHYSICS_NAMES)), actions, valid, True)
    draws = Draws(normal(*shape, width), torch.rand(clips, generator=draw).to(device), no, yes, no, no)
    counts = Counts(*(clips * actors * n for n in (frames, frames - 1, frames - 2, frames)))
    return target, shown, draws, counts


def _now(device: torch.device) -> float:
    _finished(device)
    return time.perf_counter()


def plain_statistics(width: int, fps: float) -> Statistics:
    """Unit scales, for measuring speed without a corpus."""
    one, zero = np.ones(width), np.zeros(width)
    return Statistics(
        zero, one, one, one, np.zeros(len(PHYSICS_NAMES)), np.ones(len(PHYSICS_NAMES)), digest_json("no corpus"), "train", 0, 0, fps
    )


@dataclass(frozen=True)
class Estimate:
    """What a run will take at the measured speed."""

    steps: int
    hours: float
    checkpoint_mb: float
    state_mb: float
    money: float


def estimate(
    total_steps: int, seconds_per_step: float, trainable: int, total: int, price_per_hour: float = 0.0, budget: float | None = None,
    max_hours: float | None = None,
) -> Estimate:  # fmt: skip
    """Hours, sizes and money; refuses what is over the budget or the hours (training.max_train_hours)."""
    hours = total_steps * seconds_per_step / 3600
    found = Estimate(
        total_steps, hours, COPIES_IN_CHECKPOINT * 4 * trainable / 1e6, 4 * (total + (COPIES_WHILE_TRAINING - 1) * trainable) / 1e6, hours * price_per_hour
    )  # fmt: skip
    if max_hours is not None and hours > max_hours:
        raise StickgenError(
            f"this run would take about {hours:.3g} h ({total_steps:,} steps of {seconds_per_step:.3g} s), "
            f"training.max_train_hours is {max_hours:g}; raise it or train fewer steps"
        )
    if budget is not None and found.money > budget:
        raise StickgenError(
            f"this run would cost {found.money:.2f} over {hours:.1f} h, the budget is {budget:.2f}; raise it or train fewer steps"
        )
    return found
