"""A measured figure, the machine it was measured on, and timing that interleaves alternatives so that a busy machine is fair to both."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stickgen_core.records.environment import capture


@dataclass(frozen=True)
class Measure:
    """One figure.

    against             what it was held against in the same run, with that figure
    at_least, at_most   the limit it has to keep, if there is one
    """

    name: str
    value: float
    unit: str
    against: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def limit(self) -> str:
        parts = [f">= {self.at_least:g}" if self.at_least is not None else "", f"<= {self.at_most:g}" if self.at_most is not None else ""]
        return " and ".join(filter(None, parts))

    @property
    def kept(self) -> bool | None:
        """Whether the limit was kept; None where there is none."""
        if not self.limit:
            return None
        return (self.at_least is None or self.value >= self.at_least) and (self.at_most is None or self.value <= self.at_most)

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "unit": self.unit, "against": self.against or None, "limit": self.limit or None, "kept": self.kept}


def machine() -> dict[str, Any]:
    """The machine and how busy it is."""
    found = capture()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": found["processor"], "cores": found["cores"], "memory_gb": found["memory_gb"], "platform": found["platform"],
        "python": found["python"], "packages": found["packages"], "load_1min": load,
    }  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """Median seconds of one alternative: of the processor (all threads) and of the wall clock."""

    cpu_s: float
    wall_s: float
    repeats: int


def interleaved(alternatives: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Timing]:
    """Run the alternatives in turn, `repeats` times; compare the processor times, which other work on the machine hardly moves."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in alternatives}
    for _ in range(repeats):
        for name, work in alternatives.items():
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            taken[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {
        name: Timing(statistics.median(cpu for cpu, _ in runs), statistics.median(wall for _, wall in runs), len(runs))
        for name, runs in taken.items()
    }  # fmt: skip
