"""Places that draw the figures of a run: TensorBoard, MLflow, Weights & Biases, where they are installed and asked for.

A tracker is closed with its run, because one process may train several; what it calls the run is kept beside the metrics, so that a
resumed run goes on in the same curve.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from stickgen_core.errors import ConfigError, StickgenError
from stickgen_core.records.publish import publish_text

TENSORBOARD, MLFLOW, NAMES = "tensorboard", "mlruns", "trackers.json"


class Tracker(Protocol):
    """Takes figures of one run."""

    def track(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


def open_trackers(names: Sequence[str], folder: Path, run_name: str, step: int, config: Mapping[str, Any]) -> list[Tracker]:
    """Those that are asked for, in that order; if one cannot be opened, those before it are closed again."""
    with ExitStack() as opened:
        found: list[Tracker] = []
        for name in names:
            try:
                found.append(KNOWN[name](folder, run_name, step, config))
            except ImportError as error:
                raise ConfigError(
                    f"training.trackers: {name} is asked for but not installed ({error.name}); install it or remove it"
                ) from None
            except Exception as error:  # whatever a package of somebody else raises: no server, no login, a store that it refuses
                said = (str(error).splitlines() or [type(error).__name__])[0]
                raise StickgenError(f"training.trackers: {name} could not be opened ({said}); mend it or remove it") from error
            opened.callback(found[-1].close)
        opened.pop_all()
    return found


class _TensorBoard:
    def __init__(self, folder: Path, run_name: str, step: int, config: Mapping[str, Any]):
        from torch.utils.tensorboard import SummaryWriter

        # What a killed run wrote after the step that it goes on from is superseded.
        self._writer = SummaryWriter(str(folder / TENSORBOARD), purge_step=step + 1 if step else None)

    def track(self, step: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Mlflow:
    """Into MLFLOW_TRACKING_URI; without one into files beside the checkpoint, never into the current folder.

    Files need MLflow's consent since it prefers a database; they need no package beside mlflow-skinny and travel with the checkpoint.
    """

    def __init__(self, folder: Path, run_name: str, step: int, config: Mapping[str, Any]):
        from mlflow.tracking import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            uri = (folder / MLFLOW).resolve().as_uri()
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._client = MlflowClient(tracking_uri=uri)
        known = _named(folder).get("mlflow") if step else None
        if known is None:
            experiment = self._client.get_experiment_by_name("stickgen")
            number = experiment.experiment_id if experiment else self._client.create_experiment("stickgen")
            known = self._client.create_run(number, run_name=run_name).info.run_id
            for key, value in flat(config).items():
                self._client.log_param(known, key, value)
            _name(folder, "mlflow", known)
        self._run = known

    def track(self, step: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self._client.log_metric(self._run, key, value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._run)


class _Wandb:
    """As WANDB_* say; with WANDB_MODE=offline into files beside the checkpoint."""

    def __init__(self, folder: Path, run_name: str, step: int, config: Mapping[str, Any]):
        import wandb

        known = _named(folder).get("wandb") if step else None
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "stickgen"), name=run_name, dir=str(folder), config=dict(config), id=known,
            resume="allow" if known else None,
        )  # fmt: skip
        _name(folder, "wandb", self._run.id)

    def track(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


KNOWN: dict[str, Callable[[Path, str, int, Mapping[str, Any]], Tracker]] = {"tensorboard": _TensorBoard, "mlflow": _Mlflow, "wandb": _Wandb}


def flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found


def _named(folder: Path) -> dict[str, str]:
    """What each tracker calls the run in this folder."""
    try:
        return json.loads((folder / NAMES).read_text())
    except (OSError, ValueError):
        return {}


def _name(folder: Path, tracker: str, run: str) -> None:
    publish_text(folder / NAMES, json.dumps({**_named(folder), tracker: run}) + "\n")
