"""The ledger: everything that a stage left out, one row each, with the reason as data."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.errors import StickgenError


@dataclass(frozen=True)
class LedgerRow:
    """One thing left out.

    unit     the unit of raw data it came from; the source where nothing finer is known
    id       the clip's id; empty where no clip came to be
    stage    who dropped it: "read", "window", "critic", "balance"...
    reason   a short stable code to count by
    detail   one sentence for people
    value, limit   the number that decided and what it was held against
    file     path below the raw root
    """

    unit: str
    id: str
    stage: str
    reason: str
    detail: str = ""
    value: float | None = None
    limit: float | None = None
    file: str = ""


LEDGER_SCHEMA = pa.schema([(f.name, pa.float64() if f.name in ("value", "limit") else pa.string()) for f in fields(LedgerRow)])


def ledger_table(rows: Iterable[LedgerRow] | pa.Table) -> pa.Table:
    """Rows (or a table of the same columns) as the ledger's table, sorted, so that equal drops give equal bytes."""
    if isinstance(rows, pa.Table):
        table = rows.select(LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA)
    else:
        kept = list(rows)
        columns = [pa.array([getattr(row, field.name) for row in kept], field.type) for field in LEDGER_SCHEMA]
        table = pa.Table.from_arrays(columns, schema=LEDGER_SCHEMA)
    order: list[tuple[str, str]] = [(name, "ascending") for name in ("unit", "id", "stage", "reason", "detail", "file")]
    return table.sort_by(order).combine_chunks() if table.num_rows else table


def by_reason(table: pa.Table) -> dict[str, int]:
    """How many rows each reason has, most frequent first."""
    counted = table["reason"].value_counts()
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda item: (-item[1], item[0])))


def require_accounted(where: str, ids: pa.ChunkedArray, kept: pa.ChunkedArray, ledger: pa.Table) -> None:
    """Every id that was read is kept, or in the ledger exactly once; anything else is an error that names an example."""
    dropped = ledger["id"].filter(pc.not_equal(ledger["id"], ""))
    missing = ids.filter(pc.invert(pc.or_(pc.is_in(ids, kept), pc.is_in(ids, dropped))))
    if len(missing):
        raise StickgenError(
            f"{where}: counts do not add up: {len(missing)} of {len(ids)} clips are neither kept nor in the ledger,"
            f" e.g. {missing[0].as_py()!r}; give each a LedgerRow with its reason"
        )
    counted = dropped.value_counts()
    names, times = counted.field("values"), counted.field("counts")
    for wrong, problem in ((pc.is_in(names, kept), "both kept and in the ledger"), (pc.greater(times, 1), "in the ledger {} times")):
        if (at := pc.index(wrong, True).as_py()) >= 0:
            raise StickgenError(
                f"{where}: counts do not add up: clip {names[at].as_py()!r} is {problem.format(times[at].as_py())}; one verdict a clip"
            )
