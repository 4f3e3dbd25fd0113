"""The documented `.pt` file of every corpus, for people and programs that read such files. Made when asked for by name, never by themselves."""

from functools import partial
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.records.digests import digest_file
from stickgen_core.records.manifest import Manifest
from stickgen_core.settings import Settings
from stickgen_pipeline.exporting import default_path, write_pt
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict, Work

STAGES = ("pretrain", "sft")


def export_steps(settings: Settings) -> list[Step]:
    places = settings.places
    canonical = [(f"{name}_pt", f"canonical/{name}", places.canonical(name)) for name in settings.registry]
    curated = [(f"curated_{stage}_pt", f"corpus/curated_{stage}", places.curated(stage)) for stage in STAGES]
    embedded = [(f"embedded_{stage}_pt", f"corpus/embedded_{stage}", places.embedded(stage)) for stage in STAGES]
    every = [*canonical, ("merged_pt", "corpus/merged", places.merged), *curated, *embedded]
    return [_export(settings, name, parent, folder) for name, parent, folder in every]


def _export(settings: Settings, name: str, parent: str, folder: Path) -> Step:
    path = default_path(folder)
    return Step(
        key=f"export/{name}",
        group="upkeep",
        description=f"{parent} as torch.save(list[dict]) with its .md5: {path.relative_to(settings.places.data)}.",
        folder=path,
        version=recipe(settings, "export"),
        make=partial(_make, settings, folder),
        parents=(parent,),
        kept="pt_export",
        checks=(Check("bytes_as_written", "The file's bytes are those that its manifest names.", _bytes_as_written, stops=False),),
        kinds=frozenset({"pytorch"}),
        apart=True,
        automatic=False,
        by_default=False,
    )


def _make(settings: Settings, folder: Path, work: Work) -> None:
    write_pt(settings, [Corpus.open(folder)], work.folder, progress=work.progress)


def _bytes_as_written(manifest: Manifest, path: Path, fresh: bool) -> Verdict:
    holds = path.is_file() and digest_file(path) == manifest.files[path.name].sha256
    return Verdict(holds, "as written" if holds else f"{path}: differs from its manifest; export again", {"holds": holds})
