"""Drops as data: which rows go, at which step, by which number held against which limit."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from stickgen_core.corpus.ledger import LEDGER_SCHEMA


@dataclass(frozen=True)
class Step:
    """One line of the waterfall."""

    reason: str
    dropped: int
    left: int
    limit: float | None = None


@dataclass
class Sieve:
    """Rows that are still in, and why the others are not. Each row is dropped once, by the first step that refuses it."""

    stage: str
    count: int
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = np.ones(self.count, bool)
        self.reason = np.full(self.count, None, dtype=object)
        self.detail = np.full(self.count, "", dtype=object)
        self.value = np.full(self.count, np.nan)
        self.limit = np.full(self.count, np.nan)

    def drop(
        self, reason: str, refused: np.ndarray, value: np.ndarray | None = None, limit: float | np.ndarray | None = None,
        detail: Iterable[str] | str = "",
    ) -> int:  # fmt: skip
        """Take out the refused rows [n] bool that are still in; `value`, `detail` and a `limit` a row are aligned with all rows.

        Returns how many went.
        """
        going = self.kept & refused
        self.kept &= ~refused
        self.reason[going] = reason
        self.detail[going] = detail if isinstance(detail, str) else np.asarray(list(detail), dtype=object)[going]
        if value is not None:
            self.value[going] = np.asarray(value, float)[going]
        if limit is not None:
            self.limit[going] = np.broadcast_to(np.asarray(limit, float), self.count)[going]
        told = None if limit is None else float(self.limit[going].min() if going.any() else np.max(limit))
        self.steps.append(Step(reason, int(going.sum()), int(self.kept.sum()), told))
        return int(going.sum())

    def ledger(self, index: pa.Table) -> pa.Table:
        """The dropped rows of the index as ledger rows."""
        gone = np.flatnonzero(~self.kept)
        rows = index.select(["id", "source"]).take(pa.array(gone))
        columns = {
            "unit": rows["source"], "id": rows["id"], "stage": pa.array([self.stage] * len(gone), pa.string()),
            "reason": pa.array(self.reason[gone], pa.string()), "detail": pa.array(self.detail[gone], pa.string()),
            "value": pa.array(self.value[gone], pa.float64(), from_pandas=True),
            "limit": pa.array(self.limit[gone], pa.float64(), from_pandas=True), "file": pa.array([""] * len(gone), pa.string()),
        }  # fmt: skip
        return pa.table(columns).select(LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA)

    def waterfall(self) -> list[dict[str, float | int | str | None]]:
        """The steps as JSON values, the number of rows that came in first."""
        start: list[dict[str, float | int | str | None]] = [{"reason": "read", "dropped": 0, "left": self.count, "limit": None}]
        return start + [dict(vars(step)) for step in self.steps]
