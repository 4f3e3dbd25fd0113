"""`stickgen datasets …` and `stickgen fetch`: what is on the disk, what a reader makes of it, and what may be downloaded."""

import argparse
from collections import Counter
from itertools import islice
from typing import Any

from stickgen_core.canonical import why_absent
from stickgen_core.errors import BadRecording, ConfigError, MissingInput
from stickgen_core.records.folders import entries_below
from stickgen_core.records.manifest import find_manifest
from stickgen_core.settings import Settings
from stickgen_core.sources.fetch import fetch_deepmimic
from stickgen_core.sources.inventory import survey
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.smpl import GENDERS, SITES, file_names, found_models
from stickgen_pipeline import inventory
from stickgen_pipeline.commands.common import answer, note, settings_of, size, table


def datasets(options: argparse.Namespace) -> int:
    """Every registered data set: its state, files found and expected, licence, and where to get it."""
    settings = settings_of(options)
    values = [*(_state(spec, settings) for spec in settings.registry.values()), *_body_models(settings)]
    rows = [
        (v["name"], v["state"], v["found"], v["expected"], size(v["bytes"]) if v["bytes"] else "", v["licence"], v["get"]) for v in values
    ]
    text = table(("data set", "state", "files", "expected", "size", "licence", "where to get it"), rows)
    lacking = "".join(f"\n{v['name']}: {v['lacks']}" for v in values if v["lacks"])
    return answer(options, values, f"{text}{lacking}\nraw folders: {settings.places.raw}/<data set>/")


def _state(spec: SourceSpec, settings: Settings) -> dict[str, Any]:
    raw = settings.places.raw_of(spec.name)
    seen = survey(spec, raw)
    manifest = find_manifest(settings.places.inventory(spec.name))
    return {"name": spec.name, "title": spec.title, "state": "generated" if spec.kind == "synthetic" else seen.state, "found": seen.found,
            "expected": seen.expected, "bytes": int(manifest.counts["bytes"]) if manifest else 0, "licence": spec.licence.name,
            "get": spec.register_at or spec.licence.url, "folder": str(raw), "layout": list(spec.layout), "needs": list(spec.needs),
            "share_derived": spec.licence.share_derived, "expected_counts": dict(spec.expected), "citation": spec.citation.strip(),
            "lacks": (why_absent(spec, raw) or "") if seen.state in ("present", "partial") else ""}  # fmt: skip


# Which body models the documented data sets need: the dancers of AIST++ are all fitted with the male one.
MODEL_USERS = {
    "smplh": (tuple(GENDERS), ("amass", "babel", "interhuman")), "smplx": (tuple(GENDERS), ("amass", "beat2")), "smpl": (("male",), ("aistpp",)),
}  # fmt: skip


def _body_models(settings: Settings) -> list[dict[str, Any]]:
    """The SMPL family's files, a prerequisite of the data sets that store body parameters instead of joints."""
    folder = settings.places.body_models
    found = found_models(folder) if folder.is_dir() else {family: {} for family in MODEL_USERS}
    rows = []
    for family, (genders, users) in MODEL_USERS.items():
        missing = [gender for gender in genders if gender not in found[family]]
        state = "present" if not missing else "missing" if len(missing) == len(genders) else "partial"
        used = [name for name in users if name in settings.registry]
        names = "; ".join(f"{gender}: {' or '.join(file_names(family, gender))}" for gender in missing)
        there = any(survey(settings.registry[name], settings.places.raw_of(name)).found for name in used)
        rows.append({"name": f"body_models/{family}", "title": f"{family.upper()} body models for {', '.join(used)}", "state": state,
                     "found": len(genders) - len(missing), "expected": len(genders), "bytes": 0, "licence": f"{family.upper()} (research, no redistribution)",
                     "get": f"{SITES[family]}, for {', '.join(used)}", "folder": str(folder), "layout": file_names(family, "male"), "needs": [],
                     "share_derived": False, "expected_counts": {}, "citation": "", "files": found[family],
                     "lacks": f"looked for {names}" if missing and there else ""})  # fmt: skip
    return rows


def _spec(settings: Settings, name: str) -> SourceSpec:
    if name not in settings.registry:
        raise ConfigError(f"no data set {name!r}; there are {', '.join(settings.registry)}")
    return settings.registry[name]


def check(options: argparse.Namespace) -> int:
    """Read a few units of a data set and say what came out."""
    settings = settings_of(options)
    spec = _spec(settings, options.name)
    raw, reader = settings.places.raw_of(spec.name), reader_for(spec)
    absent = why_absent(spec, raw)
    if absent:
        raise MissingInput(f"{spec.name}: {absent}")
    found = reader.discover(raw)
    rows: list[tuple[Any, ...]] = []
    bad = 0
    for unit in islice(found.units, options.limit):
        try:
            for recording in reader.read(raw, unit):
                frames, people = recording.joints.shape[:2]
                rows.append((recording.key, frames, people, f"{recording.fps:g}", len(recording.texts), len(recording.labels), "ok"))
        except BadRecording as error:
            bad += 1
            rows.append((unit.key, "", "", "", "", "", f"quarantined: {error}"))
    text = table(("recording", "frames", "people", "fps", "texts", "labels", ""), rows)
    reasons = Counter(one.reason for one in found.skipped)
    values = {
        "units": len(found.units),
        "skipped": len(found.skipped),
        "skipped_by_reason": dict(reasons),
        "read": [list(row) for row in rows],
    }
    left_out = f"{len(found.skipped)} left out by a rule" + (
        f" ({', '.join(f'{n} {why}' for why, n in reasons.most_common())})" if reasons else ""
    )
    answer(options, values, f"{text}\n{len(found.units)} units in {raw}, {left_out}")
    return 1 if bad or not found.units else 0


def accept(options: argparse.Namespace) -> int:
    """Forget the last inventory: the next build takes the folder as it is, gone files and all."""
    settings = settings_of(options)
    _spec(settings, options.name)
    had = inventory.accept(settings.places.inventory(options.name))
    return answer(
        options, {"forgotten": had}, f"{options.name}: the inventory of {had} is forgotten; `stickgen build` takes the folder as it is now"
    )


def remove(options: argparse.Namespace) -> int:
    """Say that a data set is meant to be gone: the next build makes it absent, and everything made of it follows."""
    settings = settings_of(options)
    spec = _spec(settings, options.name)
    raw = settings.places.raw_of(spec.name)
    if raw.is_dir() and any(path.is_file() for path in entries_below(raw)):
        raise MissingInput(f"{raw}: its files are still there; move them away first (this command never touches raw files)")
    had = inventory.accept(settings.places.inventory(spec.name))
    return answer(options, {"removed": options.name, "forgotten": had},
                  f"{options.name}: meant to be gone; `stickgen build` makes its corpus absent and what was made of it follows (it had {had})")  # fmt: skip


def fetch(options: argparse.Namespace) -> int:
    """Download what may be downloaded, check it, and show its licence."""
    settings = settings_of(options)
    spec, raw = _spec(settings, options.name), settings.places.raw_of(options.name)
    note(f"fetching {spec.title} into {raw}")
    count = fetch_deepmimic(raw)
    terms = f"Licence: {spec.licence.name}. {spec.licence.note.strip()}"
    return answer(options, {"folder": str(raw), "files": count, "licence": spec.licence.name}, f"{raw}: {count} files. {terms}")
