"""All sources as one corpus: measured, equal motions collapsed, split by performance, balanced. Motion is never copied."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stickgen_core.config import config_hash
from stickgen_core.corpus import Corpus, current, union
from stickgen_core.corpus.index import BASE_SCHEMA
from stickgen_core.curation.caps import Classes, Ranks, keep_within, solve_caps
from stickgen_core.curation.config import CurationConfig, RecombineConfig
from stickgen_core.curation.duplicates import Pairs, equal_motions
from stickgen_core.curation.measure import SCORE_COLUMNS, measure, measure_recipe
from stickgen_core.curation.neighbours import near_across
from stickgen_core.curation.recombine import recombine
from stickgen_core.curation.splits import Assignment, assign_splits
from stickgen_core.curation.verdicts import Sieve
from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_json
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.recording import Text

Progress = Callable[[str, int, int], None] | None
MERGE_VERSION = 2
BALANCED_SPLIT = "train"
MERGED_COLUMNS = ("motion_digest", *SCORE_COLUMNS)  # of the measurements, those that become annotations


def merge_recipe(config: CurationConfig, forced: Mapping[str, str], train_only: Iterable[str]) -> str:
    """Changes when the merged corpus could."""
    parts = {name: config_hash(getattr(config, name)) for name in ("duplicates", "splits", "merge")}
    return digest_json({"merge": MERGE_VERSION, "measure": measure_recipe(config), **parts, "infeasible": config.infeasible, "forced": sorted(forced.items()),
                        "train_only": sorted(train_only)})  # fmt: skip


def merge(
    corpora: Sequence[Corpus], config: CurationConfig, folder: Path, *, shards: Path | None = None, cache: Path | None = None,
    forced: Mapping[str, str] | None = None, train_only: Iterable[str] = (), name: str = "merged_all", progress: Progress = None,
    workers: int = 1, skeleton: SkeletonConfig | None = None,
) -> Corpus:  # fmt: skip
    """Publish every clip of the corpora once, with annotations: split, group, motion_digest and all scores.

    cache        keeps each source's measurements and the near duplicates among them, so that only a changed source is looked at again
    forced       origin -> the source whose official test list names it (`forced_tests` reads the lists)
    train_only   names of sources that never go to val or test by hash
    workers      processes that measure; the result does not depend on it
    skeleton     how recombined motion becomes sticks, where `config.recombine` asks for any
    """
    forced, train_only, artificial = dict(forced or {}), frozenset(train_only), 0
    if config.recombine.on and any(len(corpus) for corpus in corpora):
        # Recombined clips are made of what is in training without them, and then merged like everything else.
        plain = merge(corpora, config.model_copy(update={"recombine": RecombineConfig()}), folder.with_name(f"{folder.name}.plain"), shards=shards,
                      cache=cache, forced=forced, train_only=train_only, name=f"{name}.plain", progress=progress, workers=workers)  # fmt: skip
        made = recombine(
            plain, config, folder.with_name(f"{folder.name}.recombined"), shards=plain.pool, skeleton=skeleton, progress=progress
        )
        corpora, artificial = [*corpora, made], len(made)
    parents = {corpus.manifest.name: corpus.digest for corpus in corpora}
    recipe = merge_recipe(config, forced, train_only)
    ready = current(folder, recipe, parents)
    if ready is not None:
        return ready
    if not any(len(corpus) for corpus in corpora):
        raise StickgenError(f"{folder}: nothing to merge, all {len(corpora)} sources are empty; put a data set into its folder")
    index = pa.concat_tables([corpus.index.select(BASE_SCHEMA.names) for corpus in corpora])
    there = [corpus for corpus in corpora if len(corpus)]
    tables = [measure(corpus, config, cache, progress, workers) for corpus in there]
    measured = pa.concat_tables([table.select(list(MERGED_COLUMNS)) for table in tables])
    same = equal_motions(measured["motion_digest"])
    origins = index["origin"].combine_chunks().dictionary_encode().indices.to_numpy()
    near = near_across(there, tables, origins, config, cache) if config.duplicates.group else Pairs.of([])
    made = np.arange(index.num_rows) >= index.num_rows - artificial
    alike = np.concatenate([*(_pairs(group, made) for group in same), np.stack([near.first, near.second], axis=1)])
    # What is made of captured motion follows its parts, and never moves them: a resemblance of its own joins nothing.
    of_made = made[alike].any(1)
    splits = assign_splits(index, config.splits, forced=forced, train_only=train_only, same=alike[~of_made])
    sieve = Sieve("merge", index.num_rows)
    spoilt = _like_held_out(alike[of_made], made, splits.split)
    sieve.drop("like_held_out", spoilt, detail="resembles a clip of val or test")
    texts = _collapse(corpora, index, [group[~spoilt[group]] for group in same if (~spoilt[group]).sum() > 1], sieve)
    balance = _balance(index, splits.split, config, sieve)
    stay = set(index["id"].take(pa.array(np.flatnonzero(sieve.kept))).to_pylist())
    texts = {name: told for name, told in texts.items() if name in stay}
    annotations: dict[str, Any] = {
        "split": pa.array(splits.split, pa.string()), "group": pa.array(splits.group, pa.string()),
        **{column: measured[column] for column in MERGED_COLUMNS},
    }  # fmt: skip
    kept = pa.array(np.flatnonzero(sieve.kept))
    annotations = {column: values.take(kept) for column, values in annotations.items()}
    bounds = np.cumsum([0, *(len(corpus) for corpus in corpora)])
    rows = [np.flatnonzero(sieve.kept[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]
    notes = {
        "waterfall": sieve.waterfall(), "splits": _split_notes(splits), "balance": balance,
        "near_duplicates": {"pairs": len(near), "grouped": config.duplicates.group},
        "equal_motions": {"groups": len(same), "texts_united": len(texts)},
    }  # fmt: skip
    return union(
        corpora, folder, name, recipe, rows=rows, annotations=annotations, ledger=sieve.ledger(index), notes=notes, parents=parents,
        texts=texts, shards=shards,
    )  # fmt: skip


def _pairs(group: np.ndarray, made: np.ndarray) -> np.ndarray:
    """[m, 2] what joins the rows of one motion: captured ones in a chain, made ones each with every captured one."""
    captured, others = group[~made[group]], group[made[group]]
    chain = np.stack([captured[:-1], captured[1:]], axis=1)
    return np.concatenate([chain, np.stack([np.repeat(captured, len(others)), np.tile(others, len(captured))], axis=1)])


def _like_held_out(alike: np.ndarray, made: np.ndarray, split: np.ndarray) -> np.ndarray:
    """[n] bool: made rows that resemble a captured one outside training."""
    spoilt = np.zeros(len(made), bool)
    for first, second in (alike.T, alike.T[::-1]):
        spoilt[first[made[first] & ~made[second] & (split[second] != BALANCED_SPLIT)]] = True
    return spoilt


def _collapse(corpora: Sequence[Corpus], index: pa.Table, same: Sequence[np.ndarray], sieve: Sieve) -> dict[str, tuple[Text, ...]]:
    """Drop all but the best captioned of each group of equal motions; texts of kept clips that gain some."""
    rows = np.concatenate([np.zeros(0, np.int64), *same])
    told = index.select(["id", "caption_count", "text_count"]).take(pa.array(rows))
    ids, captions, counts = (dict(zip(rows.tolist(), told[name].to_pylist(), strict=True)) for name in told.column_names)
    bounds = np.cumsum([0, *(len(corpus) for corpus in corpora)])
    refused = np.zeros(index.num_rows, bool)
    details = np.full(index.num_rows, "", dtype=object)
    united: dict[str, tuple[Text, ...]] = {}

    def texts_of(row: int) -> tuple[Text, ...]:
        number = int(np.searchsorted(bounds, row, side="right")) - 1
        return corpora[number].texts(row - int(bounds[number]))

    for group in same:
        ordered = sorted(group.tolist(), key=lambda row: (-captions[row], -counts[row], ids[row]))
        keeper, others = ordered[0], ordered[1:]
        own, gained = texts_of(keeper), dict[Text, None]()
        for row in others:
            refused[row] = True
            details[row] = f"same motion as {ids[keeper]}"
            gained |= dict.fromkeys(text for text in texts_of(row) if text not in own)
        if gained:
            united[ids[keeper]] = (*own, *gained)
    sieve.drop("duplicate", refused, detail=details)
    return united


def _balance(index: pa.Table, split: np.ndarray, config: CurationConfig, sieve: Sieve) -> dict[str, Any]:
    """Cap each source's share of the training split; statistics of what was asked for and what was used."""
    source = Classes.of(index["source"])
    counted = sieve.kept & (split == BALANCED_SPLIT)
    available = dict.fromkeys(sorted(source.names), 0) | source.counts(counted)
    asked = config.merge.max_source_fraction
    caps = solve_caps(available, asked, relax=config.infeasible == "relax", what="curation.merge.max_source_fraction")
    used = max(caps.shares.values(), default=asked)
    keep = keep_within(source, counted, Ranks(index["id"], config.merge.seed), caps.counts)
    shares = source.each(available) / max(int(counted.sum()), 1)
    sieve.drop("source_balance", ~keep, value=shares, limit=used)
    return {
        "of": f"the {BALANCED_SPLIT} split", "asked": asked, "used": round(used, 6), "relaxed": caps.relaxed,
        "available": available, "kept": dict(caps.counts),
    }  # fmt: skip


def _split_notes(splits: Assignment) -> dict[str, Any]:
    names, counts = np.unique(splits.split.astype(str), return_counts=True)
    return {
        "clips": dict(zip(names.tolist(), counts.tolist(), strict=True)), "groups_by_rule": dict(splits.reasons),
        "official_ids_overruled": splits.overruled, "warnings": list(splits.warnings),
    }  # fmt: skip
