"""A line of a check list: what was asked, whether it holds, and the evidence that somebody else can look at."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from stickgen_core.errors import StickgenError

State = Literal["ok", "failed", "not done"]


@dataclass(frozen=True)
class Line:
    """One line; `evidence` names figures, digests and files, or says what has to be done."""

    name: str
    state: State
    evidence: str


def line(name: str, holds: bool | None, evidence: str) -> Line:
    """None: nobody did it yet."""
    return Line(name, "not done" if holds is None else "ok" if holds else "failed", evidence)


def asked(name: str, look: Callable[[], tuple[bool | None, str]]) -> Line:
    """A look that may fail: a failure is the line's evidence, not the end of the list."""
    try:
        return line(name, *look())
    except (StickgenError, OSError, KeyError, ValueError) as error:
        return Line(name, "failed", f"{type(error).__name__}: {error}" if not isinstance(error, StickgenError) else str(error))


def rows(lines: Iterable[Line]) -> Iterator[tuple[str, str, str]]:
    for one in lines:
        yield one.name, one.state, one.evidence


def as_json(lines: Iterable[Line]) -> list[dict[str, str]]:
    return [{"check": one.name, "state": one.state, "evidence": one.evidence} for one in lines]


def summary(lines: Iterable[Line]) -> str:
    lines = list(lines)
    count = {state: sum(one.state == state for one in lines) for state in ("ok", "failed", "not done")}
    return ", ".join(f"{number} {state}" for state, number in count.items() if number)
