"""Runs whose process was killed still read as running, hold their place in a pool and keep the rebuild rule waiting: mark them failed.

A run is tagged with its process as soon as it starts. One that died before that is known by its code server, which is gone.
"""

import json
import os
import socket
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from stickgen_core.settings import Settings

OWNER_TAG, SERVER_TAG = "stickgen/process", ".dagster/grpc_info"
UNFINISHED = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING)
CONNECT_S = 2.0


def own_mark() -> str:
    """This process: its number and when it began, because numbers are used again."""
    import psutil

    return f"{os.getpid()}@{psutil.Process().create_time():.2f}"


def is_alive(mark: str) -> bool:
    """Whether the process that made the mark still runs on this machine."""
    import psutil

    number, _, began = mark.partition("@")
    try:
        process = psutil.Process(int(number))
        return process.status() != psutil.STATUS_ZOMBIE and f"{process.create_time():.2f}" == began
    except (psutil.NoSuchProcess, ValueError):
        return False


def is_dead(run: dg.DagsterRun) -> bool:
    """Certainly dead: its process is gone, or it never got one and its server is gone."""
    mark = run.tags.get(OWNER_TAG)
    if mark:
        return not is_alive(mark)
    server = run.tags.get(SERVER_TAG)
    return bool(server) and _gone(json.loads(server or "{}"))


def _gone(server: dict[str, object]) -> bool:
    """Whether nobody listens any more where the run was started from. A server that is too busy to answer is not gone."""
    try:
        if server.get("socket"):
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(CONNECT_S)
                line.connect(str(server["socket"]))
        elif server.get("port"):
            socket.create_connection((str(server.get("host") or "127.0.0.1"), int(str(server["port"]))), CONNECT_S).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except OSError:
        return False
    return False


def bury_the_dead(instance: dg.DagsterInstance) -> list[str]:
    """Mark dead runs failed and free their pool slots; their ids."""
    buried = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=list(UNFINISHED))):
        if is_dead(run):
            instance.report_run_failed(run, "the process of this run was killed")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            buried.append(run.run_id)
    return buried


def burying_sensor(settings: "Settings") -> dg.SensorDefinition:
    """The daemon's own look for dead runs: the launcher cannot tell."""

    @dg.sensor(
        name="bury_killed_runs",
        minimum_interval_seconds=settings.config.pipeline.alert_interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Marks runs whose process was killed as failed, which frees their pool slots and lets the rebuild rule go on.",
    )
    def bury_killed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        buried = bury_the_dead(context.instance)
        return dg.SkipReason(f"{len(buried)} killed runs were marked failed" if buried else "no run was killed")

    return bury_killed_runs
