"""Official test ids of data sets whose clips may be absent: their lists force recordings into test wherever else they occur."""

from collections.abc import Callable, Mapping
from pathlib import Path

from stickgen_core.curation.config import SplitsConfig
from stickgen_core.sources.files import matching, read_text, walk
from stickgen_core.sources.humanml3d import origins_listed
from stickgen_core.sources.registry import SourceSpec


def forced_tests(specs: Mapping[str, SourceSpec], raw_of: Callable[[str], Path], config: SplitsConfig) -> dict[str, str]:
    """Origin -> the forcing source whose test list names it, for every forcing source whose lists are in its folder."""
    found: dict[str, str] = {}
    for source in config.forcing_sources:
        if source in specs and raw_of(source).is_dir():
            found |= {origin: source for origin in listed_tests(source, raw_of(source))}
    return found


def listed_tests(source: str, raw: Path) -> list[str]:
    """Origins of the ids in `test.txt`; the lists of recordings in the folder say which AMASS recording an id was cut from."""
    paths = list(walk(raw))
    ids = [line.strip() for file in matching(paths, "test.txt") for line in read_text(raw, file).splitlines() if line.strip()]
    recorded = origins_listed(raw, paths)
    # Mirrored copies (M…) are cut from the same recordings as their originals.
    return sorted({recorded.get(name.removeprefix("M"), f"{source}/{name.removeprefix('M')}") for name in ids})
