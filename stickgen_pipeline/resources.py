"""What a run shares between its assets: worker processes, receipts and locks, and somebody to tell about progress."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from stickgen_pipeline.burying import OWNER_TAG, own_mark
from stickgen_pipeline.compute.worker import WorkerProcess
from stickgen_pipeline.crew import Crew
from stickgen_pipeline.slots import Slots
from stickgen_pipeline.steps import Costs, Outcome, Progress, Step, Steps, Watch, Witness, Worker, perform

if TYPE_CHECKING:
    from stickgen_core.settings import Settings


@dataclass(frozen=True)
class Watcher:
    """Who follows a build of the steps `todo`: gets each one's progress as it runs, and its outcome or its error when it is done.

    waits   told of a step that is ready but finds its pool full
    """

    progress_of: Callable[[Step], Progress]
    finished: Callable[[Step, Outcome], None]
    failed: Callable[[Step, BaseException], None]
    waits: Callable[[Step], None]
    todo: Sequence[Step]


@dataclass(frozen=True)
class Bench:
    """Tools of one run; with a crew, heavy steps are made by it and taken from it."""

    worker: WorkerProcess | None
    state: Path
    costs: Costs
    watcher: Watcher | None = None
    witness: Witness | None = None
    crew: Crew | None = None
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def perform(self, step: Step, steps: Steps, log: Progress, watch: Watch) -> Outcome:
        """Make a step, or take it from the crew; `log` hears of progress where nobody watches."""
        if self.crew is not None and step.apart:
            return self.crew.take(step, watch)
        outcome = self.make(step, steps, self.worker, log, watch)
        if self.crew is not None:
            self.crew.told(step, outcome)
        return outcome

    def make(self, step: Step, steps: Steps, worker: Worker | None, log: Progress, watch: Watch) -> Outcome:
        """Make a step here, or in `worker` if it is heavy, and tell who watches; also from a thread of the crew."""
        progress = self.watcher.progress_of(step) if self.watcher else log
        try:
            outcome = perform(step, steps, self.state, progress, worker, self.witness, watch)
        except BaseException as error:
            if self.watcher:
                with self.one_at_a_time:
                    self.watcher.failed(step, error)
            raise
        with self.one_at_a_time:
            if not outcome.reused:
                self.costs.add(step.key, outcome.seconds)
            if self.watcher:
                self.watcher.finished(step, outcome)
        return outcome


def costs_of(settings: "Settings") -> Costs:
    return Costs(settings.places.data / "build_seconds.json")


def state_of(settings: "Settings") -> Path:
    return settings.places.data / ".steps"


def works_ahead(settings: "Settings", watcher: Watcher | None) -> bool:
    """Whether a crew makes the heavy steps: it then holds their slots in the pools, and their assets ask for none."""
    pipeline = settings.config.pipeline
    return watcher is not None and pipeline.train_in_subprocess and pipeline.side_by_side > 1


def bench_resource(settings: "Settings", steps: Steps, watcher: Watcher | None = None) -> dg.ResourceDefinition:
    """The bench as a resource: its workers end with the run."""

    @dg.resource(description="Worker processes, receipts and progress of one run.")
    def bench_of_run(context: dg.InitResourceContext) -> Iterator[Bench]:
        from stickgen_pipeline.witness import witness_of

        if context.instance is not None and context.run is not None:
            context.instance.add_run_tags(context.run.run_id, {OWNER_TAG: own_mark()})

        pipeline = settings.config.pipeline
        with contextlib.ExitStack() as held:
            workers = [
                held.enter_context(WorkerProcess(settings)) for _ in range(pipeline.side_by_side if pipeline.train_in_subprocess else 0)
            ]
            bench = Bench(workers[0] if workers else None, state_of(settings), costs_of(settings), watcher, witness_of(settings))
            if works_ahead(settings, watcher) and watcher and context.instance is not None and context.run is not None:
                slots = held.enter_context(Slots(context.instance, context.run, watcher.waits))
                crew = Crew(watcher.todo, workers, lambda step, worker, watch: bench.make(step, steps, worker, _unheard, watch), slots)
                bench = replace(bench, crew=held.enter_context(crew))
            yield bench

    return bench_of_run


def _unheard(label: str, done: int, total: int) -> None:
    """Progress of a crew's step: who watches has heard it already."""
