"""Atomic publishing: write beside, fsync, rename. A reader sees the old bytes or the new ones, never a mixture.

A killed writer leaves only files whose names start with "." and end in ".tmp"; `sweep` removes those of dead writers.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from stickgen_core.errors import StickgenError

TEMPORARY_SUFFIX = ".tmp"
# Nobody can ask another machine of a shared disk whether its process lives; what has not grown for a day is not being written.
FOREIGN_GRACE_S = 24 * 3600.0


def temporary_beside(target: Path) -> Path:
    """A fresh hidden name in the target's folder that names the writing process and its machine."""
    return target.with_name(f".{target.name}.{host_tag()}-{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def host_tag() -> str:
    """This machine in eight letters that fit into a file name."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def publishing(target: Path) -> Iterator[Path]:
    """Yield a temporary path to write; on success it replaces `target` whole, on failure nothing of it remains."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(target)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StickgenError(f"{target}: the disk is full; the old version is untouched; free space and run again") from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def publish_bytes(target: Path, data: bytes) -> None:
    with publishing(target) as temporary:
        temporary.write_bytes(data)


def publish_text(target: Path, text: str) -> None:
    publish_bytes(target, text.encode())


@contextlib.contextmanager
def exclusively(lock: Path) -> Iterator[None]:
    """Hold an advisory lock for one writer; a second writer is told at once who is in the way.

    The kernel drops the lock when its holder dies, so a kill never leaves it behind.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StickgenError(f"{lock.parent}: process {holder} is already writing here; wait for it or stop it") from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()} on {platform.node()}")
        file.flush()
        yield


def sweep(folder: Path) -> int:
    """Remove what dead writers left in a folder (not below it); returns how many entries went."""
    removed = 0
    for entry in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        if not abandoned(entry):
            continue
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
        removed += 1
    return removed


def abandoned(entry: Path) -> bool:
    """Whether the writer of a temporary file or folder is dead; one of another machine counts as dead after a day without a change."""
    host, _, pid = entry.name.split(".")[-3].rpartition("-")
    if host in ("", host_tag()):
        return not (pid.isdigit() and alive(int(pid)))
    try:
        return time.time() - entry.stat().st_mtime > FOREIGN_GRACE_S
    except FileNotFoundError:
        return False


def alive(pid: int) -> bool:
    """Whether a process of this machine is running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
