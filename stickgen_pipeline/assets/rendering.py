"""Parallax views of the embedded corpus, the pictures that multimodal training sees. Made when a run needs them or somebody asks for them."""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.records.digests import digest_bytes, digest_entries
from stickgen_core.records.manifest import Manifest, find_manifest, write_manifest
from stickgen_core.rendering.packed import PACKED, packed_people
from stickgen_core.rendering.parallax import METADATA, estimate, people, sample_folder, spread_rows, write_corpus_parallax
from stickgen_core.settings import Settings
from stickgen_core.sources.actions import load_actions
from stickgen_core.training.config import RunConfig
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work
from stickgen_pipeline.tables import markdown

PARALLAX = "corpus/parallax_views"
SOURCE = "corpus/embedded_pretrain"


def rendering_steps(settings: Settings) -> list[Step]:
    return [
        Step(
            key=PARALLAX,
            group="corpus",
            description="Clips seen by seeded cameras in true 3D: RGBA pictures with their cameras, as files or packed in shards.",
            folder=settings.places.parallax,
            version=recipe(settings, "parallax", "rendering"),
            make=partial(_make, settings),
            parents=(SOURCE,),
            kept="parallax_frames",
            checks=(Check("every_person_drawn", "Every person with joints has every view.", _every_person_drawn),),
            show=lambda manifest, folder: {"views": markdown(("", ""), sorted(manifest.counts.items()))},
            facts={"views": settings.config.rendering.parallax.views, "size_px": settings.config.rendering.parallax.size_px},
            kinds=frozenset({"png"}),
            automatic=False,
            by_default=False,
        )
    ]


def views_for(run: RunConfig, settings: Settings) -> tuple[str, ...]:
    """The step that draws what a multimodal run sees; a run that reads pictures from elsewhere needs none."""
    reads = run.data.use_parallax_augmentation and settings.places.data / run.data.parallax_root == settings.places.parallax
    return (PARALLAX,) if reads else ()


def _make(settings: Settings, work: Work) -> None:
    config = settings.config.rendering
    corpus = Corpus.open(settings.places.embedded("pretrain"))
    chosen = spread_rows(corpus, config.parallax.clips)
    before = find_manifest(work.folder)
    if before is not None and (before.recipe, dict(before.parents)) != (work.recipe, dict(work.inputs)):
        # Shards cannot be corrected in place; loose folders are drawn over one by one.
        shutil.rmtree(work.folder / PACKED, ignore_errors=True)
    outcome = write_corpus_parallax(
        corpus, chosen, work.folder, config, fps=settings.config.canonical.fps, seed=settings.config.seed, progress=work.progress,
        action_names=[action.name for action in load_actions().rows],
    )  # fmt: skip
    for folder in work.folder.glob("sample_*"):
        if config.parallax.packed or folder >= sample_folder(work.folder, len(chosen), 0).parent:
            shutil.rmtree(folder)
    _forget_others(corpus, chosen, work.folder)
    # The metadata names every frame with its camera; where a person's pictures lie, in folders or in which shard, does not count.
    drawn = {digest_bytes(data): "" for _, data in _metadata(work.folder)}
    counts = {
        "clips": len(chosen), "people": sum(people(corpus, chosen)), "drawn": outcome.written + outcome.kept, "left_out": outcome.left_out,
        "frames": estimate(outcome.written + outcome.kept, config).frames,
    }  # fmt: skip
    digest = digest_entries("parallax.v1", sorted(drawn.items()))
    write_manifest(work.folder, Manifest(work.key, "parallax", digest, work.recipe, dict(work.inputs), counts))


def _forget_others(corpus: Corpus, chosen: Sequence[int], root: Path) -> None:
    """Remove people of other clips that had this place before: more of them, or where this clip's have no joints to draw."""
    ids, digests = corpus.ids, corpus.index["digest"].to_pylist()
    for folder in root.glob("sample_*/actor_*"):
        row = chosen[int(folder.parent.name.removeprefix("sample_"))]
        try:
            found = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            found = {}
        if (found.get("clip_id"), found.get("clip_digest")) != (ids[row], digests[row]):
            shutil.rmtree(folder)


def _metadata(root: Path) -> list[tuple[Path, bytes]]:
    loose = [(path, path.read_bytes()) for path in sorted(root.glob(f"sample_*/actor_*/{METADATA}"))]
    return loose + [(path, data) for path, data, _ in packed_people(root)]


def _every_person_drawn(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    counts = manifest.counts
    found = len(_metadata(folder))
    whole = counts["drawn"] + counts["left_out"] == counts["people"] and found == counts["drawn"]
    text = f"{counts['drawn']} of {counts['people']} people drawn, {counts['left_out']} without joints; {found} {METADATA} found"
    return Verdict(whole, text, {**counts, "found": found})
