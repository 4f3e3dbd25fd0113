"""Raw folders are untrusted: every file is found and opened through here, and nothing outside the folder is ever read."""

import csv
import io
import math
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.errors import BadRecording

# Three quarters of an hour of AMASS poses at 120 Hz and ten minutes of BEAT's text are below these; a larger claim is an attack
# or damage, and a process that reads a file of the largest size still stays below a gigabyte.
MAX_ARRAY_BYTES = 400 << 20
MAX_TEXT_BYTES = 256 << 20
# Text is turned into numbers in pieces of about this size, so that the words of a large file are never in memory at once.
BLOCK_BYTES = 8 << 20
MAGIC_BYTES = 8


def walk(root: Path) -> Iterator[str]:
    """Every file below a folder as a POSIX path, sorted; hidden and `._` files and links to folders are passed over."""
    for folder, names, files in os.walk(root, followlinks=False):
        names[:] = sorted(name for name in names if not name.startswith("."))
        below = Path(folder).relative_to(root).as_posix()
        prefix = "" if below == "." else f"{below}/"
        for name in sorted(files):
            if not name.startswith("."):
                yield prefix + name


def linked_folders(root: Path) -> list[str]:
    """Links to folders, which `walk` passes over: what they hold may lie anywhere."""
    found = []
    for folder, names, _ in os.walk(root, followlinks=False):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in names if (Path(folder) / name).is_symlink()]
    return found


def matching(paths: Iterable[str], *patterns: str) -> list[str]:
    """Paths whose last parts match a pattern ("*.bvh", "texts/*.txt"), whatever folder they lie in; case is ignored."""
    wanted = _expression(patterns)
    return [path for path in paths if wanted.search(path)]


@lru_cache(maxsize=256)
def _expression(patterns: tuple[str, ...]) -> re.Pattern[str]:
    ends = (re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for pattern in patterns)
    return re.compile(rf"(?:^|/)(?:{'|'.join(ends)})\Z", re.IGNORECASE)


def inside(root: Path, relative: str) -> Path:
    """The file below the root, links resolved; refuses what lies outside."""
    return Path(_inside(root, relative))


def _inside(root: Path, relative: str) -> str:
    """The same as text: of thousands of small files a path object takes as long as the bytes."""
    folder, _, name = relative.rpartition("/")
    real = f"{_real_folder(root, folder)}{os.sep}{name}"
    try:
        mode = os.lstat(real).st_mode
        if name in ("", ".", "..") or stat.S_ISLNK(mode):
            real = os.path.realpath(real)
            mode = Path(real).stat().st_mode
    except (OSError, ValueError):
        mode = 0
    if not real.startswith(f"{_real_folder(root, '')}{os.sep}"):
        raise BadRecording("symlink_out", f"{relative} leads out of the data set's folder; copy the file into it")
    if not stat.S_ISREG(mode):
        raise BadRecording("missing_file", f"{relative} is not there")
    return real


def _real_folder(root: Path, folder: str) -> str:
    """A folder below the root with its links resolved, remembered for as long as the path leads to the same folder."""
    path = f"{root}{os.sep}{folder}" if folder else str(root)
    try:
        there = os.stat(path)  # noqa: PTH116  a path object costs more than the call, and this is called for every file
    except (OSError, ValueError):
        return os.path.realpath(path)
    return _resolved(path, there.st_dev, there.st_ino)


@lru_cache(maxsize=4096)
def _resolved(path: str, device: int, inode: int) -> str:
    return os.path.realpath(path)


def read_bytes(root: Path, relative: str, limit: int = MAX_ARRAY_BYTES) -> bytes:
    with open(_inside(root, relative), "rb", buffering=0) as file:  # noqa: PTH123  as above
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise BadRecording("too_large", f"{relative} has {size} bytes, at most {limit} are read")
        if size == 0:
            raise BadRecording("empty", f"{relative} has no bytes")
        return _whole(file, size)


def _whole(file: io.FileIO, size: int) -> bytes:
    """All bytes of a file, at most `size`: one call reads at most two gigabytes, and may read less."""
    data = file.read(size)
    while data and len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def read_text(root: Path, relative: str, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """The text of a file in the first encoding that fits."""
    data = read_bytes(root, relative, MAX_TEXT_BYTES)
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            problem = error
    raise BadRecording("bad_encoding", f"{relative}: not {' or '.join(encodings)} at byte {problem.start}")


def read_csv(root: Path, relative: str, encodings: Sequence[str] = ("utf-8-sig",)) -> list[list[str]]:
    """The rows of a comma-separated file that hold anything."""
    try:
        return [row for row in csv.reader(io.StringIO(read_text(root, relative, encodings), newline="")) if row]
    except csv.Error as error:
        raise BadRecording("not_csv", f"{relative}: {error}") from None


def read_table(root: Path, relative: str, columns: Sequence[str], encodings: Sequence[str] = ("utf-8-sig",)) -> list[dict[str, str]]:
    """The rows below a comma-separated file's header, by its names; what a short row lacks is empty.

    columns   names that the header must have
    """
    rows = read_csv(root, relative, encodings)
    header = [name.strip() for name in rows[0]] if rows else []
    if lacking := [name for name in columns if name not in header]:
        raise BadRecording("wrong_table", f"{relative}: expected a column {lacking[0]}, found {', '.join(header)[:200] or 'nothing'}")
    return [{name: row[n] if n < len(row) else "" for n, name in enumerate(header) if name} for row in rows[1:]]


def numbers_of(text: str, name: str) -> tuple[pa.Array, np.ndarray]:
    """Every word of a text, as it stands and as float64; Arrow splits and parses ten times as fast as Python does."""
    words = pc.ascii_split_whitespace(pa.array([text.strip()], pa.large_string())).flatten()
    if len(words) == 1 and not words[0].as_py():
        return words[:0], np.zeros(0)
    try:
        return words, words.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise BadRecording("not_numbers", f"{name}: {str(error).splitlines()[0]}") from None


def number_table(data: bytes, start: int, most: int, name: str) -> np.ndarray:
    """The first `most` numbers of a text from a byte on, fewer if there are fewer; read in blocks that end between words."""
    found = np.empty(max(0, min(most, (len(data) - start) // 2 + 1)))
    filled = 0
    while start < len(data) and filled < len(found):
        stop = data.find(b"\n", start + BLOCK_BYTES)
        stop = len(data) if stop < 0 else stop
        _, numbers = numbers_of(data[start:stop].decode("ascii", "replace"), name)
        numbers = numbers[: len(found) - filled]
        found[filled : filled + len(numbers)] = numbers
        filled, start = filled + len(numbers), stop
    return found[:filled]


def load_npy(root: Path, relative: str) -> np.ndarray:
    """An `.npy` of plain numbers; its header is checked against the file's size before anything is allocated."""
    return _npy(read_bytes(root, relative), relative)


def _npy(data: bytes, name: str) -> np.ndarray:
    try:
        version = np.lib.format.read_magic(io.BytesIO(data[:MAGIC_BYTES]))
        words = 2 if version == (1, 0) else 4
        begin = MAGIC_BYTES + words + int.from_bytes(data[MAGIC_BYTES : MAGIC_BYTES + words], "little")
        shape, by_column, dtype = _header(version, data[MAGIC_BYTES:begin])
        if dtype.hasobject:
            raise BadRecording("object_array", f"{name} holds Python objects, which are never unpickled from arrays")
        count, there = math.prod(shape), len(data) - begin
        if count * dtype.itemsize > there:
            raise BadRecording("truncated", f"{name}: shape {shape} needs {count * dtype.itemsize} bytes, {there} are there")
        flat = np.frombuffer(data, dtype, count, offset=begin) if count * dtype.itemsize else np.zeros(0, dtype)
        return flat.reshape(shape, order="F" if by_column else "C")
    except (ValueError, EOFError, OverflowError, SyntaxError, TypeError) as error:
        raise BadRecording("not_npy", f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from None


@lru_cache(maxsize=1024)
def _header(version: tuple[int, int], data: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type that an array's header states; headers repeat from file to file, and parsing one is slow."""
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return parse(io.BytesIO(data))


class Npz:
    """An `.npz` opened safely: members are read one by one when asked for, sizes checked before unpacking, object arrays refused."""

    def __init__(self, root: Path, relative: str):
        self.name = relative
        path = inside(root, relative)
        if not path.stat().st_size:
            raise BadRecording("empty", f"{relative} has no bytes")
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise BadRecording("not_npz", f"{relative}: {error}") from None
        self._members = {Path(info.filename).stem: info for info in self._zip.infolist() if info.filename.endswith(".npy")}

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def keys(self) -> list[str]:
        return sorted(self._members)

    def get(self, *keys: str) -> np.ndarray:
        """The first of these keys that is there."""
        key = next((key for key in keys if key in self._members), None)
        if key is None:
            raise BadRecording("missing_key", f"{self.name}: expected {' or '.join(keys)}, found {', '.join(self.keys()) or 'nothing'}")
        info = self._members[key]
        if info.file_size > MAX_ARRAY_BYTES:
            raise BadRecording("zip_bomb", f"{self.name}: {key} unpacks to {info.file_size} bytes, at most {MAX_ARRAY_BYTES} are read")
        try:
            with self._zip.open(info) as member:
                # A member may lie about its size: never take more than it declared.
                data = member.read(info.file_size + 1)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
            raise BadRecording("truncated", f"{self.name}: {key}: {error}") from None
        except Exception as error:  # zlib.error has no public base but Exception
            if type(error).__name__ != "error":
                raise
            raise BadRecording("truncated", f"{self.name}: {key}: {error}") from None
        if len(data) > info.file_size:
            raise BadRecording("zip_bomb", f"{self.name}: {key} is larger than its archive says")
        return _npy(data, f"{self.name}: {key}")

    def number(self, *keys: str) -> float:
        """A scalar that must be a finite number."""
        values = self.get(*keys)
        try:
            value = float(values.reshape(-1)[0])
        except (ValueError, TypeError, IndexError):
            raise BadRecording("wrong_type", f"{self.name}: {keys[0]} is no number") from None
        return value

    def string(self, key: str, default: str) -> str:
        """A 0-d string, stored as text or as bytes; object arrays and absence give the default."""
        if key not in self:
            return default
        try:
            value = self.get(key).reshape(-1)[0]
        except BadRecording as bad:
            if bad.reason == "object_array":
                return default
            raise
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def rate_hz(name: str, value: float) -> float:
    """A rate that time can be divided by; what is plausible is for the canonical clip to say."""
    if not 0 < value < float("inf"):
        raise BadRecording("bad_rate", f"{name}: {value:g} Hz")
    return value


def expect(name: str, values: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """float64 of that shape (None = any, at least 1), or BadRecording."""
    fits = values.ndim == len(shape) and all(want in (None, have) and have > 0 for want, have in zip(shape, values.shape, strict=True))
    if not fits or values.dtype.kind not in "fiu":
        wanted = ", ".join("T" if size is None else str(size) for size in shape)
        raise BadRecording("wrong_shape", f"{name}: expected numbers [{wanted}], found {values.dtype} {list(values.shape)}")
    return np.asarray(values, np.float64)
