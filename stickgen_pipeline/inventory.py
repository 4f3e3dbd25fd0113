"""The inventory of a raw folder as an artefact: its digest is the data set's version; what vanished never replaces what was there."""

import json
from pathlib import Path

from stickgen_core.errors import MissingInput
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import MANIFEST_NAME, Manifest, find_manifest, write_manifest
from stickgen_core.sources.files import walk
from stickgen_core.sources.inventory import inventory
from stickgen_core.sources.registry import SourceSpec
from stickgen_pipeline.steps import KEPT, Work

FILES = "files.json"


def signature(raw: Path) -> str:
    """Names, sizes and times: what a sensor may look at."""
    if not raw.is_dir():
        return digest_json([])
    stats = ((name, (raw / name).stat()) for name in walk(raw))
    return digest_json([[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats])


def take(spec: SourceSpec, raw: Path, work: Work) -> object:
    """Publish the inventory of what is there; files that were there before and are gone leave the last one in place."""
    if spec.kind == "synthetic":
        _publish(work, spec, "generated", digest_json(["generated", spec.digest()]))
        return None
    if gone(raw, work.folder):
        return KEPT
    found = inventory(raw, work.folder / FILES, work.progress)
    if not found.files:
        _publish(work, spec, "absent", digest_json(["absent", spec.name]))
        return None
    _publish(work, spec, "present", found.digest, found.files, found.bytes)
    return None


def gone(raw: Path, folder: Path) -> list[str]:
    """Files of the last inventory that are not there any more."""
    if find_manifest(folder) is None or not (folder / FILES).exists():
        return []
    return [name for name in json.loads((folder / FILES).read_text(encoding="utf-8")) if not (raw / name).is_file()]


def state_of(manifest: Manifest) -> str:
    """present | absent | generated"""
    return str(manifest.notes["state"])


def accept(folder: Path) -> str:
    """Forget the last inventory, so that the next one takes the folder as it is; returns what it was."""
    manifest = find_manifest(folder)
    if manifest is None:
        raise MissingInput(f"{folder}: no inventory to forget; run `stickgen build raw` to take one")
    (folder / FILES).unlink(missing_ok=True)
    (folder / MANIFEST_NAME).unlink()
    return f"{manifest.counts['files']} files"


def _publish(work: Work, spec: SourceSpec, state: str, digest: str, files: int = 0, size: int = 0) -> None:
    notes = {"state": state, "licence": spec.licence.name, "register_at": spec.register_at}
    counts = {"files": files, "bytes": size}
    write_manifest(work.folder, Manifest(work.key, "inventory", digest, work.recipe, dict(work.inputs), counts, notes=notes))
