"""Migration: an older corpus is brought forward step by step, never silently rebuilt and never guessed at."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stickgen_core.corpus.folder import LOCK_NAME, sealed
from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.manifest import SCHEMA_VERSION, FileRecord, Manifest, manifest_path, write_manifest
from stickgen_core.records.publish import exclusively

# From a version to the next: (folder, manifest values) -> manifest values. A step may rewrite the folder's other files first.
Step = Callable[[Path, dict[str, Any]], dict[str, Any]]
STEPS: Mapping[int, Step] = {}


def migrate(folder: Path, *, steps: Mapping[int, Step] = STEPS, target: int = SCHEMA_VERSION) -> list[int]:
    """Bring a corpus folder to this program's schema version; returns the versions it went through, [] if it was current."""
    path = manifest_path(folder)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values["schema_version"]
    except FileNotFoundError:
        raise MissingInput(f"{path}: not there; nothing to migrate") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{path}: not a manifest ({error}); build it again") from None
    if not isinstance(version, int) or version > target:
        raise Corrupt(f"{path}: schema version {version} is newer than this program's {target}; update the program")
    passed = []
    with exclusively(folder / LOCK_NAME):
        while version < target:
            if version not in steps:
                raise Corrupt(f"{path}: no way from schema version {version} to {version + 1}; build it again")
            values = steps[version](folder, values)
            version += 1
            passed.append(version)
        if passed:
            files = {name: FileRecord(**record) for name, record in values.pop("files").items()}
            write_manifest(folder, sealed(Manifest(**{**values, "schema_version": version, "files": files})))
    return passed
