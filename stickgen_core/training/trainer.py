"""One checkpoint of the release, recorded: the loop, with a run folder and an entry in the registry around it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from stickgen_core.config import dump_yaml
from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.model.normalise import Statistics
from stickgen_core.records.environment import capture
from stickgen_core.records.model_registry import ModelRegistry
from stickgen_core.records.places import Places
from stickgen_core.records.runs import Run
from stickgen_core.text.vectors import TextVectors
from stickgen_core.training import checkpoints
from stickgen_core.training.config import RunConfig
from stickgen_core.training.journal import LOG, METRICS
from stickgen_core.training.loop import AUTO, Progress, TrainResult, resume_source
from stickgen_core.training.loop import train as train_loop

BEST_OF_RUN = "best_model.pth"


class Interrupted(StickgenError):
    """The run was asked to end before it was done; its state is saved."""


def train(
    run: RunConfig, corpus: Corpus, out: Path, *, text_vectors: Path, statistics: Statistics, parent: Path | None, places: Places,
    name: str | None = None, recipe: str | None = None, parents: Mapping[str, str] | None = None, progress: Progress = None,
    stopping: Callable[[], bool] | None = None, resume_from: str | None = None,
) -> TrainResult:  # fmt: skip
    """Train, publish at `out`, and leave `outputs/<TIMESTAMP>_<name>/` and a registry entry; what is current is left alone.

    text_vectors   the folder of caches; the corpus says by which encoder it was embedded
    parent         folder of the checkpoint whose weights this one starts from
    """
    encoder = corpus.manifest.notes.get("encoder_digest")
    if not encoder:
        raise MissingInput(f"{corpus.folder}: its manifest names no text encoder; embed the corpus first")
    record = Run.create(
        places.outputs, run.name, task=run.name, config_yaml=dump_yaml(run), config_hash=run.hash, environment=capture()
    )  # fmt: skip
    try:
        result = train_loop(
            run, corpus, TextVectors.open(text_vectors / encoder), statistics if parent is None else None, out, init_from=parent,
            resume=resume_source(resume_from, run) or AUTO, progress=progress, name=name, recipe=recipe, parents=parents, stopping=stopping,
        )  # fmt: skip
    except BaseException:
        record.finish("failed")
        raise
    if result.stopped in ("terminated", "paused"):
        record.finish("interrupted", metrics=result.metrics)
        raise Interrupted(
            f"{run.name}: stopped at step {result.step} of {result.total_steps}, state saved in {result.folder}; run again to go on"
        )
    _keep(record, result.folder)
    entry = record.finish("completed", metrics=result.metrics, checkpoint=result.folder / checkpoints.BEST)
    ModelRegistry(places.registry_file).register(entry)
    return result


def _keep(record: Run, folder: Path) -> None:
    """The run folder's own names for the result; links where the file system can, so that nothing is stored twice."""
    import os
    import shutil

    for source, target in ((checkpoints.BEST, BEST_OF_RUN), (checkpoints.RELEASE, checkpoints.RELEASE), (METRICS, METRICS), (LOG, LOG)):
        if not (folder / source).is_file():
            continue
        destination = record.folder / target
        destination.unlink(missing_ok=True)
        try:
            os.link(folder / source, destination)
        except OSError:
            shutil.copyfile(folder / source, destination)
