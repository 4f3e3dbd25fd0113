"""The worker process: reads one step a line from stdin, makes it, and answers with progress and an end, one JSON a line."""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from stickgen_core.errors import StickgenError
from stickgen_pipeline.compute.worker import GRACE_S
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import resolve
from stickgen_pipeline.steps import Step, Work, peak_memory_mb

PROGRESS_EVERY_S = 0.2


def main(arguments: list[str]) -> int:
    profile, root, *overrides = arguments
    # Answers go to a private copy of stdout; whatever a library prints goes to stderr.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    stop, saves, busy = threading.Event(), threading.Event(), threading.Event()

    def interrupted(number: int, frame: FrameType | None) -> None:
        """A step that asks whether to stop saves what it has; one that never asked has nothing to save and ends here."""
        stop.set()
        if not saves.is_set():
            raise KeyboardInterrupt

    def stopping() -> bool:
        saves.set()
        return stop.is_set()

    signal.signal(signal.SIGINT, interrupted)
    requests: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_listen, args=(requests, stop, busy), daemon=True).start()

    def answer(**values: Any) -> None:
        try:
            answers.write(json.dumps(values) + "\n")
        except BrokenPipeError:  # the parent is gone; the step in hand saves and ends
            stop.set()

    def make(step: Step, request: Mapping[str, Any]) -> None:
        last = 0.0
        busy.set()

        def progress(label: str, done: int, total: int) -> None:
            nonlocal last
            if done >= total or time.monotonic() - last > PROGRESS_EVERY_S:
                last = time.monotonic()
                answer(progress=[label, done, total])

        def watch(figures: Mapping[str, float]) -> None:
            answer(figures=dict(figures))

        try:
            step.make(Work(step.key, step.folder, request["recipe"], request["inputs"], progress, stopping, watch))
            answer(**({"stopped": saves.is_set()} if stop.is_set() else {"peak_mb": peak_memory_mb()}))
        except StickgenError as error:
            answer(error=str(error))
        except KeyboardInterrupt:
            answer(stopped=False)
        except Exception:
            answer(crash=traceback.format_exc())
        finally:
            busy.clear()
            saves.clear()

    with contextlib.suppress(KeyboardInterrupt):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        steps = steps_of(resolve(profile, Path(root), overrides))
        while not stop.is_set() and (line := requests.get()) is not None:
            request = json.loads(line)
            make(steps[request["key"]], request)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0


def _listen(requests: "queue.Queue[str | None]", stop: threading.Event, busy: threading.Event) -> None:
    """Hand lines on; at the end of stdin the parent has finished or died: save or end, and never outlive it by more than the grace."""
    for line in sys.stdin:
        requests.put(line)
    requests.put(None)
    stop.set()
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
