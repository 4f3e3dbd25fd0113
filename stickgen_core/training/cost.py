"""Cost before spending: operations, speed, memory, disk, hours and money of a run, from a measured step."""

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
from stickgen_core.training.clips import Clips
from stickgen_core.training.config import RunConfig
from stickgen_core.training.devices import Machine

# AdamW keeps two float32 moments beside each float32 weight; the average is a fourth copy and the gradient a fifth.
COPIES_WHILE_TRAINING = 5
COPIES_IN_CHECKPOINT = 4
BYTES = 4
# Enough to warm up and to measure the large model on a CPU without waiting minutes for it.
TRIAL_TOKENS = 512
TRIAL_S = 1.0
# Side of the square product that a peak is measured with: in a CPU's cache it lasts milliseconds, a GPU needs more to fill up.
PEAK_SIZE = {"cpu": 512}
PEAK_SIZE_ON_A_GPU = 8192
PEAK_REPEATS = 6


@dataclass(frozen=True)
class Work:
    """Floating-point operations of a model: 6·P + 12·T·d·L a frame, forward and backward; a frozen weight has no gradient and counts 4.

    attention   12·d·L, per frame of a clip's T
    """

    parameters: int
    trained: int
    attention: int

    @classmethod
    def of(cls, model: Denoiser) -> "Work":
        counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
        trained = sum(count for count, live in counts if live)
        return cls(sum(count for count, _ in counts), trained, 12 * model.config.d_model * model.config.num_layers)

    def operations(self, frames: float) -> float:
        """Of one frame of a clip of so many."""
        return 4.0 * self.parameters + 2.0 * self.trained + self.attention * frames


def matmul_peak(device: torch.device) -> float:
    """Operations a second of a square matrix product, in the arithmetic that training uses there."""
    size, kind = PEAK_SIZE.get(device.type, PEAK_SIZE_ON_A_GPU), torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.ones(size, size, device=device, dtype=kind) for _ in range(2))
    # One thread is timed by the processor's clock: a busy machine must not lower the peak.
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    a @ b
    best = 0.0
    for _ in range(PEAK_REPEATS):
        _finished(device)
        began = clock()
        a @ b
        _finished(device)
        best = max(best, 2.0 * size**3 / max(clock() - began, 1e-9))
    return best


def _finished(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@dataclass(frozen=True)
class StepCost:
    """One optimiser step as measured: its seconds, and what its largest micro-batch keeps for the backward pass."""

    seconds: float
    activation_bytes: float


def measure_step(run: RunConfig, mean_frames: float, mean_actors: float, device: torch.device) -> StepCost:
    """Time and activations of one optimiser step of the run, measured on a model of its own that is thrown away.

    A few random clips as long as the mean warm up and show what is kept for the backward pass; then a micro-batch is timed, of the run's own
    size where that takes a second at most, and scaled to the clips of a step; the optimiser is added once. Global generators are left as they were.
    """
    frames, actors = max(round(mean_frames), 3), max(round(mean_actors), 1)
    per_clip, batch = frames * actors, run.training.effective_batch
    whole = min(max(run.data.token_budget // per_clip, 1), batch)
    few = min(max(TRIAL_TOKENS // per_clip, 1), whole)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = build_model(run.model, run.data.use_parallax_augmentation)
        if run.lora.enabled:
            inject(model, run.lora)
        model.to(device).train()
        objective = Objective(run.objective, Normaliser(plain_statistics(run.model.input_dim, run.data.fps), device))
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0, fused=device.type != "mps")
        kept: dict[int, int] = {}
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        def step(clips: int) -> tuple[float, float]:
            """Seconds of the passes and of the optimiser."""
            parts = random_step(run, clips, frames, actors, device)
            began = _now(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                values, _ = objective.terms(model, *parts)
            (values @ objective.weights).backward()
            passed = _now(device)
            optimiser.step()
            done = _now(device)
            optimiser.zero_grad(set_to_none=True)
            return passed - began, done - passed

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            passes, _ = step(few)
        timed = whole if device.type != "cpu" or passes * whole / few <= TRIAL_S else few
        passes, update = step(timed)
    step_tokens = batch * mean_frames * mean_actors
    largest = max(min(run.data.token_budget, step_tokens), per_clip)
    return StepCost(passes * step_tokens / (timed * per_clip) + update, sum(kept.values()) * largest / (few * per_clip))


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
class Budget:
    """The price of the machine's hour, and what a run may cost (None: anything)."""

    price_per_hour: float
    limit: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What a run will take at the measured speed; sizes in megabytes.

    state        weights, gradients, moments and average    activations  of the largest micro-batch
    checkpoint   one .pth                                   disk         every file that the run leaves or keeps while it goes
    """

    steps: int
    hours: float
    state_mb: float
    activations_mb: float
    checkpoint_mb: float
    disk_mb: float
    money: float


def estimate(
    run: RunConfig, steps: int, step: StepCost, trained: int, total: int, steps_per_epoch: int = 0, budget: Budget | None = None
) -> Estimate:  # fmt: skip
    """Hours, sizes and money; refuses what is over training.max_train_hours or the budget."""
    hours = steps * step.seconds / 3600
    price = budget.price_per_hour if budget else 0.0
    checkpoint = COPIES_IN_CHECKPOINT * BYTES * trained / 1e6
    periodic = steps // (steps_per_epoch * run.training.checkpoint_every_epochs) if steps_per_epoch else 0
    kept = min(periodic, run.training.keep_last or periodic)
    found = Estimate(
        steps, hours, BYTES * (total + (COPIES_WHILE_TRAINING - 1) * trained) / 1e6, step.activation_bytes / 1e6, checkpoint,
        (3 + kept) * checkpoint + BYTES * total / 1e6, hours * price,
    )  # fmt: skip
    limit = run.training.max_train_hours
    if limit is not None and hours > limit:
        raise StickgenError(
            f"{run.name} would take about {hours:.3g} h ({steps:,} steps of {step.seconds:.3g} s), "
            f"training.max_train_hours is {limit:g}; raise it or train fewer steps"
        )
    if budget is not None and budget.limit is not None and found.money > budget.limit:
        raise StickgenError(
            f"{run.name} would cost about {found.money:.2f} ({hours:.3g} h at {price:g} an hour), cost.budget is {budget.limit:g}; "
            "raise it or train fewer steps"
        )
    return found


def refuse_too_dear(run: RunConfig, clips: Clips, steps: int, machine: Machine, budget: Budget | None) -> None:
    """Where a limit is set, measure a step and refuse what is left of the run if it would take longer or cost more."""
    limited = run.training.max_train_hours is not None or (budget is not None and budget.limit is not None)
    if not limited or not steps:
        return
    step = measure_step(run, float(clips.frames.mean()), float(clips.actors.mean()), machine.device)
    seconds = torch.tensor([step.seconds / machine.world], device=machine.device)
    machine.summed([seconds])  # every process must decide alike
    estimate(run, steps, StepCost(float(seconds) / machine.world, step.activation_bytes), 0, 0, budget=budget)
