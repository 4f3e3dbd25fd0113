"""Near duplicates across sources, remembered from one merge to the next: only a changed source is searched for, among all."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from stickgen_core.config import config_hash
from stickgen_core.corpus import Corpus
from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.duplicates import Pairs, first_of_each, near_duplicates
from stickgen_core.curation.kept import find_table, keep_table
from stickgen_core.curation.measure import measure_recipe
from stickgen_core.records.digests import digest_json

NEAR_VERSION = 1
SOURCES_KEY = b"sources"  # clip digests of the corpora that were searched, in the metadata of what is kept
COLUMNS = ("source_a", "row_a", "source_b", "row_b", "distance_m")


def near_across(
    corpora: Sequence[Corpus], measured: Sequence[pa.Table], origins: np.ndarray, config: CurationConfig, cache: Path | None = None
) -> Pairs:
    """Near duplicates of different origins among the clips of some corpora, rows counted through all of them.

    Of equal motions in one corpus only the first is compared with others: what it is a near duplicate of, they all are.

    measured   the measurements of each corpus
    origins    [n] label of each clip's origin: clips of one origin share a split anyway
    cache      keeps the pairs by the content of the corpora; what is found does not depend on it
    """
    key = f"near-{digest_json({'near': NEAR_VERSION, 'measure': measure_recipe(config), 'config': config_hash(config.duplicates)})[:16]}"
    digests = [corpus.clips_digest for corpus in corpora]
    starts = np.cumsum([0, *(len(corpus) for corpus in corpora)])
    kept = find_table(cache, key) if cache is not None and len(set(digests)) == len(digests) else None
    before = json.loads(kept.schema.metadata[SOURCES_KEY]) if kept is not None else []
    fresh = np.repeat([digest not in before for digest in digests], [len(corpus) for corpus in corpora])
    if kept is not None and not fresh.any() and len(before) == len(digests):
        return _known(kept, before, digests, starts)
    pieces = [table["description"].chunks for table in measured]
    found = near_duplicates(
        [chunk.flatten().to_numpy().reshape(len(chunk), -1) for chunks in pieces for chunk in chunks],
        np.concatenate([table["excursion_m"].to_numpy() for table in measured]),
        np.concatenate([corpus.column("frames") for corpus in corpora]), np.concatenate([corpus.column("actors") for corpus in corpora]),
        config.duplicates, origins, fresh, np.concatenate([first_of_each(table["motion_digest"]) for table in measured]),
    )  # fmt: skip
    if kept is not None:
        known = _known(kept, before, digests, starts)
        found = Pairs.of([(p.first, p.second, p.distance_m) for p in (found, known)])
    if cache is not None:
        keep_table(cache, key, _table(found, digests, starts))
    return found


def _known(kept: pa.Table, before: list[str], digests: list[str], starts: np.ndarray) -> Pairs:
    """Pairs of the last search of which both clips are in corpora that are still there, in the rows of today."""
    place = {digest: n for n, digest in enumerate(digests)}
    today = np.array([place.get(digest, -1) for digest in before], np.int64)
    columns = {name: kept[name].to_numpy() for name in COLUMNS}
    a, b = today[columns["source_a"]], today[columns["source_b"]]
    there = (a >= 0) & (b >= 0)
    first, second = (starts[n[there]] + columns[row][there] for n, row in ((a, "row_a"), (b, "row_b")))
    return Pairs.of([(first, second, columns["distance_m"][there])])


def _table(pairs: Pairs, digests: list[str], starts: np.ndarray) -> pa.Table:
    a, b = (np.searchsorted(starts, rows, side="right") - 1 for rows in (pairs.first, pairs.second))
    values = (a, pairs.first - starts[a], b, pairs.second - starts[b], pairs.distance_m)
    table = pa.table(dict(zip(COLUMNS, (pa.array(v) for v in values), strict=True)))
    return table.replace_schema_metadata({SOURCES_KEY: json.dumps(digests)})
