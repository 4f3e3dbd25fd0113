"""What a run says while it goes: metrics as JSON lines, a readable log, and trackers where they are installed and asked for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stickgen_core.training.trackers import NAMES, Tracker, open_trackers

METRICS, LOG = "metrics.jsonl", "training_verbose.log"


class Journal:
    """Appends to a folder's metrics.jsonl and training_verbose.log; a resumed run first drops what lies after its step."""

    def __init__(
        self, folder: Path, step: int, trackers: tuple[str, ...] = (), run_name: str = "", config: Mapping[str, Any] | None = None
    ):  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        kept = [line for line in _lines(folder / METRICS) if json.loads(line)["step"] <= step] if step else []
        (folder / METRICS).write_text("".join(kept))
        if not step:
            (folder / LOG).write_text("")
            (folder / NAMES).unlink(missing_ok=True)
        self._trackers = open_trackers(trackers, folder, run_name, step, config or {})

    def close(self) -> None:
        """Let go of the trackers; what a process trains next is another run."""
        while self._trackers:
            tracker = self._trackers.pop()
            try:
                tracker.close()
            except Exception as error:
                self._lost(tracker, error)

    def say(self, text: str) -> None:
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def record(self, step: int, kind: str, values: Mapping[str, Any]) -> None:
        """One line of metrics; numbers also go to the trackers."""
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
        self.say(f"step {step} {kind}: " + ", ".join(f"{k} {v:.6g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items()))
        numbers = {f"{kind}/{k}": float(v) for k, v in values.items() if isinstance(v, int | float)}
        for tracker in list(self._trackers):
            try:
                tracker.track(step, numbers)
            except Exception as error:  # a server that went away hours later must not end the training
                self._trackers.remove(tracker)
                self._lost(tracker, error)

    def _lost(self, tracker: Tracker, error: Exception) -> None:
        self.say(f"{type(tracker).__name__.strip('_')} gets no more figures: {(str(error).splitlines() or [type(error).__name__])[0]}")


def _lines(path: Path) -> list[str]:
    """Whole lines of a file; a last line that a kill cut short is dropped."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]


def read_metrics(folder: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The metrics of a run, optionally of one kind: train, validation, gradient_share."""
    rows = [json.loads(line) for line in _lines(folder / METRICS)]
    return [row for row in rows if kind is None or row["kind"] == kind]
