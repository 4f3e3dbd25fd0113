"""Canonical batches: always the same number of rows of one exact token count, so that a vector depends on its text alone.

The last bits of a row depend on the shape of the batch it is computed in, not on the other rows. With one shape per token count there is
nothing left to depend on: fresh, incremental and killed runs agree to the bit.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def rows_canonically(
    tokens: Sequence[Any], batch_rows: int, forward: Callable[[list[Any]], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Run `forward` (a batch of token sequences -> rows) over canonical batches: (indices, finite rows), batch after batch."""
    for indices, real in canonical_batches([len(t) for t in tokens], batch_rows):
        rows = forward([tokens[i] for i in indices])
        if not np.isfinite(rows).all():
            raise ValueError("the encoder returned non-finite values")
        yield indices[:real], rows[:real]


def assembled(count: int, width: int, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """float32 [count, width] of (indices, rows) batches."""
    vectors = np.zeros((count, width), np.float32)
    for indices, rows in batches:
        vectors[indices] = rows
    return vectors


def in_portions(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], flush_rows: int, flush_s: float, told: Callable[[int], None] = lambda done: None
) -> Iterator[tuple[list[int], list[np.ndarray]]]:  # fmt: skip
    """(indices, their rows) of as many batches as make `flush_rows` or took `flush_s`, whichever comes first; `told` how many are done."""
    indices: list[int] = []
    rows: list[np.ndarray] = []
    done, since = 0, time.monotonic()
    for some, found in batches:
        indices += some.tolist()
        rows += list(found)
        done += len(found)
        told(done)
        while len(rows) >= flush_rows or (rows and time.monotonic() - since >= flush_s):
            yield indices[:flush_rows], rows[:flush_rows]
            indices, rows = indices[flush_rows:], rows[flush_rows:]
            since = time.monotonic()
    if rows:
        yield indices, rows
