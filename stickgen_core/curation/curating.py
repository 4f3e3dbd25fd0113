"""From the merged corpus to what a training stage may see: documented thresholds, then caps that are rechecked until all hold.

Training clips pass every rule; val passes the thresholds but is not capped; test goes through untouched: it measures, it is not chosen.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.config import config_hash
from stickgen_core.corpus import Corpus, current
from stickgen_core.curation.caps import Caps, Classes, Ranks, keep_within, solve_caps
from stickgen_core.curation.captions import is_described
from stickgen_core.curation.config import CurationConfig, ScoresConfig, StageConfig
from stickgen_core.curation.scores import ARTEFACTS, AT_LIMIT
from stickgen_core.curation.verdicts import Sieve
from stickgen_core.records.digests import digest_json

CURATE_VERSION = 1
SYNTHETIC = "synthetic"
UNKNOWN_ACTION = "unknown"


def curate_recipe(stage: str, config: CurationConfig, synthetic: Iterable[str]) -> str:
    """Changes when the curated corpus could."""
    return digest_json({"curate": CURATE_VERSION, "stage": stage, "rules": config_hash(getattr(config, stage)), "seed": config.merge.seed,
                        "scores": config_hash(config.scores), "infeasible": config.infeasible, "synthetic": sorted(synthetic)})  # fmt: skip


def curate(
    merged: Corpus, stage: str, config: CurationConfig, folder: Path, *, synthetic: Iterable[str] = (SYNTHETIC,), name: str | None = None
) -> Corpus:
    """Publish the clips of `merged` that a stage ("pretrain" or "sft") accepts.

    synthetic   names of synthetic sources: where the stage has max_synthetic_fraction they answer to it together
    """
    rules: StageConfig = getattr(config, stage)
    synthetic = frozenset(synthetic)
    recipe, parents = curate_recipe(stage, config, synthetic), {merged.manifest.name: merged.digest}
    ready = current(folder, recipe, parents)
    if ready is not None:
        return ready
    index = merged.index
    split = Classes.of(index["split"])
    sieve = Sieve(stage, len(merged))
    apply_thresholds(index, is_described(merged), rules, config.scores, sieve, exempt=split.rows_of("test"))
    capped = apply_caps(index, rules, config, sieve, counted=split.rows_of("train"), synthetic=synthetic, stage=stage)
    kept = np.flatnonzero(sieve.kept)
    notes = {
        "stage": stage, "rules": rules.model_dump(mode="json"), "waterfall": sieve.waterfall(), "caps": capped,
        "splits": {"clips": split.counts(sieve.kept)},
    }  # fmt: skip
    return merged.select(kept, folder, name or f"curated/{stage}_data", recipe, ledger=sieve.ledger(index), notes=notes, parents=parents)


def apply_thresholds(
    index: pa.Table, described: np.ndarray, rules: StageConfig, scores: ScoresConfig, sieve: Sieve, exempt: np.ndarray
) -> None:
    """Drop what a threshold refuses, with the value and the limit. Rows in `exempt` [n] bool are not asked."""

    def column(name: str) -> np.ndarray:
        return index[name].to_numpy().astype(np.float64)

    frames = column("frames")
    sieve.drop("too_short", ~exempt & (frames < rules.min_frames), frames, rules.min_frames)
    sieve.drop("too_long", ~exempt & (frames > rules.max_frames), frames, rules.max_frames)
    if rules.needs_text:
        sieve.drop("no_text", ~exempt & ~described)
    # Each artefact is held against its own threshold, so that the ledger names it; the stage moves all thresholds alike.
    for part, limit_name in ARTEFACTS.items():
        limit = getattr(scores, limit_name) * rules.max_artefact / AT_LIMIT
        values = column(part)
        sieve.drop(
            part, ~exempt & (np.round(values, scores.decimals) > round(limit, scores.decimals)), values, round(limit, scores.decimals)
        )
    quality = column("quality")
    sieve.drop("quality", ~exempt & (quality < rules.min_quality), quality, rules.min_quality)
    if rules.min_camera_stability is not None:
        stability = column("camera_stability")  # NaN without a camera, and then not below anything
        sieve.drop("camera_stability", ~exempt & (stability < rules.min_camera_stability), stability, rules.min_camera_stability)


def apply_caps(
    index: pa.Table, rules: StageConfig, config: CurationConfig, sieve: Sieve, counted: np.ndarray, synthetic: frozenset[str], stage: str
) -> dict[str, Any]:
    """Cap sources, then actions, and again, until both hold of what is left; each cap's solution is exact for what it is given."""
    relax = config.infeasible == "relax"
    rank = Ranks(index["id"], config.merge.seed)
    sources, own = index["source"], {}
    if rules.max_synthetic_fraction is not None:
        sources = pc.if_else(pc.is_in(sources, pa.array(sorted(synthetic), pa.string())), SYNTHETIC, sources)
        own = {SYNTHETIC: rules.max_synthetic_fraction}
    caps = [("source_balance", Classes.of(sources), rules.max_source_fraction, own)]
    if rules.max_action_fraction is not None:
        actions = pc.if_else(pc.less(index["action"], 0), UNKNOWN_ACTION, index["action"].cast(pa.string()))
        caps.append(("action_balance", Classes.of(actions), rules.max_action_fraction, {UNKNOWN_ACTION: 1.0}))
    report: dict[str, Any] = {}
    went = 1
    while went:
        went = 0
        for reason, classes, share, exempted in caps:
            solved, dropped = _cap(reason, classes, share, exempted, rank, sieve, counted, relax, f"curation.{stage} {reason}")
            went += dropped
            report[reason] = {"asked": share, **({"own": exempted} if exempted else {}), "used": solved.shares, "relaxed": solved.relaxed,
                              "kept": dict(solved.counts)}  # fmt: skip
    return report


def _cap(
    reason: str, classes: Classes, share: float, own: dict[str, float], rank: Ranks, sieve: Sieve, counted: np.ndarray,
    relax: bool, what: str,
) -> tuple[Caps, int]:  # fmt: skip
    asked = sieve.kept & counted
    available = classes.counts(asked)
    solved = solve_caps(available, share, relax=relax, what=what, own=own)
    if solved.total == sum(available.values()):
        return solved, 0
    keep = keep_within(classes, asked, rank, solved.counts)
    before = classes.each(available) / max(int(asked.sum()), 1)
    return solved, sieve.drop(reason, ~keep, value=before, limit=classes.each(solved.shares).round(6))
