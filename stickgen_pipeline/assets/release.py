"""What goes out: the choice among the checkpoints and its weights, StickGen-Bench as a page and a PDF, motions of the chosen one, videos."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput
from stickgen_core.records.digests import digest_entries, digest_file, digest_json
from stickgen_core.records.manifest import FileRecord, Manifest, read_manifest, write_manifest
from stickgen_core.records.publish import publish_text
from stickgen_core.settings import Settings
from stickgen_core.sources.actions import load_actions
from stickgen_pipeline.assets.evaluation import CRITIC, EVALUATOR, PANEL
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work
from stickgen_pipeline.tables import markdown

RELEASE = "release"
SELECTION, PDF = "selection.json", "reproduction_report.pdf"


def release_steps(settings: Settings) -> list[Step]:
    return [_selection(settings), _production(settings), _bench(settings), _reproduction(settings), _motions(settings), _videos(settings)]


def _names(settings: Settings) -> list[str]:
    pipeline = settings.config.pipeline
    return [f"{variant}_{stage}" for variant in pipeline.variants for stage in pipeline.stages]


def _reports(settings: Settings) -> tuple[str, ...]:
    return tuple(f"evaluation/{name}_report" for name in _names(settings))


def _selection(settings: Settings) -> Step:
    return Step(
        key="release/model_selection",
        group="release",
        description="The documented weighted choice among the nine checkpoints, with every part of every score.",
        folder=settings.places.report("model_selection"),
        version=recipe(settings, "selection", "evaluation"),
        make=partial(_make_selection, settings),
        parents=_reports(settings),
        kept="evaluation",
        show=_show_selection,
        kinds=frozenset({"json"}),
        apart=True,
        automatic=False,
    )


def _make_selection(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.choice import select
    from stickgen_core.evaluation.report import dumps, publish_folder, read_report

    config = settings.config.evaluation
    choice = select([read_report(settings.places.report(name)) for name in _names(settings)], config.selection, config.thresholds)
    publish_text(work.folder / SELECTION, dumps(choice))
    notes = {"selected": choice["selected"], "rationale": choice["rationale"],
             "scores": {row["name"]: round(row["score"], 4) for row in choice["candidates"]}}  # fmt: skip
    publish_folder(work.folder, work.key, digest_json(choice), work.recipe, work.inputs, notes=notes, made={})


def _show_selection(manifest: Manifest, folder: Path) -> dict[str, str]:
    rows = sorted(manifest.notes["scores"].items(), key=lambda item: -item[1])
    return {"scores": markdown(("checkpoint", "score"), rows), "why": str(manifest.notes["rationale"])}


def _production(settings: Settings) -> Step:
    return Step(
        key="release/production_model",
        group="release",
        description="The chosen checkpoint as checkpoints/production/best_model.pth, whole in itself, with the rationale beside it.",
        folder=settings.places.production,
        version=recipe(settings, "production"),
        make=partial(_make_production, settings),
        parents=("release/model_selection", *(f"checkpoint/{name}" for name in _names(settings))),
        kept="checkpoint",
        checks=(Check("is_the_choice", "The weights are those of the checkpoint that was chosen.", partial(_is_the_choice, settings)),),
        show=lambda manifest, folder: {"why": str(manifest.notes["rationale"])},
        kinds=frozenset({"pytorch"}),
        apart=True,
        automatic=False,
    )


def _make_production(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.production import publish_production

    choice = json.loads((settings.places.report("model_selection") / SELECTION).read_text(encoding="utf-8"))
    variant, _, stage = choice["selected"].partition("_")
    publish_production(
        settings.places.checkpoint(variant, stage), work.folder, choice, name=work.key, recipe=work.recipe, parents=work.inputs
    )


def _is_the_choice(settings: Settings, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    selected = str(manifest.notes["selected"])
    chosen = read_manifest(settings.places.checkpoint(*selected.split("_", 1))).digest
    return Verdict(
        chosen == manifest.digest, f"{selected}, weights {manifest.digest[:12]}", {"chosen": chosen, "published": manifest.digest}
    )


def _bench(settings: Settings) -> Step:
    peers = settings.places.peers
    return Step(
        key="release/stickgen_bench",
        group="release",
        description="StickGen-Bench: floor and ceiling rows, nine checkpoints, peers that are on this disk, one evaluator; the release page.",
        folder=settings.places.report(RELEASE),
        version=recipe(settings, "bench", "evaluation", "skeleton", published=digest_file(settings.configs / "eval" / "published.yaml"),
                       peers=_signature(peers)),
        make=partial(_make_bench, settings),
        parents=("corpus/embedded_pretrain", EVALUATOR, PANEL, CRITIC, *_reports(settings)),
        kept="evaluation",
        checks=(Check("same_yardstick", "One evaluator and one corpus judged every row.", partial(_same_yardstick, settings)),),
        show=lambda manifest, folder: {"page": f"[{folder / 'index.html'}]({(folder / 'index.html').as_uri()})"},
        kinds=frozenset({"html"}),
        apart=True,
        automatic=False,
    )  # fmt: skip


def _signature(folder: Path) -> list[list[str | int]]:
    """Names, sizes and times of peers' files: they are found, not made."""
    return [
        [path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.glob("*/*"))
        if path.is_file()
    ]


def _make_bench(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.gallery import FIGURES_NAME, load_figures
    from stickgen_core.evaluation.protocol import published
    from stickgen_core.evaluation.release import release_content, write_release
    from stickgen_core.evaluation.report import read_report

    places = settings.places
    names = _names(settings)
    content = release_content(
        [read_report(places.report(name)) for name in names], settings.config.evaluation, published(settings.configs / "eval"),
        peers=_peers(settings), panel=read_manifest(places.report("evaluator_panel")).notes["members"],
        critic=read_manifest(places.report("safety_critic")).notes["rates"],
    )  # fmt: skip
    links = {name: os.path.relpath(places.report(name) / "index.html", work.folder) for name in names}
    figures = load_figures(places.report(content["choice"]["selected"]) / FIGURES_NAME)
    write_release(content, work.folder, name=work.key, recipe=work.recipe, parents=work.inputs, links=links, figures=figures)


def _peers(settings: Settings) -> list[dict[str, Any]]:
    """Rows of other models whose outputs lie in `peers/<name>/results.npy`; a missing folder is no row."""
    from stickgen_core.evaluation.checkpoint import reference_clips
    from stickgen_core.evaluation.evaluator import load_evaluator
    from stickgen_core.evaluation.items import choose, read_items
    from stickgen_core.evaluation.judge import Judge
    from stickgen_core.evaluation.peers import peer_rows

    config, places = settings.config, settings.places
    if not any(places.peers.glob("*/*.npy")):
        return []
    judge_by, corpus = config.evaluation, Corpus.open(places.embedded("pretrain"))
    longest, seed = max(run_of(settings, *name.split("_", 1)).data.max_frames for name in _names(settings)), judge_by.seed
    items = read_items(corpus, choose(corpus, judge_by.split, judge_by.samples, seed), seed).cut(longest)
    train = read_items(corpus, choose(corpus, judge_by.reference_split, None, seed), seed).cut(longest)
    reference = reference_clips(corpus, items, train, judge_by, longest)
    judge = Judge(load_evaluator(places.report("evaluator")), judge_by, reference, config.canonical.fps, config.curation.scores)
    return peer_rows(places.peers, judge, items, corpus, judge_by.peers_fps, config.skeleton)


def _reproduction(settings: Settings) -> Step:
    return Step(
        key="release/reproduction_report",
        group="release",
        description="reports/reproduction_report.pdf: the release page's data, the environment, and several-seed runs where there are any.",
        folder=settings.places.reports,
        version=recipe(settings, "reproduction"),
        make=partial(_make_reproduction, settings),
        parents=("release/stickgen_bench",),
        kept="evaluation",
        kinds=frozenset({"pdf"}),
        apart=True,
        automatic=False,
    )


def _make_reproduction(settings: Settings, work: Work) -> None:
    from stickgen_core.evaluation.pdf import write_pdf
    from stickgen_core.evaluation.seeds import validated
    from stickgen_core.records.environment import capture

    release = json.loads((settings.places.report(RELEASE) / "release.json").read_text(encoding="utf-8"))
    aggregates = sorted(settings.places.report("seeds").glob("*/aggregate.json"))
    seeds = {content["run"]: content for content in (validated(json.loads(path.read_text(encoding="utf-8")), path) for path in aggregates)}
    work.folder.mkdir(parents=True, exist_ok=True)
    target = work.folder / PDF
    write_pdf(release["content"], target, capture(settings.root), seeds)
    records = {PDF: FileRecord(target.stat().st_size, digest_file(target))}
    digest = digest_json({"release": release["content_digest"], "seeds": sorted(seeds)})
    write_manifest(work.folder, Manifest(work.key, "document", digest, work.recipe, dict(work.inputs), files=records))


def _same_yardstick(settings: Settings, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    read = {key: digest for key, digest in manifest.parents.items() if key.endswith("_report")}
    changed = [key for key, digest in read.items() if read_manifest(settings.places.report(_report_name(key))).digest != digest]
    return Verdict(not changed, f"{len(read)} reports" if not changed else f"{changed[0]} changed since", {"reports": len(read)})


def _report_name(key: str) -> str:
    return key.partition("/")[2].removesuffix("_report")


def _motions(settings: Settings) -> Step:
    return Step(
        key="release/motion_exports",
        group="release",
        description="Motions of the chosen checkpoint for the configured prompts, as .motion files for the web viewer.",
        folder=settings.places.motions(RELEASE),
        version=recipe(settings, "motions", "generation", "rendering", "text", prompts=settings.config.pipeline.export_prompts,
                       safety=settings.config.curation.safety.model_dump(mode="json")),
        make=partial(_make_motions, settings),
        parents=("release/model_selection",),
        kept="motion_exports",
        show=lambda manifest, folder: {"motions": markdown(("prompt", "accepted", "file"), manifest.notes["motions"])},
        kinds=frozenset({"json"}),
        apart=True,
        automatic=False,
    )  # fmt: skip


def _make_motions(settings: Settings, work: Work) -> None:
    from stickgen_core.generation.generator import Generator
    from stickgen_core.rendering.motionfile import write_motion

    config = settings.config
    selected = str(read_manifest(settings.places.report("model_selection")).notes["selected"])
    variant, _, stage = selected.partition("_")
    # A release shows what the model gives: a motion that the gate refuses is exported and labelled, never left out.
    gate = config.generation.model_copy(update={"on_rejection": "return"})
    generator = Generator.from_checkpoint(settings.places.checkpoint(variant, stage), gate, config.text, config.curation.safety)
    names = [action.name for action in load_actions().rows]
    rows, files = [], []
    seconds = min(config.generation.default_seconds, generator.run.data.max_frames / generator.fps)
    for result in generator.generate(config.pipeline.export_prompts, work.progress, seconds=seconds, seed=config.seed):
        path = work.folder / f"{_slug(result.prompt)}.motion"
        work.folder.mkdir(parents=True, exist_ok=True)
        write_motion(path, generator.scene(result, names), config.rendering)
        files.append(path)
        rows.append([result.prompt, "yes" if result.accepted else result.reason, path.name])
    _publish(work, "motions", files, {"model": selected, "motions": rows})


def _slug(text: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in text.lower()).split())[:60]


def _videos(settings: Settings) -> Step:
    return Step(
        key="release/evaluation_videos",
        group="release",
        description="The exported motions as MP4, with their prompts.",
        folder=settings.places.videos(RELEASE),
        version=recipe(settings, "videos", "rendering"),
        make=partial(_make_videos, settings),
        parents=("release/motion_exports",),
        kept="videos",
        kinds=frozenset({"video"}),
        apart=True,
        automatic=False,
    )


def _make_videos(settings: Settings, work: Work) -> None:
    from stickgen_core.rendering.media import write_mp4
    from stickgen_core.rendering.motionfile import read_motion
    from stickgen_core.rendering.pictures import frames_of

    sources = sorted(settings.places.motions(RELEASE).glob("*.motion"))
    if not sources:
        raise MissingInput(f"{settings.places.motions(RELEASE)}: no .motion file to draw")
    config, files = settings.config.rendering, []
    work.folder.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sources):
        scene = read_motion(source)
        path = work.folder / f"{source.stem}.mp4"
        write_mp4(path, frames_of(scene, config), scene.fps, config.video)
        files.append(path)
        work.progress("video", number + 1, len(sources))
    _publish(work, "videos", files, {"style": config.style})


def _publish(work: Work, kind: str, files: list[Path], notes: dict[str, object]) -> None:
    """The manifest over exactly these files; others of an earlier build are removed first."""
    for stale in work.folder.iterdir():
        if stale.is_file() and stale not in files and stale.name != "manifest.json":
            stale.unlink()
    records = {path.name: FileRecord(path.stat().st_size, digest_file(path)) for path in files}
    digest = digest_entries(f"{kind}.v1", ((name, record.sha256) for name, record in records.items()))
    counts = {"files": len(records), "bytes": sum(record.bytes for record in records.values())}
    write_manifest(work.folder, Manifest(work.key, kind, digest, work.recipe, dict(work.inputs), counts, records, notes))
