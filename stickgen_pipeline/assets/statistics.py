"""What the merge and the curation left, counted: two JSON documents with a chart each, made from the corpora that passed their gates."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stickgen_core.corpus import Corpus
from stickgen_core.curation.charts import distributions, waterfall
from stickgen_core.curation.statistics import curation_statistics, merge_statistics, write_statistics
from stickgen_core.records.digests import digest_file
from stickgen_core.records.manifest import FileRecord, Manifest, write_manifest
from stickgen_core.records.publish import publish_bytes
from stickgen_core.settings import Settings
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work
from stickgen_pipeline.tables import picture

SPLIT_STAGES = ("pretrain", "sft")


def statistics_steps(settings: Settings) -> list[Step]:
    places = settings.places
    canonical = tuple(f"canonical/{name}" for name in settings.registry)
    return [
        _document(
            settings, "corpus/merged_statistics", "Sources, splits, actions, lengths, scores, captions and drops of the merged corpus.",
            places.merged_stats, places.merged_chart, "scores by source", "merged_stats", ("corpus/merged", *canonical), _merged,
        ),
        _document(
            settings, "corpus/curation_statistics", "The waterfall of each selection, its shares, and how far the two overlap within train.",
            places.curation_stats, places.curation_chart, "waterfall", "curation_stats",
            ("corpus/merged", *(f"corpus/curated_{stage}" for stage in SPLIT_STAGES)), _curation,
        ),
    ]  # fmt: skip


def _document(
    settings: Settings, key: str, description: str, path: Path, chart: Path, title: str, kept: str, parents: tuple[str, ...],
    count: Callable[[Settings], tuple[dict[str, Any], bytes]],
) -> Step:  # fmt: skip
    def make(work: Work) -> None:
        statistics, plot = count(settings)
        publish_bytes(chart, plot)
        write_statistics(path, statistics)
        files = {found.name: FileRecord(found.stat().st_size, digest_file(found)) for found in (path, chart)}
        write_manifest(path, Manifest(work.key, "statistics", files[path.name].sha256, work.recipe, dict(work.inputs), {}, files))

    def show(manifest: Manifest, folder: Path) -> dict[str, str]:
        return {title: picture(title, chart.read_bytes())} if chart.exists() else {}

    return Step(
        key=key,
        group="corpus",
        description=description,
        folder=path,
        version=recipe(settings, "statistics", "curation", of=key),
        make=make,
        parents=parents,
        kept=kept,
        checks=(
            Check("bytes_as_written", "The bytes are those that the manifest names.", partial(_as_written, (path, chart)), stops=False),
        ),
        show=show,
        kinds=frozenset({"json"}),
    )


def _as_written(paths: tuple[Path, ...], manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    """A document that somebody changed or removed is named; `stickgen build` makes it again."""
    changed = [p.name for p in paths if not p.is_file() or digest_file(p) != manifest.files[p.name].sha256]
    return Verdict(not changed, f"differ from their manifest: {', '.join(changed)}" if changed else "as written", {"changed": len(changed)})


def _merged(settings: Settings) -> tuple[dict[str, Any], bytes]:
    places = settings.places
    statistics = merge_statistics(Corpus.open(places.merged), [Corpus.open(places.canonical(name)) for name in settings.registry])
    return statistics, distributions(statistics["scores"], settings.config.curation)


def _curation(settings: Settings) -> tuple[dict[str, Any], bytes]:
    places = settings.places
    stages = {stage: Corpus.open(places.curated(stage)) for stage in SPLIT_STAGES}
    statistics = curation_statistics(Corpus.open(places.merged), stages)
    return statistics, waterfall({name: found["waterfall"] for name, found in statistics["stages"].items()})
