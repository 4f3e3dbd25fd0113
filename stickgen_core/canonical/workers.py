"""Jobs done by this process and, once the work turns out to be long, by others beside it: nobody waits for a worker to start.

A worker is a fresh process that publishes its parts itself and sends back how far it is. It ends with this one, whatever kills it.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait

from stickgen_core.canonical.parts import Job, Tell, make_part
from stickgen_core.errors import StickgenError

# A worker takes about a second to start: none is started before the work has taken this long, with as much left by its pace.
START_AFTER_S, START_LEFT_S = 0.2, 2.0
# How often this process looks up from its own job, and a worker tells how far it is.
LOOK_S = 0.05


def do(jobs: Sequence[Job], workers: int, tell: Tell) -> None:
    """Make every job's part; `tell` hears of units as they are done, in any order."""
    crew = _Crew(deque(jobs), workers, tell)
    try:
        while crew.waiting:
            make_part(crew.waiting.popleft(), crew.own_unit)
        while any(worker.jobs for worker in crew.workers):
            crew.listen(None)
    finally:
        for worker in crew.workers:
            worker.end()


class _Crew:
    """The jobs that nobody has yet, and the workers beside this process."""

    def __init__(self, waiting: deque[Job], workers: int, tell: Tell):
        self.waiting, self.tell, self.workers = waiting, tell, list[_Worker]()
        self._wanted = min(workers, len(waiting)) - 1
        self._left = sum(len(job.units) for job in waiting)
        self._total, self._started = self._left, time.monotonic()
        self._looked = self._started

    def own_unit(self, units: int, frames: int) -> None:
        """A unit of this process is done: time to look after the others, now and then."""
        self.told(units, frames)
        now = time.monotonic()
        if self._wanted > 0 and now - self._looked >= min(LOOK_S, START_AFTER_S):
            self._looked = now
            if self.workers:
                self.listen(0.0)
            elif self._is_long(now - self._started):
                context = multiprocessing.get_context("spawn")
                self.workers = [_Worker(context) for _ in range(min(self._wanted, len(self.waiting)))]

    def _is_long(self, seconds: float) -> bool:
        left_s = seconds / max(1, self._total - self._left) * self._left
        return bool(self.waiting) and seconds >= START_AFTER_S and left_s >= START_LEFT_S

    def told(self, units: int, frames: int) -> None:
        self._left -= units
        self.tell(units, frames)

    def listen(self, timeout_s: float | None) -> None:
        """Hear every worker that has something to say, and give work to those that are running out of it."""
        for pipe in wait([worker.pipe for worker in self.workers], timeout_s):
            worker = next(worker for worker in self.workers if worker.pipe is pipe)
            worker.hear(self.told)
        for worker in self.workers:
            # One job in hand and one to go on with, unless others could begin on that.
            while worker.ready and self.waiting and len(worker.jobs) < (2 if len(self.waiting) > len(self.workers) else 1):
                worker.give(self.waiting.popleft())


class _Worker:
    """A process beside this one, seen from here."""

    def __init__(self, context: multiprocessing.context.SpawnContext):
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.ready, self.jobs = False, deque[Job]()

    def give(self, job: Job) -> None:
        self.jobs.append(job)
        self.pipe.send(job)

    def hear(self, tell: Tell) -> None:
        """All that it has said."""
        try:
            while self.pipe.poll():
                self._heard(self.pipe.recv(), tell)
        except (EOFError, OSError):
            self.process.join(1)
            raise StickgenError(
                f"a worker process ended by itself (exit code {self.process.exitcode}; -9 is often a lack of memory): what is finished is"
                " kept; run again, with a smaller pipeline.workers"
            ) from None

    def _heard(self, said: object, tell: Tell) -> None:
        match said:
            case "ready":
                self.ready = True
            case "done":
                self.jobs.popleft()
            case (int(units), int(frames)):
                tell(units, frames)
            case BaseException() as error:
                raise error

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join()
        self.process.close()


def _serve(pipe: Connection) -> None:
    """The worker's side: jobs come through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's interrupt is for the process that was called, which ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send("ready")
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            progress = _Progress(pipe)
            make_part(job, progress)
            progress.send()
            pipe.send("done")
        except Exception as error:
            pipe.send(_portable(error))
            return


class _Progress:
    """Units and frames done, sent every now and then."""

    def __init__(self, pipe: Connection):
        self._pipe, self._units, self._frames, self._sent = pipe, 0, 0, time.monotonic()

    def __call__(self, units: int, frames: int) -> None:
        self._units, self._frames = self._units + units, self._frames + frames
        if time.monotonic() - self._sent >= LOOK_S:
            self.send()

    def send(self) -> None:
        self._pipe.send((self._units, self._frames))
        self._units, self._frames, self._sent = 0, 0, time.monotonic()


def _end_with_parent() -> None:
    """A killed parent cannot say goodbye: without this its workers would hold their folders for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """An error that can be sent: what a person is to read, as it is; of a fault of the program, where it happened."""
    if type(error).__init__ is StickgenError.__init__:
        return error
    return StickgenError(str(error)) if isinstance(error, StickgenError) else RuntimeError("".join(traceback.format_exception(error)))
