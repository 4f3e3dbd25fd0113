"""What lies in a raw folder: names, sizes and content hashes, remembered by (path, size, time of change) so that looking is cheap."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stickgen_core.errors import BadRecording
from stickgen_core.records.digests import digest_entries, digest_file
from stickgen_core.records.publish import publish_text
from stickgen_core.sources.files import inside, matching, walk
from stickgen_core.sources.registry import SourceSpec

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Inventory:
    """Files of a data set; the digest changes when any name or content does, and only then."""

    digest: str
    files: int
    bytes: int
    hashed: int


def inventory(raw: Path, cache: Path, progress: Progress | None = None) -> Inventory:
    """The fingerprint of a raw folder (of an absent one: of nothing); `cache` is a file that remembers hashes."""
    remembered = _read_cache(cache)
    kept: dict[str, list[object]] = {}
    entries, total, hashed = [], 0, 0
    names = list(walk(raw)) if raw.is_dir() else []
    for number, name in enumerate(names):
        try:
            path = inside(raw, name)
        except BadRecording as bad:
            entries.append((name, bad.reason))
            continue
        stat = path.stat()
        stamp: list[object] = [stat.st_size, stat.st_mtime_ns]
        known = remembered.get(name)
        if known and known[:2] == stamp:
            digest = str(known[2])
        else:
            digest, hashed = digest_file(path), hashed + 1
        kept[name] = [*stamp, digest]
        entries.append((name, digest))
        total += stat.st_size
        if progress:
            progress(raw.name, number + 1, len(names))
    if kept != remembered:
        publish_text(cache, json.dumps(kept, sort_keys=True) + "\n")
    return Inventory(digest_entries("inventory.v1", entries), len(entries), total, hashed)


def _read_cache(cache: Path) -> dict[str, list[object]]:
    """A cache that cannot be read is as good as none: it costs hashing again."""
    try:
        found = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: row for name, row in found.items() if isinstance(row, list) and len(row) == 3} if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Survey:
    """What `stickgen datasets` shows of a data set: present, partial or missing; files found against expected."""

    name: str
    state: str
    found: int
    expected: int | None
    where: str


def survey(spec: SourceSpec, raw: Path) -> Survey:
    """Count the files that the data set's layout names; nothing is opened."""
    expected = spec.expected.get("files")
    if spec.kind == "synthetic":
        return Survey(spec.name, "present", 0, None, "")
    found = len(matching(walk(raw), *spec.layout)) if raw.is_dir() else 0
    if not found:
        state = "missing"
    else:
        state = "partial" if expected and found < expected else "present"
    return Survey(spec.name, state, found, expected, str(raw))
