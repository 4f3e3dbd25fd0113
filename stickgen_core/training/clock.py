"""What the hardware gives: useful frames, padding, waiting and memory since the last look, and the share of the matrix-product peak."""

import resource
import sys
import time
from collections.abc import Mapping

import torch

from stickgen_core.training.batches import Step
from stickgen_core.training.cost import Work


class Clock:
    """Counts steps; `rates` gives the figures of the interval since it was last asked. Frames of each person count."""

    def __init__(self, work: Work, peak: float, device: torch.device):
        self.work, self.peak, self.device = work, peak, device
        self.began = self.looked = time.perf_counter()
        self._forget()

    def _forget(self) -> None:
        self.waited, self.frames, self.padded, self.steps, self.operations = 0.0, 0, 0, 0, 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def count(self, step: Step) -> None:
        self.frames += step.counts.frames
        self.padded += step.padded_tokens
        self.operations += step.counts.frames * self.work.operations(step.counts.frames / max(len(step.clip_ids), 1))
        self.steps += 1

    def rates(self, steps_left: int) -> dict[str, float]:
        now = time.perf_counter()
        passed = max(now - self.looked, 1e-9)
        values = {
            "frames_per_s": self.frames / passed, "useful_share": self.frames / max(self.padded, 1), "loader_wait_share": self.waited / passed,
            "peak_share": self.operations / passed / self.peak, "eta_s": steps_left * passed / max(self.steps, 1), "memory_gb": memory_gb(self.device),
        }  # fmt: skip
        self.looked = now
        self._forget()
        return values


def memory_gb(device: torch.device) -> float:
    """High-water mark of the device on CUDA, of the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def progress_line(run: str, values: Mapping[str, float]) -> str:
    """One line for a person."""
    return (
        f"{run} loss {values['loss']:.4f}, {values['frames_per_s']:,.0f} frames/s, useful {values['useful_share']:.0%}, "
        f"{values['peak_share']:.0%} of peak, {_left(values['eta_s'])} left, {values['memory_gb']:.1f} GB"
    )


def _left(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
