"""`stickgen train … --profile`: where a step's time goes, as a table here and a trace for a browser's tracing page or Perfetto."""

import argparse

from stickgen_core.config import dump_yaml
from stickgen_core.corpus import Corpus
from stickgen_core.records.environment import capture
from stickgen_core.records.runs import Run
from stickgen_core.settings import Settings
from stickgen_core.training.config import RunConfig
from stickgen_pipeline.assets.checkpoints import split_of
from stickgen_pipeline.assets.corpus import STATISTICS, statistics_folder
from stickgen_pipeline.commands.common import answer, table


def profiled(options: argparse.Namespace, settings: Settings, run: RunConfig) -> int:
    """A few steps of the run on its own data; the trace and the table lie in a run folder, nothing else is kept."""
    from stickgen_core.text.vectors import TextVectors
    from stickgen_core.training.profiling import profile
    from stickgen_core.training.statistics import load_statistics

    places = settings.places
    corpus = Corpus.open(places.embedded(split_of(run.stage)))
    parent = places.checkpoint(run.variant, run.parent_stage) if run.parent_stage else None
    statistics = None if parent else load_statistics(statistics_folder(settings) / STATISTICS)
    vectors = TextVectors.open(places.text_vectors / str(corpus.manifest.notes["encoder_digest"]))
    record = Run.create(
        places.outputs, f"{run.name}_profile", task="profile", config_yaml=dump_yaml(run), config_hash=run.hash, environment=capture()
    )
    found = profile(run, corpus, vectors, statistics, record.folder, init_from=parent, parallax=places.data)
    record.finish("profiled", metrics=found.figures)
    figures = found.figures
    values = {"phases_ms": {name: ms for name, ms, _ in found.phases}, "figures": figures, "trace": str(found.trace)}
    rows = [(name, f"{ms:.1f}", f"{share:.1%}") for name, ms, share in found.phases]
    speed = f"{figures['frames_per_s']:,.0f} frames/s, {figures['peak_share']:.0%} of the matrix-product peak, while profiled"
    return answer(options, values, f"{table((run.name, 'ms a step', 'share'), rows)}\n\n{found.operations}\n{speed}\ntrace: {found.trace}")
