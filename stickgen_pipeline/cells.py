"""A cell of a results table: its value, where it stands, and the report that measured it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stickgen_core.errors import MissingInput
from stickgen_core.settings import Settings

FILES = ("release.json", "report.json", "selection.json")


@dataclass(frozen=True)
class Cell:
    """`source` is the key of the artefact whose lineage explains the number."""

    row: str
    measure: str
    found: Mapping[str, Any]
    file: Path
    source: str


def cell_of(settings: Settings, key: str, folder: Path, address: str) -> Cell:
    """The cell `row/measure` of a report or of the release table."""
    path = next((folder / name for name in FILES if (folder / name).exists()), None)
    if path is None:
        raise MissingInput(f"{folder}: {key} holds no table; a cell belongs to a report, such as release/stickgen_bench#small_sft/kid")
    content = json.loads(path.read_text(encoding="utf-8"))
    content = content.get("content", content)
    row, _, measure = address.partition("/")
    rows = {str(found["name"]): found for found in content.get("rows", content.get("candidates", []))}
    own = content.get("title")
    if row not in rows and row == own:
        row = next(name for name, found in rows.items() if found.get("kind") == "model")
    if row not in rows:
        raise MissingInput(f"{path}: no row {row!r}; there are {', '.join(rows)}")
    measures = {**rows[row].get("measures", {}), **_losses(content, row, own)}
    if measure not in measures:
        raise MissingInput(f"{path}: row {row!r} has no measure {measure!r}; it has {', '.join(measures)}")
    found = measures[measure]
    reported = content.get("reports", {})
    source = f"evaluation/{row}_report" if row in reported else f"evaluation/{next(iter(reported))}_report" if reported else key
    return Cell(row, measure, found if isinstance(found, dict) else {"value": found}, path, source)


def _losses(content: Mapping[str, Any], row: str, own: str | None) -> dict[str, Any]:
    losses: Mapping[str, Any] = content.get("losses", {})
    return dict(losses if own else losses.get(row, {}))
