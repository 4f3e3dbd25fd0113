"""How a run ends before its time: somebody asks, or the loss goes where no training comes back from."""

import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stickgen_core.errors import StickgenError

NAMED_CLIPS = 8


class Diverged(StickgenError):
    """The loss is not a number, or far above its best; the last good checkpoint is kept."""


@contextmanager
def asked_to_stop(stopping: Callable[[], bool] | None) -> Iterator[Callable[[], bool]]:
    """A question that turns true once SIGTERM has arrived or the caller says so; outside the main thread only the caller can."""
    told = threading.Event()

    def asked() -> bool:
        return told.is_set() or (stopping is not None and stopping())

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


def not_finite(run: str, step: int, terms: Mapping[str, float], clip_ids: Sequence[str], work: Path) -> Diverged:
    """The step, the terms and the clips of the first update that is not a number."""
    names = [name for name, value in terms.items() if not math.isfinite(value)] or ["gradient"]
    return Diverged(
        f"{run}: step {step}: {', '.join(names)} is not finite; clips {named(clip_ids)}; the last good checkpoint is in {work};"
        " lower training.learning_rate or look at those clips"
    )


def spiked(run: str, step: int, loss: float, best: float, weighted: Mapping[str, float], clip_ids: Sequence[str], work: Path) -> Diverged:
    """The validation loss is far above its best; the term that weighs most in it, and the clips of the step before, say where to look."""
    worst = max(weighted, key=lambda name: -math.inf if math.isnan(weighted[name]) else weighted[name])
    return Diverged(
        f"{run}: step {step}: validation loss {loss:.4g}, best {best:.4g}; {worst} weighs most ({weighted[worst]:.4g}); last clips {named(clip_ids)};"
        f" the last good checkpoint is in {work}; lower training.learning_rate or raise training.spike_factor"
    )


def named(clip_ids: Sequence[str]) -> str:
    rest = len(clip_ids) - NAMED_CLIPS
    return ", ".join(clip_ids[:NAMED_CLIPS]) + (f" and {rest} more" if rest > 0 else "")
