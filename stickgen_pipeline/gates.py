"""A gate that holds: an artefact that fails a blocking check never takes the place of the last good one.

Before a step is made its good artefact is set aside as hard links; the folder of them is also the note that what lies in
place has not passed its gates yet, should the process be killed between the two.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stickgen_core.records.manifest import MANIFEST_NAME, manifest_path
from stickgen_core.records.publish import publish_text, sweep, temporary_beside

ASIDE, REFUSED, WHY = "aside", "refused", "why.json"
# Never under its own name: whoever looks for manifests must not take a kept or a refused artefact for a published one.
KEPT_NAME, REFUSED_NAME = f"kept-{MANIFEST_NAME}", f"refused-{MANIFEST_NAME}"
# Files that are appended to in place: a link would change with them.
GROWING = (".jsonl", ".log")


def unproven(folder: Path, place: Path) -> bool:
    """Whether what lies in place was made but has not passed its gates; `place` is the step's own folder of state."""
    if not (place / ASIDE).exists() or not (folder / MANIFEST_NAME).exists():
        return False
    kept = place / ASIDE / KEPT_NAME
    return not kept.exists() or kept.read_bytes() != (folder / MANIFEST_NAME).read_bytes()


def set_aside(folder: Path, place: Path) -> None:
    """Keep the good artefact (an empty folder says that there was none); what an attempt that failed set aside stays."""
    if (place / ASIDE).exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    sweep(place)
    fresh = temporary_beside(place / ASIDE)
    if (folder / MANIFEST_NAME).exists():
        _copy(folder, fresh)
        _link(str(folder / MANIFEST_NAME), str(fresh / KEPT_NAME))
    else:
        fresh.mkdir()
    fresh.rename(place / ASIDE)


def recover(folder: Path, place: Path) -> None:
    """After a kill in the middle of a refusal: finish it."""
    if (folder / REFUSED_NAME).exists():
        _move_out(folder, place)
    if (place / ASIDE / KEPT_NAME).exists() and not folder.exists():
        _restore(folder, place)


def passed(place: Path) -> None:
    """The artefact in place is good: what was kept and what was refused may go."""
    for name in (ASIDE, REFUSED):
        if (place / name).exists():
            gone = temporary_beside(place / name)
            (place / name).rename(gone)
            shutil.rmtree(gone)


def refuse(folder: Path, place: Path, reasons: Iterable[str], **asked: Any) -> bool:
    """Move the bad artefact out of the graph's sight, put the last good one back; false if there was none (of single files none is kept)."""
    if folder.is_file():
        _refuse_file(folder, place, reasons, asked)
        return False
    publish_text(folder / WHY, json.dumps({"reasons": list(reasons), **asked}, indent=1, ensure_ascii=False) + "\n")
    (folder / MANIFEST_NAME).rename(folder / REFUSED_NAME)
    _move_out(folder, place)
    had_one = (place / ASIDE / KEPT_NAME).exists()
    if had_one:
        _restore(folder, place)
    shutil.rmtree(place / ASIDE)
    return had_one


def refusal(place: Path) -> Mapping[str, Any] | None:
    """Why the last attempt was refused, None if it was not."""
    try:
        found: dict[str, Any] = json.loads((place / REFUSED / WHY).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found


def _move_out(folder: Path, place: Path) -> None:
    shutil.rmtree(place / REFUSED, ignore_errors=True)
    shutil.move(folder, place / REFUSED)


def _refuse_file(file: Path, place: Path, reasons: Iterable[str], asked: Mapping[str, Any]) -> None:
    """A single-file artefact: the manifest goes first, so that nothing vouches for the file any more."""
    shutil.rmtree(place / REFUSED, ignore_errors=True)
    (place / REFUSED).mkdir(parents=True)
    shutil.move(manifest_path(file), place / REFUSED / REFUSED_NAME)
    shutil.move(file, place / REFUSED / file.name)
    publish_text(place / REFUSED / WHY, json.dumps({"reasons": list(reasons), **asked}, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(place / ASIDE, ignore_errors=True)


def _restore(folder: Path, place: Path) -> None:
    fresh = temporary_beside(folder)
    _copy(place / ASIDE, fresh)
    fresh.rename(folder)
    (folder / KEPT_NAME).rename(folder / MANIFEST_NAME)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=_link, ignore=shutil.ignore_patterns(".*", MANIFEST_NAME))


def _link(source: str, target: str) -> str:
    if source.endswith(GROWING):
        return str(shutil.copy2(source, target))
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
    return target
