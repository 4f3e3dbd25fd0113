"""Judging a checkpoint with a profile's settings: what the report assets and the commands around them share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput
from stickgen_core.records.manifest import find_manifest
from stickgen_core.settings import Settings
from stickgen_core.sources.actions import load_actions
from stickgen_pipeline.steps import Progress

if TYPE_CHECKING:
    from stickgen_core.evaluation.checkpoint import Bench, EvaluationResult

SUITES = ("eval", "prompt_suites.yaml")


def silent(label: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def bench_of(settings: Settings, adversarial: Path | None = None) -> "Bench":
    """What stands beside every checkpoint of this profile when it is judged.

    adversarial   folder or file of its adversarial report; without one robustness is not measured
    """
    from stickgen_core.evaluation.adversarial import read_adversarial, summary
    from stickgen_core.evaluation.checkpoint import Bench
    from stickgen_core.evaluation.panel import Panel
    from stickgen_core.evaluation.protocol import read_protocol

    config, places = settings.config, settings.places
    actions = load_actions()
    robustness, suites = summary(read_adversarial(adversarial)) if adversarial else ({}, {})
    panel = places.report("evaluator_panel")
    return Bench(
        protocol=read_protocol(settings.configs / "eval", config.evaluation.protocol), panel=Panel.load(panel) if find_manifest(panel) else None,
        skeleton=config.skeleton, scores=config.curation.scores, safety=config.curation.safety, action_names=lambda action: actions[action].name,
        robustness=robustness, suites=suites, current=current_corpora(settings), cache=places.data / "honesty_rows",
    )  # fmt: skip


def current_corpora(settings: Settings) -> dict[str, str]:
    """Name -> digest of the embedded corpora as they are now: what a checkpoint must have been trained on."""
    found = [find_manifest(settings.places.embedded(stage)) for stage in ("pretrain", "sft")]
    return {manifest.name: manifest.digest for manifest in found if manifest is not None}


def judged(
    settings: Settings, checkpoint: Path, name: str, *, corpus: Corpus | None = None, adversarial: Path | None = None, progress: Progress = silent
) -> "EvaluationResult":  # fmt: skip
    """A checkpoint, judged by the profile's evaluator on the profile's corpus, or on another that must then fit both."""
    from stickgen_core.evaluation.checkpoint import evaluate_checkpoint
    from stickgen_core.evaluation.evaluator import load_evaluator
    from stickgen_core.text.vectors import TextVectors

    places = settings.places
    corpus = corpus or Corpus.open(places.embedded("pretrain"))
    encoder = corpus.manifest.notes.get("encoder_digest")
    if not encoder:
        raise MissingInput(f"{corpus.folder}: its manifest names no text encoder; judge on an embedded corpus")
    return evaluate_checkpoint(
        checkpoint, corpus, TextVectors.open(places.text_vectors / str(encoder)), load_evaluator(places.report("evaluator")),
        settings.config.evaluation, bench_of(settings, adversarial), name=name, progress=progress,
    )  # fmt: skip


def challenged(settings: Settings, checkpoint: Path, name: str, *, suites: tuple[str, ...] | None = None, count: int | None = None,
               progress: Progress = silent) -> dict[str, Any]:  # fmt: skip
    """The adversarial report of a checkpoint: every answer, the critic's verdicts, the gap.

    suites, count   which suites and how many prompts of each; by default what the configuration says
    """
    from stickgen_core.evaluation.adversarial import adversarial_report, answers_of, load_suites, run_suite
    from stickgen_core.generation.generator import Generator
    from stickgen_core.training.devices import chosen_device

    config = settings.config
    wanted = config.evaluation.adversarial
    device = chosen_device(config.evaluation.device, "evaluation.device")
    generator = Generator.from_checkpoint(checkpoint, config.generation, config.text, config.curation.safety, device=device.type)
    answer = answers_of(generator, guidance=config.evaluation.guidance, steps=config.evaluation.steps)
    chosen = load_suites(settings.configs.joinpath(*SUITES), wanted.suites if suites is None else suites)
    results = [
        run_suite(suite_name, suite, answer, config.evaluation.seed, progress, count=wanted.prompts if count is None else count,
                  safety=config.curation.safety)
        for suite_name, suite in chosen.items()
    ]  # fmt: skip
    told: Mapping[str, Any] = {"weights": generator.digest, "guidance": config.evaluation.guidance, "steps": config.evaluation.steps}
    return adversarial_report(name, results, config.evaluation.seed, config.evaluation.thresholds.robustness_gap, told)
