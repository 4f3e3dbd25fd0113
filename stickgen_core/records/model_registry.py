"""The model registry: one JSON list of trained models, safe under concurrent writers, rebuildable from the run folders."""

import contextlib
import csv
import fcntl
import io
import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.publish import publish_text
from stickgen_core.records.runs import list_runs

Entry = dict[str, Any]
REQUIRED = ("run_id", "task", "config_hash", "checkpoint_path", "metrics", "timestamp")


class ModelRegistry:
    """Entries in order of registration; one for a run id, the latest wins."""

    def __init__(self, path: Path, wait_s: float = 30.0):
        self.path = Path(path)
        self._wait_s = wait_s

    def entries(self) -> list[Entry]:
        """All entries; an absent registry is an empty one, a damaged one an error that says how to rebuild it."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise Corrupt(f"{self.path}: not valid JSON ({error}); rebuild it from the run folders") from None
        if not isinstance(found, list) or not all(isinstance(e, dict) and set(REQUIRED) <= set(e) for e in found):
            raise Corrupt(f"{self.path}: expected a list of entries with {', '.join(REQUIRED)}; rebuild it from the run folders")
        return found

    def register(self, entry: Mapping[str, Any]) -> None:
        """Add an entry, or replace that of the same run."""
        missing = [name for name in REQUIRED if name not in entry]
        if missing:
            raise StickgenError(f"registry entry {entry.get('run_id')!r}: missing {', '.join(missing)}")
        with self._writing():
            kept = [e for e in self.entries() if e["run_id"] != entry["run_id"]]
            self._publish([*kept, dict(entry)])

    def rebuild(self, outputs: Path) -> int:
        """Replace the registry by what the completed runs' own metadata say; returns how many there are."""
        with self._writing():
            found = [values for run in list_runs(outputs) if (values := run.metadata()).get("status") == "completed"]
            self._publish(found)
        return len(found)

    def by_task(self, task: str) -> list[Entry]:
        return [e for e in self.entries() if e["task"] == task]

    def by_config_hash(self, config_hash: str) -> list[Entry]:
        """Entries whose hash starts with this (documents quote the first eight digits)."""
        return [e for e in self.entries() if str(e["config_hash"]).startswith(config_hash)]

    def agreement(self, config_hash: str, metric: str) -> tuple[int, float] | None:
        """(runs, relative spread of a metric over them) of one configuration; None where fewer than two have the metric."""
        values = [e["metrics"][metric] for e in self.by_config_hash(config_hash) if isinstance(e["metrics"].get(metric), int | float)]
        if len(values) < 2 or not min(map(abs, values)):
            return None
        return len(values), (max(values) - min(values)) / min(map(abs, values))

    def best(self, task: str, metric: str, mode: Literal["min", "max"]) -> Entry:
        """The entry of a task with the best finite value of a metric; among equals the earliest."""
        if mode not in ("min", "max"):
            raise StickgenError(f"mode {mode!r}: expected 'min' or 'max'")
        with_metric = [
            e for e in self.by_task(task) if isinstance(e["metrics"].get(metric), int | float) and math.isfinite(e["metrics"][metric])
        ]
        if not with_metric:
            raise MissingInput(f"{self.path}: no {task!r} model with metric {metric!r}")
        sign = 1 if mode == "min" else -1
        return min(with_metric, key=lambda e: (sign * e["metrics"][metric], e["timestamp"]))

    def export_csv(self, path: Path) -> int:
        """One line a model, one column a metric; returns the number of models."""
        entries = self.entries()
        metrics = sorted({name for e in entries for name in e["metrics"]})
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        plain = [name for name in REQUIRED if name != "metrics"]
        writer.writerow([*plain, *metrics])
        for e in entries:
            writer.writerow([*(e[name] for name in plain), *(e["metrics"].get(name, "") for name in metrics)])
        publish_text(path, text.getvalue())
        return len(entries)

    def _publish(self, entries: list[Entry]) -> None:
        publish_text(self.path, json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Wait for other writers; the lock is on a file of its own because the registry itself is replaced."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f".{self.path.name}.lock").open("a+") as lock:
            deadline = time.monotonic() + self._wait_s
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise StickgenError(f"{self.path}: another process has been writing for {self._wait_s:.0f} s; try again") from None
                    time.sleep(0.02)
            yield
