"""What a run shares between its assets: the worker process, receipts and locks, and somebody to tell about progress."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from stickgen_pipeline.burying import OWNER_TAG, own_mark
from stickgen_pipeline.compute.worker import WorkerProcess
from stickgen_pipeline.steps import Costs, Outcome, Progress, Step, Witness

if TYPE_CHECKING:
    from stickgen_core.settings import Settings


@dataclass(frozen=True)
class Watcher:
    """Who follows a build: gets each step's progress as it runs and its outcome when it is done."""

    progress_of: Callable[[Step], Progress]
    finished: Callable[[Step, Outcome], None]


@dataclass(frozen=True)
class Bench:
    """Tools of one run."""

    worker: WorkerProcess | None
    state: Path
    costs: Costs
    watcher: Watcher | None = None
    witness: Witness | None = None

    def progress_of(self, step: Step) -> Progress | None:
        return self.watcher.progress_of(step) if self.watcher else None

    def finished(self, step: Step, outcome: Outcome) -> None:
        if not outcome.reused:
            self.costs.add(step.key, outcome.seconds)
        if self.watcher:
            self.watcher.finished(step, outcome)


def costs_of(settings: "Settings") -> Costs:
    return Costs(settings.places.data / "build_seconds.json")


def state_of(settings: "Settings") -> Path:
    return settings.places.data / ".steps"


def bench_resource(settings: "Settings", watcher: Watcher | None = None) -> dg.ResourceDefinition:
    """The bench as a resource: its worker ends with the run."""

    @dg.resource(description="Worker process, receipts and progress of one run.")
    def bench(context: dg.InitResourceContext) -> Iterator[Bench]:
        from stickgen_pipeline.witness import witness_of

        if context.instance is not None and context.run is not None:
            context.instance.add_run_tags(context.run.run_id, {OWNER_TAG: own_mark()})

        with WorkerProcess(settings) as worker:
            apart = worker if settings.config.pipeline.train_in_subprocess else None
            yield Bench(apart, state_of(settings), costs_of(settings), watcher, witness_of(settings))

    return bench
