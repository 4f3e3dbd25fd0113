"""One corpus of all sources, the two curated selections of it, and the statistics that training normalises with."""

from functools import partial
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.curation.charts import waterfall
from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.curating import CURATE_VERSION, curate
from stickgen_core.curation.leaks import find_leaks
from stickgen_core.curation.merging import MERGE_VERSION, merge
from stickgen_core.curation.official import forced_tests
from stickgen_core.records.digests import digest_file
from stickgen_core.records.manifest import FileRecord, Manifest, write_manifest
from stickgen_core.settings import Settings
from stickgen_pipeline.assets.statistics import SPLIT_STAGES, statistics_steps
from stickgen_pipeline.checks import COUNTS_ADD_UP, store_is_whole
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work
from stickgen_pipeline.tables import drops, markdown, overview, picture

STATISTICS = "statistics.json"


def corpus_steps(settings: Settings) -> list[Step]:
    return [_merged(settings), *(_curated(stage, settings) for stage in SPLIT_STAGES), *statistics_steps(settings), _statistics(settings)]


def statistics_folder(settings: Settings) -> Path:
    return settings.places.data / "curated" / "motion_statistics"


def _merged(settings: Settings) -> Step:
    config, names = settings.config.curation, tuple(settings.registry)
    return Step(
        key="corpus/merged",
        group="corpus",
        description="Every clip of every source once: scored, equal motions collapsed, split by performance, sources balanced.",
        folder=settings.places.merged,
        version=recipe(settings, "merged", "curation", merge=MERGE_VERSION, sources=names, train_only=_train_only(settings)),
        make=partial(_make_merged, settings),
        parents=tuple(f"canonical/{name}" for name in names),
        kept="merged",
        checks=(
            store_is_whole(settings),
            COUNTS_ADD_UP,
            Check(
                "nothing_leaks", "No performance, motion or near copy of one is on both sides of a split.", partial(_nothing_leaks, config)
            ),
            Check("official_tests_known", "The test lists of the benchmarks are in their folders.", _official_tests_known, stops=False),
            Check("balance_as_asked", "The cap on a source's share was not relaxed.", _balance_as_asked, stops=False),
        ),
        show=_show_merged,
        kinds=frozenset({"arrow"}),
    )


def _train_only(settings: Settings) -> list[str]:
    return sorted(name for name, spec in settings.registry.items() if spec.train_only)


def _make_merged(settings: Settings, work: Work) -> None:
    places = settings.places
    corpora = [Corpus.open(places.canonical(name)) for name in settings.registry]
    merge(corpora, settings.config.curation, work.folder, shards=places.shards, cache=places.measurements,
          forced=forced_tests(settings.registry, places.raw_of, settings.config.curation.splits),
          train_only=_train_only(settings), name=work.key, progress=work.progress, workers=settings.config.pipeline.workers,
          skeleton=settings.config.skeleton)  # fmt: skip


def _nothing_leaks(config: CurationConfig, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    """All leaks on a new corpus; one that is reused passed when it was made."""
    if not fresh:
        return Verdict(True, "checked when it was made", {"read_back": False})
    leaks = find_leaks(Corpus.open(folder), config)
    blocking = [leak for leak in leaks if leak.blocking]
    measured = {leak.kind: leak.count for leak in leaks} | {"limit": 0}
    text = "; ".join(f"{leak.count} {leak.kind}: {leak.example}" for leak in blocking) or "none (equal captions are counted, not refused)"
    return Verdict(not blocking, text, measured)


def _official_tests_known(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    warnings = list(manifest.notes["splits"]["warnings"])
    return Verdict(not warnings, "; ".join(warnings) or "known", {"unknown": len(warnings), "limit": 0})


def _balance_as_asked(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    balance = manifest.notes["balance"]
    text = (
        f"a source may be {balance['used']:.0%} of train, {balance['asked']:.0%} was asked; too few sources for less"
        if balance["relaxed"]
        else "held"
    )
    return Verdict(not balance["relaxed"], text, {"asked": balance["asked"], "used": balance["used"]})


def _curated(stage: str, settings: Settings) -> Step:
    return Step(
        key=f"corpus/curated_{stage}",
        group="corpus",
        description=f"What {stage} may see: the merged corpus past the documented thresholds and caps; test goes through untouched.",
        folder=settings.places.curated(stage),
        version=recipe(settings, "curated", "curation", curate=CURATE_VERSION, of=stage, synthetic=_synthetic(settings)),
        make=partial(_make_curated, stage, settings),
        parents=("corpus/merged",),
        kept=f"curated_{stage}",
        checks=(
            store_is_whole(settings),
            COUNTS_ADD_UP,
            Check("has_every_split", "Clips are left in train, val and test.", _has_every_split),
            Check("caps_as_asked", "No cap was relaxed.", _caps_as_asked, stops=False),
        ),
        show=_show_curated,
        kinds=frozenset({"arrow"}),
    )


def _synthetic(settings: Settings) -> list[str]:
    return sorted(name for name, spec in settings.registry.items() if spec.kind == "synthetic")


def _make_curated(stage: str, settings: Settings, work: Work) -> None:
    places = settings.places
    merged = Corpus.open(places.merged)
    curate(merged, stage, settings.config.curation, work.folder, synthetic=_synthetic(settings), name=work.key)


def _has_every_split(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    found = Corpus.open(folder).index["split"].value_counts().to_pylist()
    counts = {name: 0 for name in ("train", "val", "test")} | {row["values"]: row["counts"] for row in found}
    return Verdict(all(counts.values()), ", ".join(f"{count} {name}" for name, count in counts.items()), {**counts, "limit": 1})


def _caps_as_asked(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    caps = manifest.notes["caps"]
    relaxed = {name: cap for name, cap in caps.items() if cap["relaxed"]}
    text = "; ".join(f"{name}: {cap['asked']:.0%} asked, {max(cap['used'].values()):.0%} used" for name, cap in relaxed.items()) or "held"
    return Verdict(not relaxed, text, {name: cap["asked"] for name, cap in caps.items()})


def _splits(folder: Path) -> dict[str, str]:
    rows = Corpus.open(folder).index.group_by(["source", "split"]).aggregate([("frames", "count"), ("frames", "sum")]).to_pylist()
    ordered = sorted((row["source"], row["split"], row["frames_count"], row["frames_sum"]) for row in rows)
    return {"splits": markdown(("source", "split", "clips", "frames"), ordered)} if ordered else {}


def _show_merged(manifest: Manifest, folder: Path) -> dict[str, str]:
    return {**overview(folder), **_splits(folder), **_balance(manifest), **drops(folder)}


def _balance(manifest: Manifest) -> dict[str, str]:
    balance = manifest.notes["balance"]
    rows = [(name, count, balance["kept"].get(name, 0)) for name, count in balance["available"].items()]
    return {"balance": markdown(("source", f"available in {balance['of']}", f"kept at {balance['used']:.0%}"), rows)}


def _show_curated(manifest: Manifest, folder: Path) -> dict[str, str]:
    """Tables, and the waterfall as a table and a chart."""
    steps = manifest.notes["waterfall"]
    columns = ("reason", "dropped", "left", "limit")
    chart = picture("waterfall", waterfall({manifest.name: steps}))
    return {**overview(folder), **_splits(folder), "waterfall": markdown(columns, [tuple(step[name] for name in columns) for step in steps]),
            "waterfall chart": chart, **drops(folder)}  # fmt: skip


def _statistics(settings: Settings) -> Step:
    return Step(
        key="corpus/motion_statistics",
        group="corpus",
        description="Mean and spread of motion, its differences and its physics over the training split: what every model normalises with.",
        folder=statistics_folder(settings),
        version=recipe(settings, "statistics", fps=settings.config.canonical.fps),
        make=partial(_make_statistics, settings),
        parents=("corpus/embedded_pretrain",),
        kept="curation_stats",
        kinds=frozenset({"json"}),
        apart=True,
    )


def _make_statistics(settings: Settings, work: Work) -> None:
    from stickgen_core.training.statistics import motion_statistics, save_statistics

    found = motion_statistics(Corpus.open(settings.places.embedded("pretrain")), fps=settings.config.canonical.fps)
    path = work.folder / STATISTICS
    work.folder.mkdir(parents=True, exist_ok=True)
    save_statistics(found, path)
    files = {STATISTICS: FileRecord(path.stat().st_size, digest_file(path))}
    counts = {"clips": found.clips, "frames": found.frames}
    write_manifest(work.folder, Manifest(work.key, "statistics", found.digest, work.recipe, dict(work.inputs), counts, files))
