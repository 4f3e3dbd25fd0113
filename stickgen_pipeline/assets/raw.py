"""The raw data sets as they lie on the disk: an inventory each, whose digest is the version of the data."""

from functools import partial
from pathlib import Path

from stickgen_core.records.manifest import Manifest
from stickgen_core.settings import Settings
from stickgen_core.sources.registry import SourceSpec
from stickgen_pipeline.inventory import gone, signature, state_of, take
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Check, Step, Verdict


def raw_steps(settings: Settings) -> list[Step]:
    return [_raw_step(spec, settings) for spec in settings.registry.values()]


def _raw_step(spec: SourceSpec, settings: Settings) -> Step:
    raw = settings.places.raw_of(spec.name)
    watched = spec.kind != "synthetic"
    return Step(
        key=f"raw/{spec.name}",
        group="raw",
        description=f"{spec.title}: inventory of the raw files. Licence: {spec.licence.name}. Get it: {spec.register_at or spec.licence.url}",
        folder=settings.places.inventory(spec.name),
        version=recipe(settings, "raw", spec=spec.digest() if not watched else spec.name),
        observe=partial(signature, raw) if watched else None,
        make=partial(take, spec, raw),
        kept="inventory",
        checks=(
            Check("nothing_vanished", "Every file of the last inventory is still there.", partial(_nothing_vanished, spec, raw)),
            Check(
                "is_there",
                "The data set is on this machine.",
                partial(_is_there, spec, raw),
                stops=settings.config.pipeline.absent_is_error,
            ),
        ),
        facts={"licence": spec.licence.name, "register_at": spec.register_at, "raw_folder": str(raw), "raw_retention": spec.retention},
        kinds=frozenset({"file"} if watched else {"python"}),
    )


def _nothing_vanished(spec: SourceSpec, raw: Path, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    lost, total = gone(raw, folder), int(manifest.counts["files"])
    measured = {"lost": len(lost), "limit": 0, "files": total}
    if not lost:
        return Verdict(True, f"{total} files as recorded", measured)
    text = (
        f"{len(lost)} of {total} files are gone from {raw} (first: {lost[0]}); an unmounted disk? "
        f"What was made from them is kept. If they are meant to be gone: `stickgen datasets {'remove' if len(lost) == total else 'accept'} {spec.name}`"
    )
    return Verdict(False, text, measured)


def _is_there(spec: SourceSpec, raw: Path, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    if state_of(manifest) != "absent":
        return Verdict(True, f"{state_of(manifest)}: {manifest.counts['files']} files", {"files": manifest.counts["files"]})
    return Verdict(
        False,
        f"absent: put it into {raw} ({', '.join(spec.layout) or 'native layout'}); get it at {spec.register_at or spec.licence.url}",
        {"files": 0},
    )
