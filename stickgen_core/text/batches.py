"""Canonical batches: always the same number of rows of one exact token count, so that a vector depends on its text alone.

The last bits of a row depend on the shape of the batch it is computed in, not on the other rows. With one shape per token count there is
nothing left to depend on: fresh, incremental and killed runs agree to the bit.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


def canonical_batches(token_counts: Sequence[int], batch_rows: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (indices [batch_rows], how many of them are real): equal counts together, the last batch filled by repeating its own rows."""
    counts = np.asarray(token_counts, dtype=np.int64)
    order = np.argsort(counts, kind="stable")
    edges = np.flatnonzero(np.diff(counts[order])) + 1
    for group in np.split(order, edges):
        for start in range(0, len(group), batch_rows):
            real = group[start : start + batch_rows]
            yield np.resize(real, batch_rows), len(real)


def encode_canonically(
    tokens: Sequence[Any], batch_rows: int, width: int, forward: Callable[[list[Any]], np.ndarray],
    progress: Callable[[str, int, int], None] | None = None,
) -> np.ndarray:  # fmt: skip
    """Run `forward` (a batch of token sequences -> float32 [batch_rows, width]) over canonical batches; rows in the order of `tokens`."""
    vectors = np.zeros((len(tokens), width), np.float32)
    for indices, rows in _rows_canonically(tokens, batch_rows, forward, "encode", progress):
        vectors[indices] = rows
    return vectors


def states_canonically(
    tokens: Sequence[Any], batch_rows: int, forward: Callable[[list[Any]], np.ndarray],
    progress: Callable[[str, int, int], None] | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """Run `forward` (a batch -> float32 [batch_rows, tokens, width]); the states of each text in the order of `tokens`."""
    states: list[np.ndarray] = [np.zeros((0, 0), np.float32)] * len(tokens)
    for indices, rows in _rows_canonically(tokens, batch_rows, forward, "token states", progress):
        for i, row in zip(indices, rows, strict=True):
            states[i] = row
    return states


def _rows_canonically(
    tokens: Sequence[Any], batch_rows: int, forward: Callable[[list[Any]], np.ndarray], label: str,
    progress: Callable[[str, int, int], None] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """(indices, what `forward` gave for them), finite, without the rows that only fill a batch up."""
    done = 0
    for indices, real in canonical_batches([len(t) for t in tokens], batch_rows):
        rows = forward([tokens[i] for i in indices])
        if not np.isfinite(rows).all():
            raise ValueError("the encoder returned non-finite values")
        yield indices[:real], rows[:real]
        done += real
        if progress is not None:
            progress(label, done, len(tokens))
