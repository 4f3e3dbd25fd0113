"""What the commands share: settings from the options, steps, tables, sizes and durations."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stickgen_core.errors import MissingInput
from stickgen_core.settings import Settings
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import resolve
from stickgen_pipeline.steps import Step


def settings_of(options: argparse.Namespace) -> Settings:
    return resolve(options.profile, overrides=options.config_override)


def answer(options: argparse.Namespace, value: Any, text: str) -> int:
    """One JSON value for a program, or the text for a person."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str) if options.json else text)
    return 0


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Plain aligned columns that can be piped; the last one is never cut."""
    cells = [[str(column) for column in columns], *([("" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def note(text: str) -> None:
    print(text, file=sys.stderr)


def corpus_folder(settings: Settings, name: str) -> Path:
    """A corpus by step key or by folder."""
    steps = steps_of(settings)
    for key in (name, f"canonical/{name}", f"corpus/{name}"):
        if key in steps:
            return steps[key].folder
    if Path(name).is_dir():
        return Path(name)
    raise MissingInput(f"{name}: neither a corpus of the graph nor a folder; try `stickgen status`")


def corpus_steps(steps: Mapping[str, Step]) -> list[Step]:
    """The steps whose artefact is a corpus and is there."""
    return [step for step in steps.values() if (step.folder / "index.parquet").exists()]
