"""What a corpus holds, as data: histograms, shares and drops for reports, tables and plots."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus import Corpus
from stickgen_core.corpus.ledger import by_reason
from stickgen_core.curation.caps import Classes
from stickgen_core.curation.captions import describing
from stickgen_core.curation.measure import SCORE_COLUMNS
from stickgen_core.records.publish import publish_text

BINS = 20


def merge_statistics(merged: Corpus, inputs: Iterable[Corpus] = ()) -> dict[str, Any]:
    """The content of merged_all.stats.json: sources, splits, actions, lengths, scores, captions, drops, and how balance was reached.

    inputs   the corpora that were merged: what conversion had left out of each is told as well
    """
    index = merged.index
    return {
        "corpus": {"name": merged.manifest.name, "digest": merged.digest, "clips": len(merged), "frames": int(merged.column("frames").sum())},
        "sources": crossed(index, "source", "split"), "source_share_of_train": _shares(index, "source", "train"),
        "actions": _counts(index["action"]), "frames": histogram(merged.column("frames")), "actors": _counts(index["actors"]),
        "scores": {name: by_source(index, name) for name in SCORE_COLUMNS},
        "captions": caption_statistics(merged), "drops": drops(merged),
        "drops_before": {c.manifest.name: found for c in inputs if (found := by_reason(c.ledger()))}, **_notes(merged, "waterfall", "splits", "balance",
                                                                                "near_duplicates", "equal_motions"),
    }  # fmt: skip


def curation_statistics(merged: Corpus, stages: Mapping[str, Corpus]) -> dict[str, Any]:
    """The content of curation_stats.json: per stage the waterfall, drops and shares, and how far the stages overlap within train."""
    train = {name: _ids_of(corpus, "train") for name, corpus in stages.items()}
    names = sorted(train)
    overlap = {
        f"{a}_in_{b}": {"clips": len(train[a] & train[b]), "share": _ratio(len(train[a] & train[b]), len(train[a]))}
        for a in names for b in names if a != b
    }  # fmt: skip
    found = {}
    for name, corpus in stages.items():
        index = corpus.index
        found[name] = {
            "digest": corpus.digest, "clips": len(corpus), "frames": int(corpus.column("frames").sum()),
            "sources": crossed(index, "source", "split"), "source_share_of_train": _shares(index, "source", "train"),
            "action_share_of_train": _shares(index, "action", "train"), "frames_histogram": histogram(corpus.column("frames")),
            "scores": {column: by_source(index, column) for column in SCORE_COLUMNS}, "captions": caption_statistics(corpus),
            "drops": drops(corpus), **_notes(corpus, "rules", "waterfall", "caps"),
        }  # fmt: skip
    return {"merged": merged.digest, "stages": found, "overlap_within_train": overlap}


def write_statistics(path: Path, statistics: Mapping[str, Any]) -> None:
    """Publish statistics as JSON; equal statistics give equal bytes."""
    publish_text(path, json.dumps(statistics, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def drops(corpus: Corpus) -> dict[str, Any]:
    """How many went, by reason, and by reason and source."""
    ledger = corpus.ledger()
    return {"by_reason": by_reason(ledger), "by_source": crossed(ledger, "unit", "reason")}


def crossed(table: pa.Table, rows: str, columns: str) -> dict[str, dict[str, int]]:
    """row value -> column value -> count."""
    grouped = table.group_by([rows, columns]).aggregate([([], "count_all")]).sort_by([(rows, "ascending"), (columns, "ascending")])
    found: dict[str, dict[str, int]] = {}
    for row, column, count in zip(*(grouped[name].to_pylist() for name in (rows, columns, "count_all")), strict=True):
        found.setdefault(str(row), {})[str(column)] = count
    return found


def histogram(values: np.ndarray, bins: int = BINS, bounds: tuple[float, float] | None = None) -> dict[str, Any]:
    """Counts between edges, with mean and quantiles; values that are missing are counted apart."""
    values = np.asarray(values, float)
    known = values[np.isfinite(values)]
    if not len(known):
        return {"count": 0, "missing": len(values)}
    counts, edges = np.histogram(known, bins=bins, range=bounds)
    low, quarter, median, upper, high = (round(float(q), 4) for q in np.quantile(known, [0.01, 0.25, 0.5, 0.75, 0.99]))
    return {
        "count": len(known), "missing": len(values) - len(known), "mean": round(float(known.mean()), 4), "min": round(float(known.min()), 4),
        "max": round(float(known.max()), 4), "p01": low, "p25": quarter, "median": median, "p75": upper, "p99": high,
        "edges": [round(float(e), 4) for e in edges], "counts": counts.tolist(),
    }  # fmt: skip


def by_source(index: pa.Table, column: str, sources: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Source -> histogram of a column, all with the same edges: what a plot of distributions shows."""
    values, source = index[column].to_numpy().astype(float), Classes.of(index["source"])
    known = values[np.isfinite(values)]
    bounds = (float(known.min()), float(known.max())) if len(known) else None
    return {name: histogram(values[source.rows_of(name)], bounds=bounds) for name in sorted(sources or source.names)}


def caption_statistics(corpus: Corpus) -> dict[str, Any]:
    """How much is said: texts by kind, words a text, distinct texts, clips that nobody describes."""
    table = corpus.text_table()
    described = describing(corpus)
    words = pc.list_value_length(pc.utf8_split_whitespace(described["text"])).to_numpy()
    return {
        "texts": table.num_rows, "by_kind": _counts(table["kind"]), "distinct": pc.count_distinct(described["text"]).as_py(),
        "words": histogram(words), "clips_without": len(corpus) - len(pc.unique(described["clip"])),
    }  # fmt: skip


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = column.value_counts()
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return dict(sorted(((str(value), count) for value, count in pairs), key=lambda item: (-item[1], item[0])))


def _shares(index: pa.Table, column: str, split: str) -> dict[str, float]:
    counts = _counts(index.filter(pc.equal(index["split"], split))[column])
    total = sum(counts.values())
    return {name: _ratio(count, total) for name, count in counts.items()}


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _ids_of(corpus: Corpus, split: str) -> set[str]:
    return set(corpus.index.filter(pc.equal(corpus.index["split"], split))["id"].to_pylist())


def _notes(corpus: Corpus, *names: str) -> dict[str, Any]:
    return {name: corpus.manifest.notes[name] for name in names if name in corpus.manifest.notes}
