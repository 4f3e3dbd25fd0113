"""Walking folders whose parts may lie on another disk: links to folders are followed, and no folder is entered twice."""

import os
from collections.abc import Iterator
from pathlib import Path

from stickgen_core.errors import MissingInput


def entries_below(root: Path) -> Iterator[Path]:
    """Every file and folder below a root, hidden ones too; what lies there itself comes before what links lead to.

    A link that leads nowhere is an error: it may stand for a disk that is not mounted, and who decides by this walk what nobody
    needs would take everything on it for gone.
    """
    entered: set[tuple[int, int]] = set()
    starts = [root] if root.is_dir() else []
    for start in starts:
        for name, folders, files in os.walk(start, onerror=_unreadable):
            folder = Path(name)
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered:
                folders.clear()
                continue
            entered.add((status.st_dev, status.st_ino))
            starts += [folder / one for one in sorted(folders) if (folder / one).is_symlink()]
            for one in (*folders, *files):
                path = folder / one
                if path.is_symlink() and not path.exists():
                    raise MissingInput(f"{path}: leads to {path.readlink()}, which is not there; mount it, or remove the link")
                yield path


def _unreadable(error: OSError) -> None:
    """A folder that went while others were looked at held nothing; one that may not be read could hold anything."""
    if not isinstance(error, FileNotFoundError):
        raise error
