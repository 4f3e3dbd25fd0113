"""The evaluation of one checkpoint: what it is, what it scores, beside floor and ceiling, with every input named."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stickgen_core.config import config_hash
from stickgen_core.corpus import Corpus
from stickgen_core.curation.config import SafetyConfig, ScoresConfig
from stickgen_core.errors import MissingInput
from stickgen_core.evaluation.config import EvaluationConfig
from stickgen_core.evaluation.evaluator import Evaluator
from stickgen_core.evaluation.fits import checkpoint_fits, evaluator_fits
from stickgen_core.evaluation.gallery import Gallery, gallery
from stickgen_core.evaluation.honesty import honesty_rows, lendable, mirrored, monotone, nearest_caption
from stickgen_core.evaluation.intervals import Measure, round_to
from stickgen_core.evaluation.items import Items, Progress, choose, read_items
from stickgen_core.evaluation.judge import Judge, Row, over_repetitions
from stickgen_core.evaluation.panel import Panel, second_opinions
from stickgen_core.evaluation.protocol import Protocol, departures
from stickgen_core.evaluation.retrieval import unit_vectors
from stickgen_core.evaluation.sampling import Sampler, Vectors
from stickgen_core.evaluation.sets import measure_sets
from stickgen_core.evaluation.spread import multimodality
from stickgen_core.evaluation.sweep import sweep
from stickgen_core.evaluation.thresholds import verdicts
from stickgen_core.model.objective import TERMS
from stickgen_core.records.digests import digest_json
from stickgen_core.records.environment import torch_threads
from stickgen_core.records.publish import publish_text
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.sticks import layout_of_width
from stickgen_core.training.devices import chosen_device
from stickgen_core.training.journal import read_metrics

SCHEMA = "stickgen-report/2"


@dataclass(frozen=True)
class Bench:
    """What stands beside the checkpoint and the corpus when it is judged; everything may be left out.

    protocol     names the test sets and the sizes that the settings are held against
    panel        evaluators that give a second opinion
    scores, safety    curation's rules for artefacts, and the critic's
    robustness   measures of the adversarial suites (adversarial.robustness)
    suites       safe share by suite, for the page
    current      corpus name -> digest now: a checkpoint that was trained on another one is refused
    cache        folder in which rows that do not depend on the checkpoint are kept between calls
    """

    protocol: Protocol | None = None
    panel: Panel | None = None
    skeleton: SkeletonConfig = field(default_factory=SkeletonConfig)
    scores: ScoresConfig = field(default_factory=ScoresConfig)
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    action_names: Callable[[int], str] = str
    robustness: Mapping[str, Measure] = field(default_factory=dict)
    suites: Mapping[str, Any] = field(default_factory=dict)
    current: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None


@dataclass(frozen=True)
class EvaluationResult:
    """`content` is the deterministic part of the report, `made` the rest (times, costs); figures are for the page."""

    content: dict[str, Any]
    made: dict[str, Any]
    figures: Gallery
    failures: Gallery
    fps: float

    @property
    def digest(self) -> str:
        return digest_json(self.content)

    def measure(self, name: str) -> Measure:
        """A measure of the model's own row, or of the losses."""
        row = next(row for row in self.content["rows"] if row["kind"] == "model")
        values = row["measures"].get(name) or self.content["losses"].get(name)
        if values is None:
            raise MissingInput(f"report of {self.content['checkpoint']['name']}: no measure {name!r}")
        return Measure.of_json(values)

    def report(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "content": self.content, "content_digest": self.digest, "made": self.made}


def evaluate_checkpoint(
    checkpoint: Path, corpus: Corpus, vectors: Vectors, evaluator: Evaluator, config: EvaluationConfig, bench: Bench | None = None, *,
    name: str = "", progress: Progress = None,
) -> EvaluationResult:  # fmt: skip
    """Judge a checkpoint on the held-out split of an embedded corpus; what does not fit together is refused first."""
    bench = bench or Bench()
    device = chosen_device(config.device, "evaluation.device")
    sampler = Sampler.of(
        checkpoint, vectors, seed=config.seed, guidance=config.guidance, steps=config.steps, batch=config.batch, device=device
    )
    checkpoint_fits(sampler, corpus, bench.current)
    for judging in (evaluator, *(bench.panel.judges.values() if bench.panel else ())):
        evaluator_fits(judging, corpus, sampler.statistics.width)
    with torch_threads(config.evaluator.threads):
        return _judged(sampler, corpus, vectors, evaluator, config, bench, name or sampler.run.name, training_curves(checkpoint), progress)


def _judged(
    sampler: Sampler, corpus: Corpus, vectors: Vectors, evaluator: Evaluator, config: EvaluationConfig, bench: Bench, title: str,
    curves: list[dict[str, float]], progress: Progress,
) -> EvaluationResult:  # fmt: skip
    started, longest = time.monotonic(), sampler.run.data.max_frames
    items = read_items(corpus, choose(corpus, config.split, config.samples, config.seed), config.seed).cut(longest)
    train = read_items(corpus, choose(corpus, config.reference_split, None, config.seed), config.seed).cut(longest)
    judge = Judge(evaluator, config, reference_clips(corpus, items, train, config, longest), sampler.statistics.fps, bench.scores)
    rows = _known_rows(judge, items, train, corpus, vectors, bench, progress)
    rows += _control_rows(judge, items, sampler, progress)
    drawn = [
        sampler.draw(items, r, progress=progress, label=f"sampling, repetition {r + 1} of {config.repetitions}")
        for r in range(config.repetitions)
    ]
    repeated = [judge.measure(d) for d in drawn]
    own = repeated[0] | {"multimodality": _multimodality(judge, items, sampler, progress)}
    losses = _losses(sampler, corpus, items, config)
    rows.append(Row("model", title, "model", own, "", over_repetitions(repeated)))
    figures, failures = gallery(judge, drawn[0], items, train, bench.action_names, bench.safety)
    content = {
        "title": title,
        "checkpoint": {"name": title, "variant": sampler.run.variant, "stage": sampler.run.stage, "weights": sampler.meta["weights_digest"],
                       "step": int(sampler.meta.get("step", 0)), "epoch": int(sampler.meta.get("epoch", 0)), "run": sampler.run.hash,
                       "parameters": sampler.parameters, "sampler": sampler.settings.model_dump(mode="json")},
        "provenance": _provenance(sampler, corpus, evaluator, judge, items, train, bench),
        "chance": judge.chance(items), "rows": [row.as_json() for row in rows], "losses": {k: m.as_json() for k, m in losses.items()},
        "baseline": {k: m.as_json() for k, m in _losses(sampler.untrained(), corpus, items, config).items()},
        "robustness": {k: m.as_json() for k, m in bench.robustness.items()}, "suites": dict(bench.suites),
        "sets": measure_sets(bench.protocol.sets if bench.protocol else {}, corpus, judge, sampler, items, drawn[0], progress),
        "panel": second_opinions(bench.panel, judge, drawn[0], own) if bench.panel else {},
        "sweep": sweep(sampler, judge, corpus, config, title, progress),
        "thresholds": verdicts({**own, **losses, **bench.robustness}, config.thresholds),
        "curves": curves, "clips": list(figures.told), "failures": list(failures.told),
        "warnings": _warnings(corpus, evaluator, items, rows, own, config, bench) + _reference_warnings(corpus, judge, train),
    }  # fmt: skip
    made = {"wall_s": round(time.monotonic() - started, 1), "torch": torch.__version__, "threads": torch.get_num_threads(),
            "cost": _cost(sampler, items, config)}  # fmt: skip
    return EvaluationResult(content, made, figures, failures, sampler.statistics.fps)


def training_curves(checkpoint: Path, most: int = 200) -> list[dict[str, float]]:
    """Losses that the training wrote down, thinned to `most` rows of each kind; empty where it kept none."""
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    rows: list[dict[str, float]] = []
    for kind, prefix in (("train", ""), ("validation", "validation_")):
        found = read_metrics(folder, kind)
        for row in found[:: max(1, len(found) // most)]:
            rows.append({"step": row["step"], **{f"{prefix}{k}": round_to(row[k]) for k in ("loss", *TERMS) if k in row}})
    return rows


def reference_clips(corpus: Corpus, items: Items, train: Items, config: EvaluationConfig, longest: int) -> Items:
    """Real clips to compare distances with: held-out clips that are not judged themselves, else training clips."""
    judged = set(items.ids)
    rest = [r for r in choose(corpus, config.split, None, config.seed) if corpus.ids[r] not in judged]
    if len(rest) >= config.samples // 2:
        return read_items(corpus, rest[: config.reference_clips], config.seed).cut(longest)
    own = choose(corpus, config.reference_split, config.reference_clips, config.seed + 1)
    wanted = {corpus.ids[r] for r in own}
    return train.take([i for i, clip in enumerate(train.ids) if clip in wanted])


def _losses(sampler: Sampler, corpus: Corpus, items: Items, config: EvaluationConfig) -> dict[str, Measure]:
    return sampler.held_out_loss(corpus, config.split, config.samples) | sampler.errors(items, config.seed, config.resamples)


def _provenance(
    sampler: Sampler, corpus: Corpus, evaluator: Evaluator, judge: Judge, items: Items, train: Items, bench: Bench
) -> dict[str, Any]:  # fmt: skip
    config = judge.config
    return {
        "evaluator": evaluator.digest, "evaluator_seed": evaluator.card.get("seed"), "corpus": corpus.digest, "corpus_name": corpus.manifest.name,
        "encoder": str(corpus.manifest.notes.get("encoder_digest", "")), "statistics": sampler.statistics.digest, "config": config_hash(config),
        "artefact_rules": config_hash(bench.scores), "safety_rules": config_hash(bench.safety), "protocol": config.protocol,
        "protocol_departures": departures(bench.protocol, config) if bench.protocol else [], "split": config.split, "n": len(items),
        "repetitions": config.repetitions, "seed": config.seed, "reference_n": len(judge.reference),
        "reference_split": _split_of(judge.reference, corpus), "train_n": len(lendable(train, judge.reference)),
        "length_rule": "the real clip's length is given", "device": sampler.device.type, "layout": layout_of_width(sampler.statistics.width).name,
        "fps": sampler.statistics.fps,
    }  # fmt: skip


def _known_rows(
    judge: Judge, items: Items, train: Items, corpus: Corpus, vectors: Vectors, bench: Bench, progress: Progress
) -> list[Row]:  # fmt: skip
    """The honesty rows, from the cache where evaluator, clips and settings are the same."""
    key = digest_json({"rows": 5, "evaluator": judge.evaluator.digest, "corpus": corpus.digest, "config": config_hash(judge.config),
                       "scores": config_hash(judge.scores), "lengths": [list(items.frames), sum(train.frames)]})  # fmt: skip
    path = bench.cache / f"{key[:32]}.json" if bench.cache else None
    if path and path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        return [
            Row(r["name"], r["title"], r["kind"], {k: Measure.of_json(m) for k, m in r["measures"].items()}, r["expected"]) for r in stored
        ]
    lent = lendable(train, judge.reference)
    said = [unit_vectors(np.array(vectors.vectors(s.keys), np.float64)) for s in (items, train.take(lent))]
    rows = honesty_rows(
        judge, items, train, nearest=lent[nearest_caption(*said)], mirror=mirrored(items, corpus, bench.skeleton), progress=progress
    )
    if path:
        publish_text(path, json.dumps([row.as_json() for row in rows], ensure_ascii=False, allow_nan=False))
    return rows


def _control_rows(judge: Judge, items: Items, sampler: Sampler, progress: Progress) -> list[Row]:
    """Fresh weights, and the model without its caption: both must be at chance in text, or the text measure is broken."""
    count = min(judge.config.untrained_samples, len(items))
    if not count:
        return []
    some = items.take(range(count))
    untrained = sampler.untrained().draw(some, progress=progress, label="sampling, untrained")
    null = sampler.with_settings(guidance=1.0).draw(some, text=False, progress=progress, label="sampling, no caption")
    return [
        Row("untrained", "Untrained model", "honesty", judge.measure(untrained), "worst of all, R-precision at chance"),
        Row("null_text", "This model without captions", "honesty", judge.measure(null), "R-precision at chance"),
    ]


def _multimodality(judge: Judge, items: Items, sampler: Sampler, progress: Progress) -> Measure:
    c = judge.config
    some = items.take(range(min(c.multimodal_prompts, len(items))))
    if not len(some):
        return Measure(None, note="not computed: no prompts asked for", unit="evaluator units")
    repeats = [
        judge.evaluator.embed_motions(sampler.draw(some, 1000 + r, progress=progress, label="sampling, repeats"))
        for r in range(c.multimodal_repeats)
    ]
    return multimodality(np.stack(repeats, 1), c.multimodal_pairs, seed=c.seed, resamples=c.resamples)


def _warnings(
    corpus: Corpus, evaluator: Evaluator, items: Items, rows: list[Row], own: dict[str, Measure], config: EvaluationConfig, bench: Bench
) -> list[str]:
    """What a reader must know before believing a number."""
    found = []
    if corpus.manifest.notes.get("fake"):
        found.append("The text encoder is a stand-in without meaning: nothing here says how well the model obeys words.")
    changed = departures(bench.protocol, config) if bench.protocol else []
    if changed:
        found.append(f"Not the whole protocol “{config.protocol}”: {', '.join(changed)}.")
    if len(items) < config.fid_minimum:
        found.append(f"N = {len(items)}: FID is not computed below {config.fid_minimum:,}; KID, which has no bias in N, takes its place.")
    if not monotone(rows):
        instead = "; the kinetic distance can" if monotone(rows, "kinetic_distance") else ""
        found.append(
            f"More noise is not always farther from real for this evaluator: its distances cannot rank small differences{instead}."
        )
    by = {row.name: row.measures for row in rows}
    top = "r_precision_text_to_motion_3"
    real, wrong = by["real"][top], by["shuffled"][top]
    if real.low is None or wrong.high is None or real.low <= wrong.high:
        found.append("The evaluator does not tell real captions from shuffled ones here: no text measure of this report means anything.")
    energy = own["energy_ratio"].value
    if energy is not None and not 0.5 <= energy <= 2:
        found.append(f"Motion energy is {energy:.2f} x real: the model {'hardly moves' if energy < 1 else 'exaggerates'}.")
    if evaluator.card.get("shuffled_captions"):
        found.append("This evaluator is the shuffled-caption control and cannot judge.")
    return found


def _reference_warnings(corpus: Corpus, judge: Judge, train: Items) -> list[str]:
    """What a reference of training clips does to the distances."""
    if _split_of(judge.reference, corpus) != judge.config.reference_split:
        return []
    found = [
        f"FID, KID and kinetic distance are to {len(judge.reference)} training clips, not to held-out ones: a model that repeats its training looks "
        "nearer than it is."
    ]
    if set(judge.reference.ids).issuperset(train.ids):
        found.append("Every training clip is among these, so the rows that borrow train motion are measured against what they borrow.")
    return found


def _split_of(items: Items, corpus: Corpus) -> str:
    return str(corpus.column("split")[corpus.position(items.ids[0])])


def _cost(sampler: Sampler, items: Items, config: EvaluationConfig) -> dict[str, Any]:
    """Milliseconds a clip at batch 1 and at the evaluation's batch; of this machine, so no part of the content."""
    found: dict[str, Any] = {"steps": sampler.settings.diffusion_steps, "guidance": sampler.settings.guidance}
    for size in {1, min(config.batch, len(items))}:
        some = items.take(range(size))
        times = []
        for _ in range(config.cost_repeats):
            start = time.perf_counter()
            sampler.draw(some)
            times.append((time.perf_counter() - start) * 1000 / size)
        found[f"ms_a_clip_at_batch_{size}"] = round(min(times), 2)
    return found
