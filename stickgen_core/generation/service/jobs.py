"""A bounded queue with one worker: what does not fit is told to come back, what takes too long is given up, nothing is kept for ever."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import Any

from stickgen_core.generation.service.refusal import Refusal, internal, timed_out

log = logging.getLogger("stickgen.service")

Report = Callable[[str, int, int], None]
Work = Callable[[Report], Any]


class GivenUp(Exception):
    """The job was cancelled or its time is over; raised inside the work by its own report of progress."""


@dataclass
class Job:
    """One piece of work. `progress` is (label, done, total) of what it is doing; `outcome` holds the result or the exception."""

    id: str
    work: Work
    deadline: float
    clock: Callable[[], float]
    state: str = "queued"
    progress: tuple[str, int, int] = ("queued", 0, 0)
    started: float | None = None
    outcome: "Future[Any]" = field(default_factory=Future)
    cancelled: bool = False

    def report(self, label: str, done: int, total: int) -> None:
        """Called by the work between its steps: the only places where it can be stopped."""
        self.progress = (label, done, total)
        self.stop_if_over()

    def over(self) -> bool:
        return self.cancelled or self.clock() > self.deadline

    def stop_if_over(self) -> None:
        if self.over():
            raise GivenUp


class Jobs:
    """Jobs in order of arrival. Finished ones can be found by id until `keep_jobs` or `keep_bytes` later ones have come.

    size_of    bytes that a result holds
    finished   told of every job that ended: (state, seconds it ran)
    """

    def __init__(self, queue: int, keep_jobs: int, keep_bytes: float, *, retry_after_s: int = 1, clock: Callable[[], float] = time.monotonic,
                 size_of: Callable[[Any], int] = lambda result: 0, finished: Callable[[str, float], None] = lambda state, seconds: None):  # fmt: skip
        self._queue: Queue[Job | None] = Queue(queue)
        self._keep_jobs, self._keep_bytes, self._retry_after_s, self._clock = keep_jobs, keep_bytes, retry_after_s, clock
        self._size_of, self._finished = size_of, finished
        self._lock, self._known, self._kept = threading.Lock(), dict[str, Job](), OrderedDict[str, int]()
        self.closed = False
        self._thread = threading.Thread(target=self._run, name="stickgen-jobs", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(self, id: str, work: Work, timeout_s: float) -> Job:
        """Put a job at the end of the queue, or refuse: full (429), closing (503)."""
        job = Job(id, work, self._clock() + timeout_s, self._clock)
        with self._lock:
            if self.closed:
                raise Refusal(503, "closing", "the service is shutting down; try again in a moment", retry_after_s=self._retry_after_s)
            try:
                self._queue.put_nowait(job)
            except Full:
                raise Refusal(
                    429, "busy", f"{self._queue.maxsize} requests are waiting already; try again in {self._retry_after_s} s",
                    retry_after_s=self._retry_after_s,
                ) from None  # fmt: skip
            self._known[id] = job
        return job

    def find(self, id: str) -> Job:
        with self._lock:
            job = self._known.get(id)
        if job is None:
            raise Refusal(404, "unknown_job", "no such job, or its result was forgotten; ask again")
        return job

    def ahead_of(self, job: Job) -> int:
        """How many jobs wait before this one."""
        with self._queue.mutex:
            waiting = list(self._queue.queue)
        return waiting.index(job) if job in waiting else 0

    def cancel(self, job: Job) -> None:
        """A waiting job is passed over, a running one stops at its next step; a finished one is forgotten."""
        job.cancelled = True
        if job.outcome.done():
            with self._lock:
                self._known.pop(job.id, None)
                self._kept.pop(job.id, None)

    def close(self, wait_s: float = 10.0) -> None:
        """Refuse new jobs, give up those that wait or run, end the worker."""
        with self._lock:
            self.closed = True
            for job in self._known.values():
                job.cancelled = True
        self._queue.put(None)
        self._thread.join(wait_s)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            self._perform(job)

    def _perform(self, job: Job) -> None:
        # From here on nobody who waits for the outcome can cancel it away from under the worker.
        job.outcome.set_running_or_notify_cancel()
        job.started, result, error = self._clock(), None, None
        try:
            job.stop_if_over()
            job.state, job.progress = "running", ("started", 0, 0)
            result, job.state = job.work(job.report), "done"
        except GivenUp:
            job.state = "cancelled" if job.cancelled else "timed_out"
            error = timed_out()
        except Refusal as refusal:
            job.state, error = "refused", refusal
        except Exception:
            log.exception("job %s failed", job.id)
            job.state, error = "failed", internal()
        # A job's work closes over its request: let go of it, so that a kept result holds no picture or prompt of its own.
        job.work = _nothing
        self._finished(job.state, self._clock() - job.started)
        self._keep(job, self._size_of(result) if error is None else 0)
        if error is None:
            job.outcome.set_result(result)
        else:
            job.outcome.set_exception(error)

    def _keep(self, job: Job, size: int) -> None:
        with self._lock:
            if job.cancelled:
                self._known.pop(job.id, None)
                return
            self._kept[job.id] = size
            while len(self._kept) > self._keep_jobs or (len(self._kept) > 1 and sum(self._kept.values()) > self._keep_bytes):
                oldest, _ = self._kept.popitem(last=False)
                self._known.pop(oldest, None)


def _nothing(report: Report) -> None:
    """What a finished job would do."""
