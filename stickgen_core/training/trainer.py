"""One checkpoint of the release, recorded: the loop, with a run folder and an entry in the registry around it."""

import os
import shutil
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
from stickgen_core.training.cost import Budget
from stickgen_core.training.journal import LOG, METRICS
from stickgen_core.training.loop import Progress, TrainResult, Watch
from stickgen_core.training.loop import train as train_loop
from stickgen_core.training.starting import AUTO, resume_source, run_in


class Interrupted(StickgenError):
    """The run was asked to end before it was done; its state is saved."""


def train(
    run: RunConfig, corpus: Corpus, out: Path, *, text_vectors: Path, statistics: Statistics, parent: Path | None, places: Places,
    name: str | None = None, recipe: str | None = None, parents: Mapping[str, str] | None = None, progress: Progress = None,
    stopping: Callable[[], bool] | None = None, resume_from: str | None = None, watch: Watch = None, budget: Budget | None = None,
    task: str | None = None,
) -> TrainResult:  # fmt: skip
    """Train, publish at `out`, and leave `outputs/<TIMESTAMP>_<name>/` and a registry entry; what is current is left alone.

    text_vectors   the folder of caches; the corpus says by which encoder it was embedded
    parent         folder of the checkpoint whose weights this one starts from
    task           what the run folder and the registry call it, if not the run's name
    """
    encoder = corpus.manifest.notes.get("encoder_digest")
    if not encoder:
        raise MissingInput(f"{corpus.folder}: its manifest names no text encoder; embed the corpus first")
    # Of several processes that share a run, the first keeps the record.
    first = int(os.environ.get("RANK", 0)) == 0
    record = Run.create(
        places.outputs, task or run.name, task=task or run.name, config_yaml=dump_yaml(run), config_hash=run.hash, environment=capture()
    ) if first else None  # fmt: skip
    try:
        result = train_loop(
            run, corpus, TextVectors.open(text_vectors / encoder), statistics if parent is None else None, out, init_from=parent,
            resume=state_for(run, resume_from, progress), progress=progress, watch=watch, name=name, recipe=recipe, parents=parents,
            stopping=stopping, parallax=places.data, budget=budget,
        )  # fmt: skip
    except BaseException:
        if record:
            _keep(record, out.with_name(f"{out.name}.training"), (METRICS, LOG))
            record.finish("failed")
        raise
    if result.stopped in ("terminated", "paused"):
        if record:
            _keep(record, result.folder, (METRICS, LOG))
            record.finish("interrupted", metrics=result.metrics)
        raise Interrupted(
            f"{run.name}: stopped at step {result.step} of {result.total_steps}, state saved in {result.folder}; run again to go on"
        )
    if record:
        _keep(record, result.folder)
        entry = record.finish("completed", metrics=result.metrics, checkpoint=result.folder / checkpoints.BEST)
        ModelRegistry(places.registry_file).register(entry)
    return result


def state_for(run: RunConfig, argument: str | None, progress: Progress = None) -> str:
    """The argument must be a state of this run; the environment and the configuration may speak of another run of the same build."""
    source = resume_source(argument, run)
    if source is None:
        return AUTO
    if argument is None and (other := run_in(Path(source))) != run.name:
        if progress:
            progress(f"{source} is a state of {other}, not of {run.name}: not resumed from", 0, 1)
        return AUTO
    return source


RUN_FILES = {checkpoints.BEST: "best_model.pth"}
KEPT = (checkpoints.BEST, checkpoints.RELEASE, METRICS, LOG)


def _keep(record: Run, folder: Path, names: tuple[str, ...] = KEPT) -> None:
    """What a run folder keeps of the result; links where the file system can, so that nothing is stored twice."""
    for name in names:
        if not (folder / name).is_file():
            continue
        destination = record.folder / RUN_FILES.get(name, name)
        destination.unlink(missing_ok=True)
        try:
            os.link(folder / name, destination)
        except OSError:
            shutil.copyfile(folder / name, destination)
