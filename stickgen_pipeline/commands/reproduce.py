"""`stickgen reproduce BUNDLE`: rebuild an artefact from its record on this machine, and say stage by stage whether it is the same."""

import argparse
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stickgen_core.corpus.folder import STORE_NOTE
from stickgen_core.corpus.verify import verify_folder
from stickgen_core.errors import Corrupt, StickgenError
from stickgen_core.records.bundle import TABLE, read_table
from stickgen_core.records.bundle_verifier import problems
from stickgen_core.records.digests import digest_bytes, digest_json
from stickgen_core.records.environment import git_state
from stickgen_core.records.history import SHORT
from stickgen_core.records.manifest import Manifest, find_manifest
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import answer, note, table
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.inventory import FILES
from stickgen_pipeline.profile import resolve
from stickgen_pipeline.steps import Steps
from stickgen_pipeline.verification import altered
from stickgen_pipeline.witness import configuration

Verdict = Literal["equal", "within tolerance", "differs", "missing"]


@dataclass(frozen=True)
class Compared:
    """One stage: what the record says, what came out here; `made` is false for what was in place before."""

    key: str
    recorded: str
    found: str
    verdict: Verdict
    how: str
    made: bool


def reproduce(options: argparse.Namespace) -> int:
    """Exit code 0 if every stage is equal or within tolerance, else 1 with the first that is not."""
    folder = Path(options.bundle)
    recorded = read_table(folder)
    wrong = problems(folder, digest_bytes((folder / TABLE).read_bytes()))
    if wrong:
        raise Corrupt(f"{folder}: {len(wrong)} problems, first: {wrong[0]}; a bundle that does not hold proves nothing")
    entries = [json.loads((folder / name).read_text(encoding="utf-8")) for name in recorded["artefacts"]]
    settings = recorded_settings(folder, recorded, entries)
    steps = steps_of(settings)
    chosen = stages(entries, steps, options.upto)
    note(f"{len(chosen)} of {len(entries)} recorded artefacts, into {settings.places.data} (profile {settings.profile})")
    state = git_state(settings.root)
    here = str((state or {}).get("commit") or "unknown")
    if recorded["facts"].get("commit") and here != recorded["facts"]["commit"]:
        note(f"notice: recorded at commit {recorded['facts']['commit'][:12]}, this is {here[:12]}; recipes decide whether that matters")
    made, failed = _build(options, [entry["key"] for entry in chosen], settings)
    compared = list(compare(folder, chosen, steps, options.tolerance, made))
    first = next((one for one in compared if one.verdict in ("differs", "missing")), None)
    rows = [(one.key, one.recorded[:12], one.found[:12], one.verdict, one.how) for one in compared]
    count = {verdict: sum(one.verdict == verdict for one in compared) for verdict in ("equal", "within tolerance", "differs", "missing")}
    summary = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
    in_place = sum(not one.made and one.verdict != "missing" for one in compared)
    last = f"the first stage that is not the same: {first.key}: {first.how}" if first else _reproduced(len(compared), in_place, settings)
    values = {"profile": settings.profile, **count, "made": sum(one.made for one in compared), "in_place": in_place,
              "first_difference": first.key if first else None, "build_failed": failed, "stages": [vars(one) for one in compared]}  # fmt: skip
    answer(options, values, f"{table(('stage', 'recorded', 'here', 'verdict', ''), rows)}\n{summary}\n{last}")
    return 1 if first or failed else 0


def recorded_settings(folder: Path, recorded: Mapping[str, Any], entries: list[dict[str, Any]]) -> Settings:
    """The configuration of this checkout under the recorded profile and overrides; it must be the recorded one."""
    root = next(e for e in entries if (e["key"], e["digest"]) == (recorded["root"]["key"], recorded["root"]["digest"]))
    if not root["configuration"]:
        raise StickgenError(
            f"{folder}: the record of {root['key']} names no configuration; it was made before configurations were recorded"
        )
    stored = json.loads((folder / "configurations" / f"{root['configuration']}.json").read_text(encoding="utf-8"))
    settings = resolve(stored["profile"], overrides=stored["overrides"])
    ours = configuration(settings)
    if digest_json(ours) == root["configuration"]:
        return settings
    changed = sorted(_differences(stored, ours))
    # Thresholds of checks, schedules and the like decide nothing; recipes say what matters, stage by stage.
    note(f"notice: {len(changed)} configured values differ from the record, first {changed[0] if changed else 'their order'}")
    return settings


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {*old, *new}:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif old != new:
        yield f"{path}: {old!r} recorded, {new!r} here"


def stages(entries: list[dict[str, Any]], steps: Steps, upto: str | None) -> list[dict[str, Any]]:
    """Entries in order, up to a step or a whole group; `data` is everything that no training made."""
    if upto is None:
        return entries
    groups = ("raw", "canonical", "corpus") if upto == "data" else (upto,)
    ends = [e for e in entries if e["key"] == upto or (e["key"] in steps and steps[e["key"]].group in groups)]
    if not ends:
        raise StickgenError(f"--upto {upto}: not in this bundle; its stages are {', '.join(e['key'] for e in entries)}")
    wanted = {e["key"] for e in ends}
    by_key = {e["key"]: e for e in entries}
    queue = list(wanted)
    while queue:
        above = set(by_key[queue.pop()]["inputs"]) - wanted
        wanted |= above
        queue += above
    return [e for e in entries if e["key"] in wanted]


def _reproduced(total: int, in_place: int, settings: Settings) -> str:
    """What was made is reproduced; what was in place is only as it was published."""
    if not in_place:
        return "reproduced"
    empty = f"to make them again: STICKGEN_DATA=<an empty folder> DATA_ROOT={settings.places.raw}"
    if in_place == total:
        return f"nothing was reproduced: all {total} stages were in place before; {empty}"
    return f"reproduced: {total - in_place} of {total} stages; {in_place} were in place before and were not rebuilt; {empty}"


def _build(options: argparse.Namespace, keys: list[str], settings: Settings) -> tuple[set[str], str | None]:
    """Build exactly these, and say which were really made; a failure is told and compared like everything else."""
    import contextlib
    import io

    from stickgen_pipeline.commands.build import build

    asked = argparse.Namespace(
        profile=settings.profile, config_override=list(settings.overrides), selection=keys, only=True, json=True, verbose=options.verbose
    )
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = build(asked)
    rows = json.loads(said.getvalue())["steps"]
    made = {row["key"] for row in rows if row["result"] == "built"}
    if code == 0:
        return made, None
    bad = [row for row in rows if row["result"] in ("failed", "blocked")]
    note("\n".join(f"{row['result']}: {row['key']}: {row['says']}" for row in bad))
    return made, "; ".join(f"{row['key']}: {row['says']}" for row in bad)


def compare(folder: Path, entries: list[dict[str, Any]], steps: Steps, tolerance: float, made: Collection[str]) -> Iterator[Compared]:
    """Every stage against its record. What is not among `made` was in place before: its bytes are read before its digest counts."""
    for entry in entries:
        step = steps.get(entry["key"])
        manifest = find_manifest(step.folder) if step else None
        if step is None or manifest is None:
            why = "no such step in this graph" if step is None else "nothing was built"
            yield Compared(entry["key"], entry["digest"], "", "missing", why, False)
            continue
        new = step.key in made
        wrong = "" if new else _damage(step.folder, manifest)
        if wrong:
            yield Compared(entry["key"], entry["digest"], manifest.digest, "differs", f"in place, not rebuilt, damaged: {wrong}", new)
            continue
        verdict, how = _judged(folder, entry, step.folder, manifest, tolerance)
        read = "" if manifest.files else " (it lists no files: only its record was compared)"
        kept = "" if new else f"in place, not rebuilt{read}"
        yield Compared(entry["key"], entry["digest"], manifest.digest, verdict, "; ".join(filter(None, (kept, how))), new)


def _judged(folder: Path, entry: Mapping[str, Any], made: Path, manifest: Manifest, tolerance: float) -> tuple[Verdict, str]:
    if manifest.digest == entry["digest"]:
        return "equal", ""
    close, off = _closeness(folder, entry, made, tolerance)
    return "within tolerance" if close else "differs", "; ".join(filter(None, (off, _how(folder, entry, made))))


def _damage(artefact: Path, manifest: Manifest) -> str:
    """The first thing that is wrong with the bytes of an artefact, a corpus's shards among them."""
    wrong = altered(artefact, manifest)
    if wrong or STORE_NOTE not in manifest.notes:
        return wrong
    return next(iter(verify_folder(artefact)), "")


def _closeness(folder: Path, entry: Mapping[str, Any], made: Path, tolerance: float) -> tuple[bool, str]:
    """For numbers that hardware may move: relative difference of a checkpoint's losses, of a report's measures."""
    manifest = find_manifest(made)
    if manifest is None:
        return False, ""
    if entry["kind"] == "checkpoint":
        old, new = entry["manifest"]["counts"], manifest.counts
        pairs = {name: (float(value), float(new[name])) for name, value in old.items() if "loss" in name and name in new}
    elif entry["kind"] == "report" and (made / "report.json").exists():
        stored = folder / "reports" / f"{entry['digest'][:SHORT]}.json"
        if not stored.exists():
            return False, ""
        pairs = _measures(json.loads(stored.read_text(encoding="utf-8")), json.loads((made / "report.json").read_text(encoding="utf-8")))
    else:
        return False, ""
    if not pairs:
        return False, ""
    name, worst = max(((n, abs(a - b) / max(abs(a), abs(b), 1e-9)) for n, (a, b) in pairs.items()), key=lambda item: item[1])
    return worst <= tolerance, f"largest relative difference {worst:.2%} ({name}), tolerance {tolerance:.2%}"


def _measures(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    def model(report: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(row for row in report["content"]["rows"] if row["kind"] == "model")["measures"]
        return found

    ours, theirs = model(new), model(old)
    return {
        name: (float(value["value"]), float(ours[name]["value"]))
        for name, value in theirs.items()
        if value and value.get("value") is not None and ours.get(name) and ours[name].get("value") is not None
    }


def _how(folder: Path, entry: Mapping[str, Any], made: Path) -> str:
    """Where the difference begins: in the inputs, the first raw file, the first clip, or the recipe."""
    manifest = find_manifest(made)
    assert manifest is not None
    changed = [key for key, digest in entry["inputs"].items() if manifest.parents.get(key) != digest]
    if changed:
        return f"its input {changed[0]} differs"
    listed = folder / "raw_files" / f"{entry['digest'][:SHORT]}.json"
    if listed.exists() and (made / FILES).exists():
        ours = {name: row[2] for name, row in json.loads((made / FILES).read_text(encoding="utf-8")).items()}
        return _first(json.loads(listed.read_text(encoding="utf-8")), ours, "raw file")
    clips = folder / "clips" / f"{entry['digest'][:SHORT]}.tsv"
    if clips.exists():
        from stickgen_core.corpus import Corpus

        corpus = Corpus.open(made)
        recorded = dict(text.split("\t") for text in clips.read_text(encoding="utf-8").splitlines())
        return _first(recorded, dict(zip(corpus.ids, corpus.index["digest"].to_pylist(), strict=True)), "clip")
    if entry["manifest"]["recipe"] != manifest.recipe:
        return f"recipe {entry['manifest']['recipe'][:12]} recorded, {manifest.recipe[:12]} here: other code or configuration"
    return "same recipe and inputs: something outside the record decides (hardware, library)"


def _first(old: Mapping[str, str], new: Mapping[str, str], what: str) -> str:
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    changed = sorted(name for name in set(old) & set(new) if old[name] != new[name])
    parts = [
        f"{len(names)} {what}s {word} (first {names[0]})"
        for word, names in (("missing", gone), ("added", come), ("changed", changed))
        if names
    ]
    return ", ".join(parts) or f"the same {what}s with other annotations"
