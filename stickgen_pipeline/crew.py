"""Heavy steps of one build, made by several worker processes at once: each begins as soon as its inputs are in place.

The run of the graph goes on step by step in its own order; when it gets to a heavy step, it takes what became of it here.
A step of a pool holds its slot while it is made, not when the run gets to it.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from stickgen_pipeline.compute.worker import GRACE_S
from stickgen_pipeline.steps import Outcome, Step, Watch, Worker

# How often the run looks up while it waits: figures of a training are handed on then, a slot of a pool is asked for again.
LOOK_S = 0.2


class Stoppable(Worker, Protocol):
    """A worker that another thread can ask for an end."""

    def stop(self) -> None: ...


class Pools(Protocol):
    """Slots that this run shares with every other run."""

    def claim(self, step: Step) -> bool:
        """A slot of the step's pool, or False while others hold them all."""

    def free(self, step: Step) -> None: ...


class Crew:
    """One thread a worker; a step goes to the first that is free, in the order of `todo`, which puts inputs first.

    Of the steps of one pool a single one is under way at a time, here and, where `pools` are given, in other runs too.

    perform   (step, worker, watch) -> outcome; called in a worker's thread
    """

    def __init__(
        self, todo: Sequence[Step], workers: Sequence[Stoppable], perform: Callable[[Step, Stoppable, Watch], Outcome],
        pools: Pools | None = None,
    ):  # fmt: skip
        self._shared = pools
        self._waiting = [step for step in todo if step.apart]
        self._unmade = {step.key for step in todo}
        self._pools: set[str] = set()
        self._perform, self._workers = perform, workers
        self._ended: dict[str, Outcome | BaseException] = {}
        self._figures: dict[str, deque[Mapping[str, float]]] = {step.key: deque() for step in self._waiting}
        self._changed, self._closed = threading.Condition(), False
        self._threads = [threading.Thread(target=self._serve, args=(worker,), daemon=True) for worker in workers]

    def __enter__(self) -> "Crew":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Begin nothing more; whoever is still at work saves what it has, or is left to whoever ends its worker."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.stop()
        for thread in self._threads:
            thread.join(GRACE_S)

    def told(self, step: Step, outcome: Outcome) -> None:
        """A step that was made elsewhere: what waits for it may begin, unless a gate holds it back."""
        with self._changed:
            self._note(step, outcome)

    def take(self, step: Step, watch: Watch) -> Outcome:
        """What became of a heavy step, once it is done; raises what making it raised."""
        with self._changed:
            # The run says that its inputs are there, and it is the one to know.
            self._unmade.difference_update(step.parents)
            self._changed.notify_all()
            while step.key not in self._ended:
                self._hand_on(step, watch)
                self._changed.wait(LOOK_S)
            self._hand_on(step, watch)
            ended = self._ended[step.key]
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def _hand_on(self, step: Step, watch: Watch) -> None:
        while self._figures[step.key]:
            watch(self._figures[step.key].popleft())

    def _serve(self, worker: Stoppable) -> None:
        while (step := self._next()) is not None:
            ended: Outcome | BaseException
            try:
                ended = self._perform(step, worker, self._figures[step.key].append)
            except BaseException as error:
                ended = error
            with self._changed:
                self._ended[step.key] = ended
                self._leave(step)
                if isinstance(ended, Outcome):
                    self._note(step, ended)
                self._changed.notify_all()

    def _next(self) -> Step | None:
        with self._changed:
            while not self._closed:
                ready = [step for step in self._waiting if self._unmade.isdisjoint(step.parents) and step.pool not in self._pools]
                for step in ready:
                    if self._entered(step):
                        self._waiting.remove(step)
                        return step
                self._changed.wait(LOOK_S if ready else None)
        return None

    def _entered(self, step: Step) -> bool:
        """Whether the step's pool lets it in; one without a pool needs nobody's leave."""
        if step.pool is None:
            return True
        if self._shared is not None and not self._shared.claim(step):
            return False
        self._pools.add(step.pool)
        return True

    def _leave(self, step: Step) -> None:
        if step.pool is not None:
            self._pools.discard(step.pool)
            if self._shared is not None:
                self._shared.free(step)

    def _note(self, step: Step, outcome: Outcome) -> None:
        if not outcome.blocked_by:
            self._unmade.discard(step.key)
            self._changed.notify_all()
