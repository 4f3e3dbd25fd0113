"""The evaluation of one checkpoint: what it is, what it scores, beside floor and ceiling, with every input named."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stickgen_core.config import config_hash
from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.evaluation.config import EvaluationConfig
from stickgen_core.evaluation.evaluator import Evaluator
from stickgen_core.evaluation.honesty import honesty_rows, mirrored, monotone, nearest_caption
from stickgen_core.evaluation.intervals import Measure, round_to
from stickgen_core.evaluation.items import Items, Progress, choose, read_items
from stickgen_core.evaluation.judge import Judge, Row, over_repetitions
from stickgen_core.evaluation.retrieval import unit_vectors
from stickgen_core.evaluation.sampling import Sampler, Vectors
from stickgen_core.evaluation.spread import multimodality
from stickgen_core.evaluation.thresholds import verdicts
from stickgen_core.model.objective import TERMS
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import find_manifest
from stickgen_core.records.publish import publish_text
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.sticks import layout_of_width
from stickgen_core.training.journal import read_metrics

SCHEMA = "stickgen-report/1"


@dataclass(frozen=True)
class Figure:
    """A generated clip to show, beside the training clip that is nearest to it."""

    id: str
    caption: str
    motion: np.ndarray
    present: np.ndarray
    nearest_id: str
    nearest_caption: str
    nearest_motion: np.ndarray
    nearest_present: np.ndarray


@dataclass(frozen=True)
class EvaluationResult:
    """`content` is the deterministic part of the report, `made` the rest (times, costs); figures are for the page."""

    content: dict[str, Any]
    made: dict[str, Any]
    figures: tuple[Figure, ...]
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
    checkpoint: Path, corpus: Corpus, vectors: Vectors, evaluator: Evaluator, config: EvaluationConfig, *, name: str = "",
    skeleton: SkeletonConfig | None = None, action_names: Callable[[int], str] = str, cache: Path | None = None,
    robustness: dict[str, Measure] | None = None, curves: list[dict[str, float]] | None = None, progress: Progress = None,
) -> EvaluationResult:  # fmt: skip
    """Judge a checkpoint on the held-out split.

    corpus       embedded and with splits; its digest, the evaluator's and the checkpoint's are in the result
    cache        folder in which the rows that do not depend on the checkpoint are kept between calls
    robustness   measures of the adversarial suites, if they were run (adversarial.robustness)
    curves       rows to plot, {"step": ..., "loss": ..., ...}; by default those of the checkpoint's own training
    """
    started = time.monotonic()
    sampler = Sampler.of(checkpoint, vectors, seed=config.seed, guidance=config.guidance, steps=config.steps, batch=config.batch)
    _must_fit(sampler, corpus, evaluator)
    torch.set_num_threads(max(1, config.evaluator.threads))
    items = cut(read_items(corpus, choose(corpus, config.split, config.samples, config.seed), config.seed), sampler.run.data.max_frames)
    train = cut(read_items(corpus, choose(corpus, config.reference_split, None, config.seed), config.seed), sampler.run.data.max_frames)
    judge = Judge(evaluator, config, _reference(corpus, items, train, config, sampler), sampler.statistics.fps)
    rows = _known_rows(judge, items, train, corpus, vectors, skeleton or SkeletonConfig(), cache, progress)
    rows += _control_rows(judge, items, sampler, progress)
    drawn = [
        sampler.draw(items, r, progress=progress, label=f"sampling, repetition {r + 1} of {config.repetitions}")
        for r in range(config.repetitions)
    ]
    repeated = [judge.measure(d) for d in drawn]
    own = repeated[0] | {"multimodality": _multimodality(judge, items, sampler, progress)}
    losses = sampler.held_out_loss(corpus, config.split, config.samples) | sampler.errors(items, config.seed, config.resamples)
    title = name or sampler.run.name
    rows.append(Row("model", title, "model", own, "", over_repetitions(repeated)))
    everything = own | losses | (robustness or {})
    figures, shown = _figures(judge, drawn[0], items, train, action_names)
    content = {
        "title": title,
        "checkpoint": {"name": title, "variant": sampler.run.variant, "stage": sampler.run.stage, "weights": sampler.meta["weights_digest"],
                       "step": int(sampler.meta.get("step", 0)), "epoch": int(sampler.meta.get("epoch", 0)), "run": sampler.run.hash,
                       "parameters": sampler.parameters, "sampler": sampler.settings.model_dump(mode="json")},
        "provenance": {
            "evaluator": evaluator.digest, "evaluator_seed": evaluator.card.get("seed"), "corpus": corpus.digest, "corpus_name": corpus.manifest.name,
            "encoder": str(corpus.manifest.notes.get("encoder_digest", "")), "statistics": sampler.statistics.digest, "config": config_hash(config),
            "protocol": config.protocol, "split": config.split, "n": len(items), "repetitions": config.repetitions, "seed": config.seed,
            "reference_n": len(judge.reference), "train_n": len(train), "length_rule": "the real clip's length is given", "device": "cpu",
            "layout": layout_of_width(sampler.statistics.width).name, "fps": sampler.statistics.fps,
        },
        "chance": judge.chance(items), "rows": [row.as_json() for row in rows], "losses": {k: m.as_json() for k, m in losses.items()},
        "robustness": {k: m.as_json() for k, m in (robustness or {}).items()}, "thresholds": verdicts(everything, config.thresholds),
        "curves": training_curves(checkpoint) if curves is None else curves, "clips": shown, "warnings": _warnings(corpus, evaluator, items, rows, own, judge, config),
    }  # fmt: skip
    made = {"wall_s": round(time.monotonic() - started, 1), "torch": torch.__version__, "threads": torch.get_num_threads(),
            "cost": _cost(sampler, items, config)}  # fmt: skip
    return EvaluationResult(content, made, figures, sampler.statistics.fps)


def training_curves(checkpoint: Path, most: int = 200) -> list[dict[str, float]]:
    """Losses that the training wrote down, thinned to `most` rows of each kind; empty where it kept none."""
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    rows: list[dict[str, float]] = []
    for kind, prefix in (("train", ""), ("validation", "validation_")):
        found = read_metrics(folder, kind)
        for row in found[:: max(1, len(found) // most)]:
            rows.append({"step": row["step"], **{f"{prefix}{k}": round_to(row[k]) for k in ("loss", *TERMS) if k in row}})
    return rows


def cut(items: Items, frames: int) -> Items:
    """The first frames of each clip: what the model can be asked for."""
    return replace(items, motions=tuple(m[:frames] for m in items.motions), present=tuple(p[:frames] for p in items.present))


def _must_fit(sampler: Sampler, corpus: Corpus, evaluator: Evaluator) -> None:
    """A checkpoint, corpus and evaluator that were not made for each other are refused."""
    width = int(corpus.manifest.counts.get("motion_width", sampler.statistics.width))
    sampler.statistics.require_width(width)
    if len(evaluator.scale.mean) != width:
        raise StickgenError(
            f"evaluator judges {len(evaluator.scale.mean)} numbers a frame, {corpus.manifest.name} has {width}; train it on this layout"
        )
    manifest = find_manifest(Path(sampler.meta["file"]).parent)
    wanted = sampler.meta.get("encoder_digest") or (manifest.notes.get("encoder_digest") if manifest else None)
    found = corpus.manifest.notes.get("encoder_digest")
    if wanted and found and wanted != found:
        raise StickgenError(
            f"{sampler.meta.get('file')}: trained with text encoder {wanted[:12]}, {corpus.manifest.name} was embedded with {found[:12]}"
        )


def _reference(corpus: Corpus, items: Items, train: Items, config: EvaluationConfig, sampler: Sampler) -> Items:
    """Real clips to compare distances with: held-out clips that are not judged themselves, else training clips."""
    rest = [r for r in choose(corpus, config.split, None, config.seed) if corpus.ids[r] not in set(items.ids)]
    if len(rest) >= config.samples // 2:
        return cut(read_items(corpus, rest[: config.reference_clips], config.seed), sampler.run.data.max_frames)
    own = choose(corpus, config.reference_split, config.reference_clips, config.seed + 1)
    wanted = {corpus.ids[r] for r in own}
    return train.take([i for i, clip in enumerate(train.ids) if clip in wanted])


def _known_rows(
    judge: Judge, items: Items, train: Items, corpus: Corpus, vectors: Vectors, skeleton: SkeletonConfig, cache: Path | None, progress: Progress
) -> list[Row]:  # fmt: skip
    """The honesty rows, from the cache where evaluator, clips and settings are the same."""
    key = digest_json({"rows": 1, "evaluator": judge.evaluator.digest, "corpus": corpus.digest, "config": config_hash(judge.config),
                       "lengths": [list(items.frames), sum(train.frames)]})  # fmt: skip
    path = cache / f"{key[:32]}.json" if cache else None
    if path and path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        return [
            Row(r["name"], r["title"], r["kind"], {k: Measure.of_json(m) for k, m in r["measures"].items()}, r["expected"]) for r in stored
        ]
    said = [unit_vectors(np.array(vectors.vectors(s.keys), np.float64)) for s in (items, train)]
    rows = honesty_rows(judge, items, train, nearest=nearest_caption(*said), mirror=mirrored(items, corpus, skeleton), progress=progress)
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


def _figures(
    judge: Judge, drawn: Items, items: Items, train: Items, action_names: Callable[[int], str]
) -> tuple[tuple[Figure, ...], list[dict[str, Any]]]:
    """Clips to show, spread over actions, each with its nearest training clip; wrong ones are shown as they come."""
    named = judge.evaluator.name_actions(drawn)
    turn, seen = [], Counter[int]()
    for action in items.actions.tolist():
        turn.append(seen[action])
        seen[action] += 1
    order = sorted(range(len(items)), key=lambda i: (turn[i], i))
    chosen = order[: judge.config.players]
    distances = judge.evaluator.embed_motions(drawn.take(chosen)) @ judge.evaluator.embed_motions(train).T if chosen else np.zeros((0, 1))
    figures, shown = [], []
    for row, place in enumerate(chosen):
        near = int(distances[row].argmax())
        figures.append(Figure(items.ids[place], items.captions[place], drawn.motions[place], drawn.present[place], train.ids[near], train.captions[near],
                              train.motions[near], train.present[near]))  # fmt: skip
        asked, got = int(items.actions[place]), int(named[place])
        shown.append({"id": items.ids[place], "caption": items.captions[place], "asked": action_names(asked) if asked >= 0 else "unknown",
                      "seen": action_names(got), "right": asked == got, "nearest": train.ids[near], "nearest_caption": train.captions[near],
                      "cosine": round(float(distances[row, near]), 4)})  # fmt: skip
    return tuple(figures), shown


def _warnings(
    corpus: Corpus, evaluator: Evaluator, items: Items, rows: list[Row], own: dict[str, Measure], judge: Judge, config: EvaluationConfig
) -> list[str]:
    """What a reader must know before believing a number."""
    found = []
    if corpus.manifest.notes.get("fake"):
        found.append("The text encoder is a stand-in without meaning: nothing here says how well the model obeys words.")
    if len(items) < config.fid_minimum:
        found.append(f"N = {len(items)}: FID is not computed below {config.fid_minimum:,}; KID, which has no bias in N, takes its place.")
    if not monotone(rows):
        found.append("More noise is not always farther from real for this evaluator: its distances cannot rank small differences.")
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
