"""How the data stages grow: measured at a few sizes of generated corpora, fitted, and extrapolated term by term."""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from stickgen_core.errors import StickgenError
from stickgen_core.settings import Settings, load_settings
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.steps import bytes_of, in_order, peak_memory_mb, perform

STAGES = ("raw", "canonical", "merged", "curated", "embedded")
QUANTITIES = ("seconds", "memory_mb", "megabytes")
MOST_POWER = 2.0
# A bend smaller than this is noise of the measurement.
LEAST_BEND = 1.15
SAMPLE_S = 0.02


@dataclass(frozen=True)
class Measured:
    """One stage at one size: all its artefacts together.

    seconds     of the processor, all threads and children: what other work on the machine hardly moves
    memory_mb   most memory of its own; pages of mapped shards are the system's to drop and do not count
    """

    stage: str
    clips: int
    seconds: float
    memory_mb: float
    megabytes: float


@dataclass(frozen=True)
class Law:
    """quantity = fixed + each · clips ^ power; the power is between 1 and 2, the work of comparing all pairs."""

    fixed: float
    each: float
    power: float

    def at(self, clips: float) -> float:
        return self.fixed + self.each * clips**self.power

    def dominant(self, clips: float) -> str:
        growing = self.each * clips**self.power
        return "fixed" if self.fixed >= growing else f"clips^{self.power:.2f}" if self.power > 1.05 else "clips"


def fit(sizes: Sequence[float], values: Sequence[float]) -> Law:
    """Least squares of fixed + each · n; a curve that bends upwards between the largest two gets its power from three sizes.

    Nothing shrinks as a corpus grows: a negative slope is noise and becomes zero.
    """
    n, mean_x, mean_y = len(sizes), sum(sizes) / len(sizes), sum(values) / len(values)
    if n < 2:
        raise StickgenError(f"growth needs two sizes at least, found {n}")
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(sizes, values, strict=True)) / sum((x - mean_x) ** 2 for x in sizes)
    slope = max(slope, 0.0)
    fixed = max(mean_y - slope * mean_x, 0.0)
    power = _bend(sizes, values)
    if power > LEAST_BEND:
        each = max(values[-1] - values[0], 0.0) / (sizes[-1] ** power - sizes[0] ** power)
        return Law(max(values[0] - each * sizes[0] ** power, 0.0), each, power)
    return Law(fixed, slope, 1.0)


def _bend(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Power of the growth where three sizes that double show it, 1 where they cannot."""
    if len(sizes) < 3:
        return 1.0
    (x1, x2, x3), (y1, y2, y3) = sizes[-3:], values[-3:]
    first, second = (y2 - y1) / (x2 - x1), (y3 - y2) / (x3 - x2)
    if first <= 0 or second <= 0:
        return 1.0
    return min(1.0 + math.log(second / first) / math.log((x2 + x3) / (x1 + x2)), MOST_POWER)


def simulate(settings: Settings, sizes: Sequence[int], datasets: int, say: Callable[[str], None]) -> list[Measured]:
    """Run the data stages at each size in a process and a folder of their own; everything made is removed."""
    found: list[Measured] = []
    for clips in sizes:
        with tempfile.TemporaryDirectory(prefix="stickgen-growth-") as folder:
            root = _root(settings, Path(folder), clips, datasets)
            say(f"measuring {datasets} data sets of {clips} generated clips")
            command = [sys.executable, "-m", "stickgen_pipeline.growth", settings.profile, str(root), *settings.overrides]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise StickgenError(f"{clips} clips: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
            found += [Measured(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    return found


def _root(settings: Settings, folder: Path, clips: int, datasets: int) -> Path:
    """A checkout's configurations with generated data sets alone, each with a seed of its own."""
    configs = folder / "configs"
    shutil.copytree(settings.configs, configs)
    spec = yaml.safe_load((configs / "datasets" / "synthetic.yaml").read_text(encoding="utf-8"))
    for path in (configs / "datasets").glob("*.yaml"):
        path.unlink()
    for number in range(datasets):
        name = "synthetic" if number == 0 else f"synthetic_{number}"
        options = {**spec["options"], "clips": clips, "seed": number + 1}
        (configs / "datasets" / f"{name}.yaml").write_text(yaml.safe_dump({**spec, "options": options}), encoding="utf-8")
    profile = configs / f"{settings.profile}.yaml"
    values = yaml.safe_load(profile.read_text(encoding="utf-8"))
    values.pop("datasets", None)
    # Copies of one generator are equal partners: caps on a source's share would measure the caps.
    curation = values.setdefault("curation", {})
    for section, caps in (
        ("merge", ("max_source_fraction",)),
        ("pretrain", ("max_source_fraction",)),
        ("sft", ("max_source_fraction", "max_synthetic_fraction")),
    ):
        curation.setdefault(section, {}).update(dict.fromkeys(caps, 1.0))
    profile.write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder


def measure(settings: Settings) -> Iterator[Measured]:
    """Make every data artefact, stage after stage, in this process."""
    steps = steps_of(settings)
    state = settings.places.data / ".steps"
    total = sum(int(spec.options["clips"]) for spec in settings.registry.values())
    for stage in STAGES:
        mine = [s for s in in_order(steps) if s.key.startswith((f"{stage}/", f"corpus/{stage}"))]
        before, started = _pool(settings), _processor_s()
        with Memory() as memory:
            for step in mine:
                perform(step, steps, state, _quiet)
        held = sum(bytes_of(step.folder) for step in mine) + _pool(settings) - before
        yield Measured(stage, total, round(_processor_s() - started, 3), round(memory.most_mb, 1), round(held / 1e6, 3))


def _pool(settings: Settings) -> int:
    """Bytes of shards and text vectors, which artefacts share."""
    return sum(bytes_of(folder) for folder in (settings.places.shards, settings.places.text_vectors) if folder.exists())


def _quiet(label: str, done: int, total: int) -> None:
    pass


def _processor_s() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


class Memory:
    """The most memory of its own that this process held meanwhile, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.most_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.most_mb = max(self.most_mb, _own_mb())
            if self._done.wait(SAMPLE_S):
                return


def _own_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        return next(float(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("RssAnon"))
    return peak_memory_mb()


def laws(measured: Sequence[Measured]) -> dict[str, dict[str, Law]]:
    """Stage -> quantity -> law."""
    found: dict[str, dict[str, Law]] = {}
    for stage in dict.fromkeys(row.stage for row in measured):
        mine = sorted((row for row in measured if row.stage == stage), key=lambda row: row.clips)
        sizes = [float(row.clips) for row in mine]
        found[stage] = {quantity: fit(sizes, [float(getattr(row, quantity)) for row in mine]) for quantity in QUANTITIES}
    return found


def errors(measured: Sequence[Measured], held_out: int) -> dict[str, dict[str, float]]:
    """Stage -> quantity -> predicted over measured at the size that the laws did not see."""
    seen = laws([row for row in measured if row.clips != held_out])
    return {
        row.stage: {q: seen[row.stage][q].at(row.clips) / max(float(getattr(row, q)), 1e-9) for q in QUANTITIES}
        for row in measured
        if row.clips == held_out
    }


def totals(found: Mapping[str, Mapping[str, Law]], clips: float) -> dict[str, float]:
    """Seconds and bytes of all stages one after another, and the memory of the largest."""
    return {
        "seconds": sum(laws["seconds"].at(clips) for laws in found.values()),
        "memory_mb": max(laws["memory_mb"].at(clips) for laws in found.values()),
        "megabytes": sum(laws["megabytes"].at(clips) for laws in found.values()),
    }


def main(arguments: list[str]) -> None:
    """In the measuring process: profile, root, overrides; answers with JSON on the last line."""
    profile, root, *overrides = arguments
    settings = load_settings(profile, Path(root), overrides, environ={})
    sys.stdout.write(json.dumps([asdict(row) for row in measure(settings)]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
