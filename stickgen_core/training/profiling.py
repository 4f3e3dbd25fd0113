"""Where the time of a training step goes: a few real steps under torch's profiler, as a trace and a table. Nothing is kept of the model."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, record_function

from stickgen_core.corpus import Corpus
from stickgen_core.model.normalise import Statistics
from stickgen_core.training.clips import Vectors
from stickgen_core.training.clock import Clock
from stickgen_core.training.config import RunConfig
from stickgen_core.training.cost import Work, matmul_peak
from stickgen_core.training.devices import machine_for
from stickgen_core.training.images import ParallaxImages
from stickgen_core.training.loop import Training
from stickgen_core.training.starting import Origin

# The loop marks them itself; forward and backward hold every micro-batch of the step.
PHASES = ("load", "forward", "backward", "optimiser")
TRACE, TABLE = "trace.json.gz", "profile.txt"
ROWS = 25


@dataclass(frozen=True)
class Profile:
    """Milliseconds a step and share of each phase, the operations that take most, the figures of the interval, and the trace."""

    phases: Sequence[tuple[str, float, float]]
    operations: str
    figures: dict[str, float]
    trace: Path


def profile(
    run: RunConfig, corpus: Corpus, vectors: Vectors, statistics: Statistics | None, folder: Path, *, init_from: Path | None = None,
    parallax: Path | None = None, steps: int = 3,
) -> Profile:  # fmt: skip
    """Step the run a few times on its own data, after one step to warm up, and write `trace.json.gz` and `profile.txt` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images = ParallaxImages.open(run, corpus, parallax) if run.data.use_parallax_augmentation else None
    with machine_for(run.training) as machine, tempfile.TemporaryDirectory() as scratch:
        origin = Origin("profile", run.recipe, {}, None)
        training = Training(run, corpus, vectors, statistics, Path(scratch), machine, init_from, origin, None, None, images)
        training.clock = Clock(Work.of(training.model), matmul_peak(machine.device), machine.device)
        training.model.train()
        batches = training.batches.prefetched(0, 0, run.training.num_workers, run.training.prefetch_factor)
        training.update(next(batches))
        training.clock.rates(0)
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if machine.device.type == "cuda" else [])]
        with torch.profiler.profile(activities=kinds) as recorded:
            for _ in range(steps):
                with record_function("load"):
                    step = next(batches)
                training.update(step)
        figures = training.clock.rates(0)
        batches.close()
    recorded.export_chrome_trace(str(folder / TRACE))
    averages = recorded.key_averages()
    spent = {event.key: event.cpu_time_total / 1e3 / steps for event in averages if event.key in PHASES}
    total = sum(spent.values()) or 1.0
    phases = [(name, spent.get(name, 0.0), spent.get(name, 0.0) / total) for name in PHASES]
    by = "self_cuda_time_total" if machine.device.type == "cuda" else "self_cpu_time_total"
    operations = averages.table(sort_by=by, row_limit=ROWS, max_name_column_width=48)
    lines = [f"{name:<12}{milliseconds:>12.1f} ms a step {share:>8.1%}" for name, milliseconds, share in phases]
    (folder / TABLE).write_text("\n".join(lines) + "\n\n" + operations + "\n", encoding="utf-8")
    return Profile(phases, operations, figures, folder / TRACE)
