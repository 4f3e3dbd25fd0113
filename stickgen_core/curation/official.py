"""Official test ids of data sets whose clips may be absent: their lists force recordings into test wherever else they occur."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from stickgen_core.curation.config import SplitsConfig
from stickgen_core.sources.amass import amass_origin
from stickgen_core.sources.files import matching, read_text, walk
from stickgen_core.sources.registry import SourceSpec


def forced_tests(specs: Mapping[str, SourceSpec], raw_of: Callable[[str], Path], config: SplitsConfig) -> dict[str, str]:
    """Origin -> the forcing source whose test list names it, for every forcing source whose lists are in its folder."""
    found: dict[str, str] = {}
    for source in config.forcing_sources:
        if source in specs and raw_of(source).is_dir():
            found |= {origin: source for origin in listed_tests(source, raw_of(source))}
    return found


def listed_tests(source: str, raw: Path) -> list[str]:
    """Origins of the ids in `test.txt`; `index.csv`, where there is one, says which AMASS recording an id was cut from."""
    paths = list(walk(raw))
    ids = [line.strip() for file in matching(paths, "test.txt") for line in read_text(raw, file).splitlines() if line.strip()]
    recorded: dict[str, str] = {}
    for file in matching(paths, "index.csv"):
        for row in csv.DictReader(io.StringIO(read_text(raw, file))):
            path, name = row.get("source_path") or "", Path(row.get("new_name") or "").stem
            tail = path.split("pose_data/")[-1]
            recorded[name] = f"humanact12/{Path(tail).stem}" if tail.startswith("humanact12") else amass_origin(tail)
    # Mirrored copies (M…) are cut from the same recordings as their originals.
    return sorted({recorded.get(name.removeprefix("M"), f"{source}/{name.removeprefix('M')}") for name in ids})
