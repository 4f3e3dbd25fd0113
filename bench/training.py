"""Training on one CPU thread: useful frames a second, the share of the matrix-product peak of the same run, mixed lengths, and the loader's memory.

    python -m bench training            or, with a choice of sizes: python -m bench.training --variant medium --frames 249 --clips 16

A frame counts 6·P + 12·T·d·L floating-point operations (forward and backward, attention included). The peak is that of a square product,
taken between the steps.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bench.measure import Measure
from stickgen_core.model.denoiser import Conditions, Denoiser, build_model
from stickgen_core.model.losses import Counts
from stickgen_core.model.memory import keep_freed_memory
from stickgen_core.model.normalise import Normaliser
from stickgen_core.model.objective import Draws, Objective, Target
from stickgen_core.records.seeds import generator
from stickgen_core.skeleton.physics import PHYSICS_NAMES
from stickgen_core.training.batches import Batches, epoch_order, micro_batches
from stickgen_core.training.clips import Clips
from stickgen_core.training.config import RunConfig, run_config
from stickgen_core.training.cost import Work, matmul_peak, plain_statistics
from stickgen_core.training.schedule import optimiser_for
from stickgen_core.training.statistics import motion_statistics

CONFIGS = Path(__file__).parents[1] / "configs"
CLIPS, FRAMES = 16, 249
CPU = torch.device("cpu")
PREDECESSOR = "692-734 of the predecessor"


class Bench:
    """A documented model with its optimiser, stepped on random clips of given lengths."""

    def __init__(self, variant: str):
        torch.set_num_threads(1)
        keep_freed_memory()
        self.run: RunConfig = run_config(CONFIGS, "full", variant, "pretrain")
        self.model: Denoiser = build_model(self.run.model).train()
        self.objective = Objective(self.run.objective, Normaliser(plain_statistics(self.run.model.input_dim, self.run.data.fps)))
        self.optimiser = optimiser_for(self.model, self.run, CPU)

    def step(self, micros: Sequence[np.ndarray]) -> float:
        """CPU-seconds of one optimiser step over micro-batches of clips of these lengths, each padded to its longest."""
        parts = [self.batch(lengths) for lengths in micros]
        began = time.process_time()
        self.optimiser.zero_grad(set_to_none=True)
        for part in parts:
            values, _ = self.objective.terms(self.model, *part)
            (values @ self.objective.weights).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.run.training.clip_norm)
        self.optimiser.step()
        return time.process_time() - began

    def batch(self, lengths: np.ndarray) -> tuple[Target, Conditions, Draws, Counts]:
        clips, frames, width = len(lengths), int(lengths.max()), self.run.model.input_dim
        shape = (clips, frames, 1)
        valid = torch.from_numpy(np.arange(frames)[None, :, None] < lengths[:, None, None])
        actions = torch.randint(0, self.run.model.num_actions, shape)
        target = Target(torch.randn(*shape, width), torch.randn(*shape, len(PHYSICS_NAMES)), actions, valid, bool(valid.all()))
        yes, no = torch.ones(clips, dtype=torch.bool), torch.zeros(clips, dtype=torch.bool)
        text = torch.nn.functional.normalize(torch.randn(clips, self.run.model.embedding_dim), dim=-1)
        shown = Conditions(text, yes, actions, torch.zeros(clips, frames, 3))
        draws = Draws(torch.randn(*shape, width), torch.rand(clips), no, yes, no, no)
        total = int(lengths.sum())
        return target, shown, draws, Counts(total, total - clips, total - 2 * clips, total)


def peak_share(bench: Bench, clips: int, frames: int, steps: int) -> tuple[float, float, float]:
    """(frames a CPU-second, share of the peak, peak) of the fastest step and the best peak, taken in turn."""
    lengths, peaks, times = np.full(clips, frames), [], []
    for _ in range(steps + 1):
        peaks.append(matmul_peak(CPU))
        times.append(bench.step([lengths]))
    seconds, peak = min(times[1:]), max(peaks)
    return clips * frames / seconds, clips * frames * Work.of(bench.model).operations(frames) / seconds / peak, peak


def mixed_lengths(bench: Bench, steps: int) -> tuple[float, float, float, float]:
    """(useful frames a CPU-second, useful share) with buckets and a token budget, then padded to the maximum of random batches.

    Lengths spread like the synthetic corpus: median 102 frames, a twentieth above 215.
    """
    lengths = np.clip(np.round(102 * np.exp(0.45 * generator("bench", "lengths").standard_normal(2000))), 25, 500).astype(int)
    size, budget = bench.run.training.effective_batch, bench.run.data.token_budget
    ordered = epoch_order(0, 0, lengths, size, bench.run.data.bucket_batches)
    shuffled = generator("bench", "shuffled").permutation(len(lengths)).reshape(-1, size)
    one = np.ones(size, int)
    plans = [
        [[lengths[p][part] for part in micro_batches(lengths[p], one, budget)] for p in ordered[:steps]],
        [[lengths[p]] for p in shuffled[:steps]],
    ]
    found: list[float] = []
    bench.step(plans[0][0])
    for plan in plans:
        useful = sum(int(micro.sum()) for step in plan for micro in step)
        padded = sum(len(micro) * int(micro.max()) for step in plan for micro in step)
        found += [useful / sum(bench.step(step) for step in plan), useful / padded]
    return found[0], found[1], found[2], found[3]


def loader_memory(clips: int) -> float:
    """Megabytes of the process' own memory that an epoch of batches adds (mapped files do not count), after a first batch."""
    from tests.core.training.training_factory import WordVectors, swings, tiny_run

    run = tiny_run()
    with tempfile.TemporaryDirectory() as folder:
        corpus = swings(Path(folder), clips, frames=(40, 60))
        batches = Batches(Clips(corpus, "train", WordVectors(64), motion_statistics(corpus), run.data, 64), run.objective, 0, 8)
        steps = batches.stream(0, 0)
        next(steps)
        before = own_memory_mb()
        for _ in range(batches.steps_per_epoch):
            next(steps)
        return own_memory_mb() - before


def own_memory_mb() -> float:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(status["RssAnon"].split()[0]) / 1024


def run(quick: bool) -> list[Measure]:
    bench = Bench("small")
    few, many = (loader_memory(count) for count in ((100, 400) if quick else (200, 2000)))
    speed, share, peak = peak_share(bench, 4 if quick else CLIPS, FRAMES, 2 if quick else 5)
    bucketed, useful, padded, useful_padded = mixed_lengths(bench, 3 if quick else 8)
    return [
        Measure("small_frames_per_cpu_s", speed, "frames/s", against=PREDECESSOR),
        Measure("small_peak_share", share, "", against=f"{peak / 1e9:.1f} GFLOP/s in the same run", at_least=0.5),
        Measure("mixed_useful_frames_per_cpu_s", bucketed, "frames/s", against=f"useful share {useful:.2f}"),
        Measure("mixed_over_padding", bucketed / padded, "x", against=f"{padded:.0f} frames/s, useful share {useful_padded:.2f}", at_least=1.5),
        Measure("loader_growth_mb", many, "MB", against=f"{few:.1f} MB with a tenth of the clips" if not quick else f"{few:.1f} MB"),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="small")
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--steps", type=int, default=5)
    chosen = parser.parse_args()
    speed, share, peak = peak_share(Bench(chosen.variant), chosen.clips, chosen.frames, chosen.steps)
    print(f"{chosen.variant}: {speed:.0f} frames per CPU-s, {share:.1%} of {peak / 1e9:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
