"""The parent's side of the worker process: one child that imports torch once and makes one step after another.

A child of its own keeps torch out of the code location and the daemon, and its memory ends with it. It ends itself
when its parent is gone, so a killed build leaves no training behind.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from stickgen_core.errors import StickgenError
from stickgen_pipeline.steps import Step, Work

if TYPE_CHECKING:
    from stickgen_core.settings import Settings

# What repeatable training needs from the birth of its process on; the trainer records it.
REPEATABLE = {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}

STOPPED = "asked to stop; run the same command again to go on"
SAVED = "asked to stop; what it had is saved, run the same command again to go on"

# A checkpoint of the largest variant is written well within this.
GRACE_S = 60.0


class WorkerProcess:
    """Starts on the first step that needs it; a step that crashes it is failed and the next one gets a fresh process."""

    def __init__(self, settings: "Settings"):
        self._settings = settings
        self._child: subprocess.Popen[str] | None = None
        self._stopped = False

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def run(self, step: Step, work: Work) -> float:
        """Make the step in the child; returns the child's peak memory in MB."""
        if self._stopped:
            raise StickgenError(f"{work.key}: {STOPPED}")
        child = self._started()
        request = {"key": work.key, "recipe": work.recipe, "inputs": dict(work.inputs)}
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
            if self._stopped:  # asked to while the child was being started: nobody has told it yet
                child.send_signal(signal.SIGINT)
            for line in child.stdout:
                answer: dict[str, Any] = json.loads(line)
                if "progress" in answer:
                    work.progress(*answer["progress"])
                elif "figures" in answer:
                    work.watch(answer["figures"])
                elif "stopped" in answer:
                    raise StickgenError(f"{work.key}: {SAVED if answer['stopped'] else STOPPED}")
                elif "peak_mb" in answer:
                    return float(answer["peak_mb"])
                elif "error" in answer:
                    raise StickgenError(answer["error"])
                elif "crash" in answer:
                    raise RuntimeError(f"{work.key} failed in the worker process:\n{answer['crash']}")
        except (KeyboardInterrupt, GeneratorExit):
            self._interrupt(child)
            raise
        except BrokenPipeError:
            pass
        except StickgenError:
            raise
        except BaseException as error:
            # Dagster's interrupt derives from BaseException alone: let the step save what it has.
            if not isinstance(error, Exception):
                self._interrupt(child)
            raise
        code = child.wait()
        self._child = None
        if code == 0:  # asked to stop before it had begun the step
            raise StickgenError(f"{work.key}: {STOPPED}")
        raise StickgenError(
            f"{work.key}: the worker process ended with {self._meaning(code)}; run the same command again, it goes on from the last save"
        )

    def stop(self) -> None:
        """From another thread: the step in hand saves what it has and counts as not made; no other is begun."""
        self._stopped, child = True, self._child
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGINT)

    def close(self) -> None:
        child, self._child = self._child, None
        if child is None or child.poll() is not None:
            return
        with contextlib.suppress(BrokenPipeError):
            if child.stdin is not None:
                child.stdin.close()
        try:
            child.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _started(self) -> "subprocess.Popen[str]":
        if self._child is not None and self._child.poll() is None:
            return self._child
        settings = self._settings
        asked = settings.config.pipeline.threads
        threads = {"OMP_NUM_THREADS": str(asked)} if asked else {}
        # Held back until the child has a handler for it: one that comes earlier is neither lost nor a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "stickgen_pipeline.compute.child", settings.profile, str(settings.root), *settings.overrides],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                env={"OMP_NUM_THREADS": str(os.cpu_count() or 1), "TOKENIZERS_PARALLELISM": "false", **REPEATABLE, **os.environ, **threads},
                process_group=0,  # Ctrl-C reaches the parent only, which asks the child to save first
            )  # fmt: skip
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self._child

    def _interrupt(self, child: "subprocess.Popen[str]") -> None:
        child.send_signal(signal.SIGINT)
        self.close()

    def _meaning(self, code: int) -> str:
        if code >= 0:
            return f"exit code {code}"
        name, several = signal.Signals(-code).name, self._settings.config.pipeline.side_by_side > 1
        if name != "SIGKILL":
            return name
        return f"{name} (out of memory? `-c pipeline.side_by_side=1` makes one step at a time)" if several else f"{name} (out of memory?)"
