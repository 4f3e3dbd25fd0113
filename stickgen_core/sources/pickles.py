"""Pickles of licensed data sets, read without running what they name: arrays and plain containers only, everything else refused."""

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.sources.files import read_bytes

MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
# Numbers, text and references; anything structured has no place in a motion file.
CODE = re.compile(r"[<>|=]?([biufcSUO?])(\d*)\Z")


class _Inert:
    """Stands for what a pickle wants to build: keeps arguments and state, runs nothing. `plain` makes of it what it may be.

    NumPy's own classes trust what they are given: an array of references over bytes of the file's choosing crashes the process.
    """

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Chumpy(_Inert):
    """A chumpy array; its values are the state's "x"."""


class SparseColumns(_Inert):
    """A scipy.sparse csc_matrix; its state holds data, indices, indptr and shape."""


class _Array(_Inert):
    """An array that gets version, shape, type, order and data as its state."""


class _FromBuffer(_Inert):
    """An array of (data, type, shape, order)."""


class _Scalar(_Inert):
    """One number of (type, data)."""


class _Type(_Inert):
    """A dtype of a code, with its byte order and size as its state."""


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    **{(module, "_reconstruct"): _Array for module in MULTIARRAY},
    **{(module, "scalar"): _Scalar for module in MULTIARRAY},
    **{(module, "_frombuffer"): _FromBuffer for module in NUMERIC},
}
_BUILTINS = {"set": set, "object": object, "complex": complex}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Names as Python 2 wrote them arrive here before the standard mapping to Python 3.
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        if module in ("__builtin__", "builtins") and name in _BUILTINS:
            return _BUILTINS[name]
        if module in ("__builtin__", "builtins") and name in ("bytes", "bytearray"):
            return _bytes
        if module == "_codecs" and name == "encode":
            return _encode
        if module in ("copy_reg", "copyreg") and name == "_reconstructor":
            return _reconstructor
        if module.split(".")[0] == "chumpy":
            return Chumpy
        if module.startswith("scipy.sparse") and name == "csc_matrix":
            return SparseColumns
        raise BadRecording("hostile_pickle", f"names {module}.{name}, which a motion file has no use for; not run")


def _bytes(data: bytes = b"") -> bytes:
    """Bytes of bytes; those of a number would allocate it."""
    if not isinstance(data, bytes | bytearray):
        raise BadRecording("hostile_pickle", f"makes bytes of {type(data).__name__}")
    return bytes(data)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1" if encoding in ("latin1", "latin-1") else "utf-8")


def _reconstructor(kind: type, base: type, state: object) -> Any:
    if kind in (Chumpy, SparseColumns):
        return kind()
    raise BadRecording("hostile_pickle", f"rebuilds {kind!r}")


def load_pickle(root: Path, relative: str) -> dict[str, Any]:
    """The dictionary in a pickle, with chumpy arrays unwrapped."""
    found = _plainly(io.BytesIO(read_bytes(root, relative)), relative)
    if not isinstance(found, dict):
        raise BadRecording("wrong_type", f"{relative}: expected a dictionary, found {type(found).__name__}")
    return {str(key): value for key, value in found.items()}


def load_object_npy(root: Path, relative: str) -> dict[str, Any]:
    """The dictionary that `numpy.save` wrote as an object array of one element."""
    data = io.BytesIO(read_bytes(root, relative))
    try:
        version = np.lib.format.read_magic(data)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(data)
    except ValueError as error:
        raise BadRecording("not_npy", f"{relative}: {error}") from None
    if shape != () or dtype != np.dtype(object):
        raise BadRecording("wrong_type", f"{relative}: expected one saved dictionary, found an array of {dtype}, shape {list(shape)}")
    found = _plainly(data, relative)
    inner = found.item() if isinstance(found, np.ndarray) and found.shape == () else found
    if not isinstance(inner, dict):
        raise BadRecording("wrong_type", f"{relative}: expected a dictionary, found {type(inner).__name__}")
    return {str(key): value for key, value in inner.items()}


def _plainly(stream: io.BytesIO, relative: str) -> Any:
    try:
        return plain(_Restricted(stream, encoding="latin1").load())
    except BadRecording as bad:
        raise BadRecording(bad.reason, f"{relative}: {bad.detail}") from None
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        MemoryError,
        OverflowError,
        RecursionError,
    ) as error:
        raise BadRecording("not_pickle", f"{relative}: {type(error).__name__}: {str(error)[:120]}") from None


def plain(value: Any, seen: dict[int, Any] | None = None) -> Any:
    """Stand-ins as the arrays and numbers they mean, in dictionaries, lists and tuples too; anything else as it is.

    seen   what was made of each object already: one that is shared, or holds itself, is made once
    """
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, dict):
        found: Any = {}
        seen[id(value)] = found
        found.update((key, plain(inner, seen)) for key, inner in value.items())
    elif isinstance(value, list):
        found = []
        seen[id(value)] = found
        found.extend(plain(inner, seen) for inner in value)
    elif isinstance(value, tuple):
        found = tuple(plain(inner, seen) for inner in value)
    elif isinstance(value, _Inert):
        try:
            found = _meant(value, seen)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError) as error:
            raise BadRecording("not_pickle", f"holds an array that does not fit together ({type(error).__name__})") from None
    else:
        return value
    seen[id(value)] = found
    return found


def _meant(value: _Inert, seen: dict[int, Any]) -> Any:
    if isinstance(value, Chumpy):
        return plain(value.state.get("x") if isinstance(value.state, dict) else None, seen)
    if isinstance(value, SparseColumns):
        return _dense(plain(value.state, seen) if isinstance(value.state, dict) else {})
    if isinstance(value, _Type):
        return _dtype(value)
    if isinstance(value, _Scalar):
        kind, data = value.arguments
        return _filled(data, plain(kind, seen), (), False, seen)[()]
    if isinstance(value, _FromBuffer):
        data, kind, shape, order = value.arguments
        return _filled(data, plain(kind, seen), shape, order == "F", seen)
    if value.state is None:
        raise BadRecording("hostile_pickle", "builds an array over bytes of its own")
    _, shape, kind, by_column, data = value.state
    return _filled(data, plain(kind, seen), shape, bool(by_column), seen)


def _dtype(value: _Type) -> np.dtype:
    code = value.arguments[0].decode("ascii") if isinstance(value.arguments[0], bytes) else str(value.arguments[0])
    state = value.state or (3, "|", None, None, None, -1, -1, 0)
    found = CODE.match(code)
    if not found or any(part is not None for part in state[2:5]):
        raise BadRecording("wrong_type", f"holds an array of type {code!r}, which is no numbers or text")
    order = state[1].decode("ascii") if isinstance(state[1], bytes) else str(state[1])
    return np.dtype(found[0].lstrip("<>|=")).newbyteorder(order)  # type: ignore[arg-type]


def _filled(data: Any, kind: Any, shape: Any, by_column: bool, seen: dict[int, Any]) -> np.ndarray:
    """An array of values that are all there: from a list of objects, or from bytes, which Python 2 wrote as text."""
    if not isinstance(kind, np.dtype):
        raise BadRecording("hostile_pickle", "gives an array a type that is none")
    shape, order = tuple(int(size) for size in shape), "F" if by_column else "C"
    if any(size < 0 for size in shape):
        raise BadRecording("wrong_shape", f"holds an array of shape {list(shape)}")
    if kind.hasobject:
        if not isinstance(data, list):
            raise BadRecording("hostile_pickle", "makes references of bytes")
        objects = np.empty(len(data), object)
        for place, item in enumerate(data):
            objects[place] = plain(item, seen)
        return objects.reshape(shape, order=order)  # type: ignore[call-overload]
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    return np.frombuffer(raw, kind, math.prod(shape)).reshape(shape, order=order).copy()  # type: ignore[call-overload]


def _dense(state: dict[str, Any]) -> np.ndarray:
    try:
        shape = state["_shape"] if "_shape" in state else state["shape"]
        matrix = np.zeros((int(shape[0]), int(shape[1])))
        starts = np.asarray(state["indptr"], np.int64)
        columns = np.repeat(np.arange(matrix.shape[1]), np.diff(starts))
        np.add.at(matrix, (np.asarray(state["indices"], np.int64), columns), np.asarray(state["data"], np.float64))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadRecording("wrong_shape", f"a sparse matrix that does not fit together ({type(error).__name__})") from None
    return matrix
