"""`stickgen trace` and `stickgen lineage rebuild`: from any number back to raw bytes, and from manifests back to the UI's history."""

import argparse
import json
from pathlib import Path
from typing import Any

from stickgen_core.errors import StickgenError
from stickgen_core.records.history import Entry
from stickgen_core.records.lineage import Walk, as_json, tree
from stickgen_core.records.lineage_figure import lineage_svg
from stickgen_core.records.publish import publish_text
from stickgen_core.settings import Settings
from stickgen_pipeline.cells import cell_of
from stickgen_pipeline.commands.common import answer, settings_of
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.witness import history_of, lineage_of


def trace(options: argparse.Namespace) -> int:
    """An artefact, a checkpoint or `REPORT#ROW/MEASURE`: everything it was made from; exit code 1 if a link is missing."""
    settings = settings_of(options)
    lineage = lineage_of(settings)
    name, _, address = options.artefact.partition("#")
    root = lineage.find(as_key(name))
    head, said = "", {}
    if address:
        cell = cell_of(settings, root.key, steps_of(settings)[root.key].folder, address)
        said = {"row": cell.row, "measure": cell.measure, **cell.found, "file": str(cell.file)}
        head = f"{cell.row} / {cell.measure} = {_value(cell.found)}\nstands in {cell.file}\nmeasured by\n"
        if cell.source != root.key:
            root = lineage.find(f"{cell.source}@{root.inputs[cell.source]}")
    walk = lineage.walk(root)
    if options.output:
        _write(Path(options.output), walk, said)
        return answer(options, {"path": options.output, "whole": walk.whole}, str(options.output)) or (0 if walk.whole else 1)
    text = tree(walk, says, is_absent)
    if options.files:
        text += "\n" + raw_files(settings, walk)
    lost = "".join(f"\nno record of {m.key}@{m.digest[:12]}, needed by {m.needed_by}" for m in walk.missing)
    answer(options, {**({"cell": said} if said else {}), **as_json(walk)}, f"{head}{text}\n{summary(walk)}{lost}")
    return 0 if walk.whole else 1


def as_key(name: str) -> str:
    """`small_sft` means the checkpoint."""
    first = name.partition("@")[0]
    variant, _, stage = first.partition("_")
    return f"checkpoint/{name}" if variant in ("small", "medium", "large") and stage in ("pretrain", "sft", "lora") else name


def _write(path: Path, walk: Walk, cell: dict[str, Any]) -> None:
    if path.suffix == ".svg":
        publish_text(path, lineage_svg(walk, {entry.name for entry in walk.entries if is_absent(entry)}))
    elif path.suffix == ".json":
        publish_text(path, json.dumps({**({"cell": cell} if cell else {}), **as_json(walk)}, indent=1, ensure_ascii=False) + "\n")
    elif path.suffix in (".txt", ".md"):
        publish_text(path, tree(walk, says, is_absent) + "\n")
    else:
        raise StickgenError(f"{path}: expected a name that ends in .svg, .json or .txt")


def is_absent(entry: Entry) -> bool:
    """A data set that was not there: its inventory, or its corpus of no clips."""
    notes = entry.manifest.notes
    return notes.get("state") == "absent" or (bool(notes.get("absent")) and not entry.manifest.counts.get("clips"))


def says(entry: Entry) -> str:
    counts = entry.manifest.counts
    said = [f"{counts[unit]:,} {unit}" for unit in ("clips", "files", "steps") if counts.get(unit)]
    made = entry.made
    took = f"{made['seconds']:g} s" if made.get("seconds") else ""
    return ", ".join(filter(None, (*said, f"recipe {entry.recipe[:8]}", str(made.get("at", ""))[:19], took)))


def _value(found: Any) -> str:
    value = found.get("value")
    between = f" [{found['low']:.4g}, {found['high']:.4g}]" if found.get("low") is not None else ""
    over = f", N = {found['n']} {found.get('over', '')}".rstrip() if found.get("n") else ""
    return ("not computed" if value is None else f"{value:.6g}") + between + over


def raw_files(settings: Settings, walk: Walk) -> str:
    """Every raw file of the walk with its hash, as `sha256sum -c` reads it."""
    lines = []
    for leaf in walk.leaves():
        listed = history_of(settings).files(leaf.digest)
        lines += [f"{digest}  {leaf.key.partition('/')[2]}/{name}" for name, digest in sorted((listed or {}).items())]
    return "\n".join(lines)


def summary(walk: Walk) -> str:
    leaves = [leaf for leaf in walk.leaves() if not is_absent(leaf)]
    files = sum(int(leaf.manifest.counts.get("files", 0)) for leaf in leaves)
    chain = "every link holds" if walk.whole else f"{len(walk.missing)} links are missing"
    return f"{len(walk.entries)} artefacts back to {files:,} raw files of {len(leaves)} data sets; {chain}"


def rebuild(options: argparse.Namespace) -> int:
    """Tell the instance that the UI reads what manifests and history say was published; the database may be new and empty."""
    from stickgen_pipeline.commands.build import Tally, instance, reuse
    from stickgen_pipeline.reporting import report_current, report_history

    settings = settings_of(options)
    steps = steps_of(settings)
    with instance(settings) as home:
        past = report_history(home, history_of(settings).entries, steps)
        tally = Tally(list(steps.values()))
        found = [step.key for step in steps.values() if reuse(step, tally, settings)]
        now = sum(report_current(home, steps[key], tally.done[key], settings, "rebuilt from manifests") for key in found)
    values = {"artefacts": len(found), "versions_reported": past, "current_reported": now}
    return answer(
        options, values, f"{len(found)} artefacts in place; {past} versions of the history and {now} current ones were new to the database"
    )
