"""Counters, gauges and one histogram in the text format that Prometheus reads."""

import threading
from collections import Counter
from collections.abc import Mapping

SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counts requests by route and status, jobs by outcome, motions by verdict, and how long jobs ran."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        self._buckets = [0] * (len(SECONDS) + 1)
        self._sum = 0.0

    def count(self, name: str, **labels: str) -> None:
        with self._lock:
            self._counts[name, tuple(sorted(labels.items()))] += 1

    def job(self, state: str, seconds: float) -> None:
        self.count("jobs", state=state)
        with self._lock:
            self._buckets[sum(seconds > limit for limit in SECONDS)] += 1
            self._sum += seconds

    def text(self, gauges: Mapping[str, float]) -> str:
        """Everything there is, gauges measured by the caller."""
        with self._lock:
            counts, buckets, total = dict(self._counts), list(self._buckets), self._sum
        lines: list[str] = []
        for name in sorted({name for name, _ in counts}):
            lines.append(f"# TYPE stickgen_{name}_total counter")
            for (found, labels), hits in sorted(counts.items()):
                if found == name:
                    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
                    lines.append(f"stickgen_{name}_total{{{inside}}} {hits}")
        lines.append("# TYPE stickgen_job_seconds histogram")
        seen = 0
        for limit, fallen in zip((*map(str, SECONDS), "+Inf"), buckets, strict=True):
            seen += fallen
            lines.append(f'stickgen_job_seconds_bucket{{le="{limit}"}} {seen}')
        lines += [f"stickgen_job_seconds_sum {total:.6f}", f"stickgen_job_seconds_count {seen}"]
        for name, value in gauges.items():
            lines += [f"# TYPE stickgen_{name} gauge", f"stickgen_{name} {value:.10g}"]
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resident_bytes() -> float:
    """Memory that this process holds now; 0 where the system does not say."""
    try:
        import psutil
    except ImportError:
        return 0.0
    return float(psutil.Process().memory_info().rss)
