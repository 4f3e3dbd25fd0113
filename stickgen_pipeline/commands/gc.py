"""`stickgen gc` and `stickgen pin`: storage policy carried out, with the reason and the proof of each removal."""

import argparse
from collections.abc import Iterable
from typing import Any

from stickgen_core.records.collection import Decision, apply, by_class
from stickgen_core.records.pins import pin as keep
from stickgen_core.records.pins import pins, unpin
from stickgen_core.records.publish import exclusively
from stickgen_core.settings import Settings
from stickgen_pipeline.collecting import plan, policy_of
from stickgen_pipeline.commands.common import answer, note, settings_of, size, table
from stickgen_pipeline.commands.lineage import as_key
from stickgen_pipeline.witness import lineage_of


def gc(options: argparse.Namespace) -> int:
    """Print what would go and why; with --apply, let it go."""
    settings = settings_of(options)
    settings.places.data.mkdir(parents=True, exist_ok=True)
    # Nothing may be published while roots are marked: the lock is the builds' own.
    with exclusively(settings.places.data / ".build" / "lock"):
        decisions = plan(settings, policy_of(settings, options.classes, options.grace_h))
        expected, classes, counted = sum(d.bytes for d in decisions if d.remove), by_class(decisions), classes_table(decisions)
        freed = apply(decisions) if options.apply else 0
    going = [d for d in decisions if d.remove]
    values = {"classes": classes, "removes": len(going), "expected_bytes": expected, "freed_bytes": freed,
              "decisions": [_row(d) for d in decisions]}  # fmt: skip
    text = said(settings, decisions, options.proofs)
    done = (
        f"removed {len(going)} things, {size(freed)} freed"
        if options.apply
        else f"would remove {len(going)} things and free {size(expected)}; --apply does it"
    )
    if options.apply and freed != expected:
        note(f"notice: {size(expected)} were expected; something was linked or written meanwhile")
    return answer(options, values, f"{text}\n{counted}\n{done}")


def said(settings: Settings, decisions: Iterable[Decision], proofs: bool = False) -> str:
    """Roots, removals with their proofs, what is kept although nobody needs it, and bytes by class."""
    decisions = list(decisions)
    going = [d for d in decisions if d.remove]
    held = [d for d in decisions if not d.remove and not d.thing.roots]
    lines = [
        f"roots: what is in place, {len(pins(settings.places.pins))} pins"
        + "".join(f"\n  {p.name}: {p.because}" for p in pins(settings.places.pins))
    ]
    if going:
        lines.append(table(("goes", "class", "size", "because"), [(d.thing.name, d.thing.kind, size(d.bytes), d.because) for d in going]))
        steps = list(dict.fromkeys(line for d in going for line in d.proof.lines))
        shown = steps if proofs else [s for s in steps if ": absent" not in s]
        lines.append("proof that all of it can be made again:\n" + "\n".join(f"  {step}" for step in shown))
    if held:
        lines.append(table(("stays, although no root needs it", "size", "because"),
                           [(d.thing.name, size(d.bytes), "; ".join([d.because, *d.proof.lines[-1:]])) for d in held]))  # fmt: skip
    return "\n".join(lines)


def _row(d: Decision) -> dict[str, Any]:
    return {"thing": d.thing.name, "paths": [str(p) for p in d.thing.paths], "row": d.thing.row, "class": d.thing.kind, "bytes": d.bytes,
            "remove": d.remove, "because": d.because, "roots": list(d.thing.roots), "pins": list(d.thing.pins), "proof": list(d.proof.lines)}  # fmt: skip


def classes_table(decisions: Iterable[Decision]) -> str:
    rows = [(kind, r["things"], size(r["bytes"]), r["removed"], size(r["freed"])) for kind, r in sorted(by_class(decisions).items())]
    return table(("class", "things", "size", "would go", "would free"), rows)


def pin(options: argparse.Namespace) -> int:
    """Keep an artefact and what it was made from; without one, list what is pinned."""
    settings = settings_of(options)
    folder = settings.places.pins
    if options.remove:
        gone = unpin(folder, options.artefact or "")
        return answer(options, {"unpinned": gone.name}, f"{gone.name} is no longer pinned")
    if options.artefact:
        lineage = lineage_of(settings)
        made = keep(folder, lineage.walk(lineage.find(as_key(options.artefact))), options.because)
        return answer(
            options,
            {"pinned": made.name, "closure": dict(made.closure)},
            f"{made.name} and {len(made.closure) - 1} artefacts behind it are kept",
        )
    found = pins(folder)
    rows = [(p.name, p.because, len(p.closure)) for p in found]
    return answer(
        options,
        [{"name": p.name, "because": p.because} for p in found],
        table(("pin", "because", "artefacts"), rows) if rows else "nothing is pinned",
    )
