"""Counting a corpus: clips, seconds, people, actions, texts, and what is missing or out of line, per source. From the index alone."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.index import annotation_names
from stickgen_core.corpus.store import Corpus

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
# A value further from the median than this many robust standard deviations is counted as an outlier.
OUTLIER_SIGMAS = 5.0
MAD_TO_SIGMA = 1.4826


def statistics(corpus: Corpus) -> dict[str, Any]:
    """Plain JSON values; `sources` has one entry a source with the same keys as the whole."""
    index = corpus.index
    names = sorted(pc.unique(index["source"]).to_pylist())
    return {"digest": corpus.digest, **_of(index), "sources": {name: _of(index.filter(pc.equal(index["source"], name))) for name in names}}


def _of(table: pa.Table) -> dict[str, Any]:
    if not table.num_rows:
        return {"clips": 0, "frames": 0}
    frames = table["frames"].to_numpy()
    seconds = table["window_end_s"].to_numpy() - table["window_start_s"].to_numpy()
    captions = table["caption_count"].to_numpy()
    return {
        "clips": table.num_rows, "frames": int(frames.sum()), "hours": round(float(seconds.sum()) / 3600, 4),
        "origins": pc.count_distinct(table["origin"]).as_py(),
        "frames_quantiles": {f"{q:g}": float(np.quantile(frames, q)) for q in QUANTILES},
        "actors": _histogram(table["actors"]), "actions": _histogram(table["action"]), "licences": _histogram(table["licence"]),
        "captions": int(captions.sum()), "captioned_share": round(float((captions > 0).mean()), 6),
        "missing": _missing(table), "outliers": _outliers(table),
    }  # fmt: skip


def _histogram(column: pa.ChunkedArray) -> dict[str, int]:
    counted = column.value_counts()
    return {str(value): count for value, count in sorted(zip(*(counted.field(n).to_pylist() for n in ("values", "counts")), strict=True))}


def _missing(table: pa.Table) -> dict[str, int]:
    """Clips without a text, a known action, a camera, and nulls of every annotation that has some."""
    counts = {
        "text": int((table["text_count"].to_numpy() == 0).sum()),
        "action": int((table["action"].to_numpy() < 0).sum()),
        "camera": pc.sum(pc.equal(table["camera_source"], "none")).as_py() or 0,
    }
    return counts | {name: table[name].null_count for name in annotation_names(table) if table[name].null_count}


def _outliers(table: pa.Table) -> dict[str, int]:
    """How many values of each number are out of line with the others."""
    numbers = ["frames", *(n for n in annotation_names(table) if pa.types.is_floating(table[n].type))]
    counts = {}
    for name in numbers:
        values = table[name].drop_null().to_numpy().astype(np.float64)
        if not values.size:
            continue
        distance = np.abs(values - np.median(values))
        spread = MAD_TO_SIGMA * np.median(distance)
        count = int((distance > OUTLIER_SIGMAS * spread).sum()) if spread > 0 else 0
        if count:
            counts[name] = count
    return counts
