"""The authors' own split lists: ids one a line, in the files that the data set's YAML names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from stickgen_core.sources.files import matching, read_text


def listed(raw: Path, paths: Sequence[str], files: Mapping[str, str]) -> dict[str, str]:
    """Id -> split. A list that cannot be read is an error: without it test clips would be trained on."""
    return {key: split for split, pattern in files.items() for file in matching(paths, pattern) for key in lines(raw, file)}


def lines(raw: Path, file: str) -> list[str]:
    """The lines of a list, without blanks and empty ones."""
    return [line.strip() for line in read_text(raw, file).splitlines() if line.strip()]


def ignored(raw: Path, paths: Sequence[str], pattern: str) -> set[str]:
    """Ids of an ignore list."""
    return {key for file in matching(paths, pattern) for key in lines(raw, file)}
