"""Run folders: `outputs/<TIMESTAMP>_<RUN_NAME>/` with the resolved configuration, the environment, the log and the result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.publish import publish_text

CONFIG_NAME = "config.yaml"
METADATA_NAME = "metadata.yaml"
LOG_NAME = "training_verbose.log"
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
RUN_ID = re.compile(r"\d{8}_\d{6}_[A-Za-z0-9][A-Za-z0-9._-]*\Z")


@dataclass(frozen=True)
class Run:
    """One run's folder; its name is the run id."""

    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    @property
    def config_path(self) -> Path:
        return self.folder / CONFIG_NAME

    @property
    def log_path(self) -> Path:
        return self.folder / LOG_NAME

    @classmethod
    def create(
        cls, outputs: Path, name: str, *, task: str, config_yaml: str, config_hash: str, environment: Mapping[str, Any], now: datetime | None = None
    ) -> "Run":  # fmt: skip
        """A new folder for a run that starts now; two runs of one name in one second get different folders."""
        if not SAFE_NAME.match(name):
            raise StickgenError(f"run name {name!r}: expected letters, digits, '.', '_' and '-', starting with a letter or digit")
        started = now or datetime.now(UTC)
        base = f"{started:%Y%m%d_%H%M%S}_{name}"
        outputs.mkdir(parents=True, exist_ok=True)
        run = cls(_fresh_folder(outputs, base))
        publish_text(run.config_path, config_yaml)
        run._write({
            "run_id": run.run_id, "task": task, "config_hash": config_hash, "timestamp": started.isoformat(), "status": "running",
            "checkpoint_path": None, "metrics": {}, "metadata": dict(environment),
        })  # fmt: skip
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        run = cls(folder)
        run.metadata()
        return run

    def metadata(self) -> dict[str, Any]:
        """What metadata.yaml says."""
        path = self.folder / METADATA_NAME
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise MissingInput(f"{path}: not there; {self.folder} is not a run folder") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Corrupt(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None
        if not isinstance(values, dict) or "run_id" not in values:
            raise Corrupt(f"{path}: expected a mapping with run_id, task, config_hash, metrics")
        return values

    def log(self, line: str) -> None:
        """Append one line to the run's log, with the time."""
        with self.log_path.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z {line}\n")

    def finish(self, status: str, *, metrics: Mapping[str, float] | None = None, checkpoint: Path | None = None) -> dict[str, Any]:
        """Record how the run ended: "completed", "failed", "interrupted"; returns the metadata, which is also a registry entry."""
        values = self.metadata() | {"status": status, "finished": datetime.now(UTC).isoformat()}
        if metrics is not None:
            values["metrics"] = {name: float(value) for name, value in metrics.items()}
        if checkpoint is not None:
            values["checkpoint_path"] = str(checkpoint)
        self._write(values)
        return values

    def _write(self, values: Mapping[str, Any]) -> None:
        publish_text(self.folder / METADATA_NAME, yaml.safe_dump(dict(values), sort_keys=False))


def _fresh_folder(outputs: Path, base: str) -> Path:
    attempt = 1
    while True:
        folder = outputs / (base if attempt == 1 else f"{base}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            attempt += 1
        else:
            return folder


def list_runs(outputs: Path) -> list[Run]:
    """Every run folder, oldest first; other folders and half-made ones are passed over."""
    folders = sorted(entry for entry in outputs.glob("*") if RUN_ID.match(entry.name) and (entry / METADATA_NAME).is_file())
    return [Run(folder) for folder in folders]
