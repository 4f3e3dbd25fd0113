"""Pins: artefacts, with all they were made from, that collection must not touch: a released bundle, a run that a person named."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.history import SHORT
from stickgen_core.records.lineage import Name, Walk
from stickgen_core.records.publish import publish_text


@dataclass(frozen=True)
class Pin:
    """A root of collection: an artefact with its closure, by key and digest.

    because   "released" with the bundle's root digest, or a person's word
    """

    key: str
    digest: str
    because: str
    closure: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.key}@{self.digest[:12]}"

    def names(self) -> set[Name]:
        return set(self.closure.items()) | {(self.key, self.digest)}


def pin(folder: Path, walk: Walk, because: str) -> Pin:
    """Keep an artefact and everything it was made from."""
    made = Pin(walk.root.key, walk.root.digest, because, {e.key: e.digest for e in walk.entries})
    publish_text(_path(folder, made.key, made.digest), json.dumps(asdict(made), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return made


def unpin(folder: Path, name: str) -> Pin:
    """Let a pinned artefact go; its name is that which `pins` lists."""
    for found in pins(folder):
        if found.name == name or found.key == name:
            _path(folder, found.key, found.digest).unlink()
            return found
    raise MissingInput(f"{name}: not pinned; pinned are {', '.join(p.name for p in pins(folder)) or 'none'}")


def pins(folder: Path) -> list[Pin]:
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def pinned_names(found: Iterable[Pin]) -> dict[Name, str]:
    """Artefact -> the pin that needs it."""
    return {name: f"pin {one.name} ({one.because})" for one in found for name in one.names()}


def _path(folder: Path, key: str, digest: str) -> Path:
    return folder / f"{key.replace('/', '.')}@{digest[:SHORT]}.json"


def _read(path: Path) -> Pin:
    try:
        return Pin(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        # A pin that cannot be read must stop a collection, not be passed over.
        raise Corrupt(f"{path}: not a pin ({error}); restore or remove it before anything is collected") from None
