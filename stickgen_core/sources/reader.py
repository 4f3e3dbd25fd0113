"""The contract of a reader: find the units of work in a raw folder, then read one of them at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import SourceSpec


@dataclass(frozen=True)
class Unit:
    """The smallest piece of raw data that is read, quarantined and converted on its own.

    key      unique within the source, stable
    files    what `read` opens, as paths below the raw root
    detail   small picklable values that discovery already knows: captions, frame ranges, splits
    bytes    how much of its files is read, 0 for all of them; of what is generated, how much it makes
    """

    key: str
    files: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    bytes: int = 0


class LeftOut(NamedTuple):
    """A file (or a part of one) that is not read, by a rule or because it cannot be: for the ledger."""

    file: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Discovery:
    """What a raw folder holds: units to read, and what is left out, each with its reason."""

    units: tuple[Unit, ...]
    skipped: tuple[LeftOut, ...] = ()


class Reader(Protocol):
    """One per native layout. Constructed from its data set's YAML; holds no state that depends on what was read."""

    version: int

    def __init__(self, spec: SourceSpec) -> None: ...

    def discover(self, raw: Path) -> Discovery:
        """List the units below the raw root without reading motion; names and small index files only."""
        ...

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        """Yield the unit's recordings; raise BadRecording where the bytes are not what the format says."""
        ...
