"""One canonical corpus per data set: its recordings as clips of the common body and space."""

from functools import partial
from pathlib import Path

from stickgen_core.canonical.convert import VERSION, convert, recipe_of
from stickgen_core.corpus.withdrawal import publish_absent, read_tombstone
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import Manifest, read_manifest
from stickgen_core.settings import Settings
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.registry import SourceSpec
from stickgen_pipeline.checks import COUNTS_ADD_UP, store_is_whole
from stickgen_pipeline.inventory import state_of
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work
from stickgen_pipeline.tables import drops, overview, recordings


def canonical_steps(settings: Settings) -> list[Step]:
    return [_canonical_step(spec, settings) for spec in settings.registry.values()]


def _canonical_step(spec: SourceSpec, settings: Settings) -> Step:
    return Step(
        key=f"canonical/{spec.name}",
        group="canonical",
        description=f"{spec.title}: clips at {settings.config.canonical.fps:g} fps in the canonical space.",
        folder=settings.places.canonical(spec.name),
        version=recipe(settings, "canonical", converter=VERSION, reader=reader_for(spec).version),
        observe=partial(_observe, spec, settings),
        make=partial(_make, spec, settings),
        parents=tuple(f"raw/{name}" for name in (spec.name, *spec.needs)),
        kept="canonical",
        checks=(
            store_is_whole(settings),
            COUNTS_ADD_UP,
            Check("has_clips", "The data set gave clips.", partial(_has_clips, spec, settings), stops=False),
        ),
        show=lambda manifest, folder: {**overview(folder), **drops(folder), **recordings(manifest)},
        facts={"licence": spec.licence.name, "share_derived": spec.licence.share_derived, "reader": spec.reader},
        kinds=frozenset({"arrow"}),
    )


def _observe(spec: SourceSpec, settings: Settings) -> str:
    """What decides the corpus beside its raw files; a withdrawal is such a thing."""
    recipe = recipe_of(spec, settings.places.raw_of(spec.name), settings.config.canonical, settings.config.skeleton)
    stone = read_tombstone(settings.places.data, spec.name)
    return recipe if stone is None else digest_json([recipe, "withdrawn", stone.at])


def _make(spec: SourceSpec, settings: Settings, work: Work) -> None:
    config = settings.config
    stone = read_tombstone(settings.places.data, spec.name)
    if stone is not None:
        publish_absent(work.folder, settings.places.shards, work.key, work.recipe, work.inputs, f"withdrawn on {stone.at}: {stone.reason}")
        return
    convert(spec, settings.places.raw_of(spec.name), work.folder, shards=settings.places.shards, config=config.canonical,
            skeleton=config.skeleton, parents=work.inputs, workers=config.pipeline.workers, progress=work.progress,
            meant_to_be_gone=any(_is_absent(name, settings) for name in (spec.name, *spec.needs)))  # fmt: skip


def _is_absent(name: str, settings: Settings) -> bool:
    """What the inventory says, which an unmounted disk cannot change: that takes a first look, or a person who accepts it."""
    return state_of(read_manifest(settings.places.inventory(name))) == "absent"


def _has_clips(spec: SourceSpec, settings: Settings, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    clips = int(manifest.counts["clips"])
    if clips:
        return Verdict(True, f"{clips} clips", {"clips": clips})
    if read_tombstone(settings.places.data, spec.name) is not None:
        return Verdict(False, f"0 clips: {manifest.notes['absent']}; `stickgen corpus reinstate {spec.name}` lifts that", {"clips": 0})
    return Verdict(
        False,
        f"0 clips: {'the data set is absent' if _is_absent(spec.name, settings) else 'see the ledger'}; {spec.register_at or spec.licence.url}",
        {"clips": 0},
    )
