"""Pickles of licensed data sets, read without running what they name: arrays and plain containers only, everything else refused."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.sources.files import read_bytes

_NUMPY = {"ndarray", "dtype"}
_MULTIARRAY = {"_reconstruct", "scalar"}
_BUILTINS = {"set": set, "object": object, "bytearray": bytearray, "complex": complex}


class _Inert:
    """Stands for a chumpy or SciPy object: keeps its state, runs nothing."""

    def __init__(self, *arguments: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Chumpy(_Inert):
    """A chumpy array; its values are the state's "x"."""


class SparseColumns(_Inert):
    """A scipy.sparse csc_matrix; its state holds data, indices, indptr and shape."""


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Names as Python 2 wrote them arrive here before the standard mapping to Python 3.
        if module == "numpy" and name in _NUMPY:
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in _MULTIARRAY:
            return _multiarray(name)
        if module in ("numpy.core.numeric", "numpy._core.numeric") and name == "_frombuffer":
            return _from_buffer
        if module in ("__builtin__", "builtins") and name in _BUILTINS:
            return _BUILTINS[name]
        if module == "_codecs" and name == "encode":
            return _encode
        if module in ("copy_reg", "copyreg") and name == "_reconstructor":
            return _reconstructor
        if module.split(".")[0] == "chumpy":
            return Chumpy
        if module.startswith("scipy.sparse") and name == "csc_matrix":
            return SparseColumns
        raise BadRecording("hostile_pickle", f"names {module}.{name}, which a motion file has no use for; not run")


def _multiarray(name: str) -> Callable[..., Any]:
    from numpy._core import multiarray

    return getattr(multiarray, name)


def _from_buffer(buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1" if encoding in ("latin1", "latin-1") else "utf-8")


def _reconstructor(kind: type, base: type, state: object) -> Any:
    if kind in (Chumpy, SparseColumns):
        return kind()
    raise BadRecording("hostile_pickle", f"rebuilds {kind!r}")


def load_pickle(root: Path, relative: str) -> dict[str, Any]:
    """The dictionary in a pickle, with chumpy arrays unwrapped."""
    found = _loaded(io.BytesIO(read_bytes(root, relative)), relative)
    if not isinstance(found, dict):
        raise BadRecording("wrong_type", f"{relative}: expected a dictionary, found {type(found).__name__}")
    return {str(key): plain(value) for key, value in found.items()}


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
    found = _loaded(data, relative)
    inner = found.item() if isinstance(found, np.ndarray) and found.shape == () else found
    if not isinstance(inner, dict):
        raise BadRecording("wrong_type", f"{relative}: expected a dictionary, found {type(inner).__name__}")
    return {str(key): plain(value) for key, value in inner.items()}


def _loaded(stream: io.BytesIO, relative: str) -> Any:
    try:
        return _Restricted(stream, encoding="latin1").load()
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
    ) as error:
        raise BadRecording("not_pickle", f"{relative}: {type(error).__name__}: {str(error)[:120]}") from None


def plain(value: Any) -> Any:
    """A chumpy array as its values, a sparse matrix as a dense one, dictionaries likewise; anything else as it is."""
    if isinstance(value, Chumpy):
        state = value.state if isinstance(value.state, dict) else {}
        return plain(state.get("x"))
    if isinstance(value, SparseColumns):
        return _dense(value.state if isinstance(value.state, dict) else {})
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return value


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
