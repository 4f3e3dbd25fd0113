"""The evaluator that judges, and a report for each checkpoint."""

from functools import partial

from stickgen_core.corpus import Corpus
from stickgen_core.settings import Settings
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Step, Work

EVALUATOR = "evaluation/evaluator"


def evaluation_steps(settings: Settings) -> list[Step]:
    pipeline = settings.config.pipeline
    return [_evaluator(settings)]


def _evaluator(settings: Settings) -> Step:
    return Step(
        key=EVALUATOR,
        group="corpus",
        description="The text–motion network and action classifier that judge every model; they saw the training split only.",
        folder=settings.places.report("evaluator"),
        version=recipe(settings, "evaluator", "evaluation"),
        make=partial(_make_evaluator, settings),
        parents=("corpus/embedded_pretrain",),
        kept="evaluation",
        kinds=frozenset({"pytorch"}),
        apart=True,
    )


def _make_evaluator(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.teaching import train_evaluator

    corpus = Corpus.open(settings.places.embedded("pretrain"))
    train_evaluator(corpus, settings.config.evaluation, work.folder, name=work.key, progress=work.progress)
