"""The inventory of a raw folder: every file with its size and SHA-256. Its digest is the data set's version.

A stat is cheap and a hash is not: hashes are kept by (path, size, mtime), so an unchanged 200 GB folder is never read twice.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stickgen_core.errors import MissingInput
from stickgen_core.records.digests import digest_entries, digest_file, digest_json
from stickgen_core.records.manifest import Manifest, find_manifest, write_manifest
from stickgen_core.records.publish import publish_text
from stickgen_core.sources.registry import SourceSpec
from stickgen_pipeline.steps import KEPT, Work

FILES = "files.jsonl"


@dataclass(frozen=True)
class Seen:
    """One raw file as `stat` shows it."""

    path: str
    bytes: int
    mtime_ns: int


def look(raw: Path) -> list[Seen]:
    """The files below a raw folder, sorted by path; hidden ones are not data."""
    return sorted(_walk(raw, raw), key=lambda seen: seen.path) if raw.is_dir() else []


def _walk(folder: Path, root: Path) -> Iterator[Seen]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), root)
            elif entry.is_file():
                status = entry.stat()
                yield Seen(os.path.relpath(entry.path, root), status.st_size, status.st_mtime_ns)


def signature(raw: Path) -> str:
    """Names, sizes and times: what a sensor may look at."""
    return digest_json([[seen.path, seen.bytes, seen.mtime_ns] for seen in look(raw)])


def take(spec: SourceSpec, raw: Path, work: Work) -> object:
    """Publish the inventory of what is there; files that were there before and are gone leave the last one in place."""
    if spec.kind == "synthetic":
        return _publish(work, spec, "generated", digest_json(["generated", spec.digest()]), [], {})
    if gone(raw, work.folder):
        return KEPT
    files = look(raw)
    if not files:
        return _publish(work, spec, "absent", digest_json(["absent", spec.name]), [], {})
    known = {(line["path"], line["bytes"], line["mtime_ns"]): line["sha256"] for line in _recorded(work.folder)}
    hashes: dict[str, str] = {}
    for number, seen in enumerate(files):
        work.progress("hashing", number, len(files))
        hashes[seen.path] = known.get((seen.path, seen.bytes, seen.mtime_ns)) or digest_file(raw / seen.path)
    work.progress("hashing", len(files), len(files))
    return _publish(work, spec, "present", digest_entries("inventory.v1", hashes.items()), files, hashes)


def gone(raw: Path, folder: Path) -> list[str]:
    """Files of the last inventory that are not there any more."""
    return [line["path"] for line in _recorded(folder) if not (raw / line["path"]).is_file()]


def state_of(manifest: Manifest) -> str:
    """present | absent | generated"""
    return str(manifest.notes["state"])


def accept(folder: Path) -> str:
    """Forget the last inventory, so that the next one takes the folder as it is; returns what it was."""
    manifest = find_manifest(folder)
    if manifest is None:
        raise MissingInput(f"{folder}: no inventory to forget; run `stickgen build raw` to take one")
    (folder / FILES).unlink(missing_ok=True)
    (folder / "manifest.json").unlink()
    return f"{manifest.counts['files']} files"


def _publish(work: Work, spec: SourceSpec, state: str, digest: str, files: list[Seen], hashes: dict[str, str]) -> None:
    lines = [{"path": f.path, "bytes": f.bytes, "mtime_ns": f.mtime_ns, "sha256": hashes[f.path]} for f in files]
    publish_text(work.folder / FILES, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    counts = {"files": len(files), "bytes": sum(f.bytes for f in files)}
    notes = {"state": state, "licence": spec.licence.name, "register_at": spec.register_at}
    write_manifest(work.folder, Manifest(work.key, "inventory", digest, work.recipe, dict(work.inputs), counts, notes=notes))


def _recorded(folder: Path) -> list[dict[str, object]]:
    path = folder / FILES
    if find_manifest(folder) is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
