"""`stickgen status` and `stickgen plan`: read manifests and receipts, touch nothing."""

import argparse

from stickgen_pipeline import needs
from stickgen_pipeline.commands.common import answer, duration, settings_of, size, table
from stickgen_pipeline.freshness import plan
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.resources import costs_of, state_of
from stickgen_pipeline.staleness import Standing, standings
from stickgen_pipeline.steps import bytes_of, chosen


def status(options: argparse.Namespace) -> int:
    """Every artefact: current, missing, or stale because of which input; what building it would touch, take and write."""
    settings = settings_of(options)
    steps = steps_of(settings)
    all_of_them = standings(settings, steps)
    found = [all_of_them[step.key] for step in chosen(steps, options.selection)]
    rows = [_row(one) for one in found]
    values = [{"key": one.now.step.key, "group": one.now.step.group, "state": one.now.state, "because": list(one.now.because), "bytes": one.held,
               "digest": one.now.manifest.digest if one.now.manifest else None, "path": str(one.now.step.folder), "touches": list(one.touches),
               "rebuild_hours": one.hours, "rebuild_bytes": one.bytes} for one in found]  # fmt: skip
    count = {state: sum(one.now.state == state for one in found) for state in ("current", "stale", "missing")}
    summary = ", ".join(f"{number} {state}" for state, number in count.items() if number)
    text = table(("artefact", "state", "size", "digest", "rebuild touches", "takes", "writes", "because"), rows)
    return answer(options, {"profile": settings.profile, **count, "artefacts": values}, f"{text}\n{summary} (profile {settings.profile})")


def _row(one: Standing) -> tuple[str, ...]:
    takes = "" if one.now.state == "current" else "not known" if one.hours is None else duration(one.hours * 3600)
    return (
        one.now.step.key, one.now.state, size(one.held) if one.held else "", one.now.manifest.digest[:12] if one.now.manifest else "",
        str(len(one.touches) or ""), takes, size(one.bytes) if one.bytes else "", _short(one.now.because),
    )  # fmt: skip


def plan_command(options: argparse.Namespace) -> int:
    """The dry run of `build`: steps, hours, bytes, and whether this machine has room for them."""
    settings = settings_of(options)
    steps = steps_of(settings)
    planned = plan(steps, chosen(steps, options.selection), state_of(settings), costs_of(settings).read())
    todo = [one for one in planned if one.action != "reuse"]
    held = {one.step.key: bytes_of(one.step.folder) if one.step.folder.exists() else 0 for one in planned}
    rows = [(p.step.key, p.action, duration(p.seconds) if p.seconds is not None else "not known", size(held[p.step.key]) if held[p.step.key] else "",
             _short(p.because)) for p in todo]  # fmt: skip
    known = sum(p.seconds or 0.0 for p in todo)
    unknown = sum(p.seconds is None for p in todo)
    room = list(needs.findings(settings, [p.step.key for p in todo])) if todo else []
    hours, usd = needs.cost_of(settings, [p.step.key for p in todo])
    values = [
        {"key": p.step.key, "action": p.action, "because": list(p.because), "seconds": p.seconds, "bytes_now": held[p.step.key]}
        for p in planned
    ]
    text = f"nothing to build: all {len(planned)} are current"
    if todo:
        lines = [
            table(("artefact", "action", "last time", "size now", "because"), rows),
            f"{len(todo)} of {len(planned)} to build, at most {duration(known)} and {size(sum(held[p.step.key] for p in todo))}"
            + (f" plus {unknown} never timed here" if unknown else ""),
        ]
        if hours or usd:
            lines.append(
                f"the tables of needs name {hours:g} h" + (f" and ${usd:.2f} (documented, data preparation included)" if usd else "")
            )
        lines += [f"{found.state}: {found.name}: {found.says}" for found in room]
        text = "\n".join(lines)
    answer(options, {"profile": settings.profile, "steps": values, "seconds": known, "not_timed": unknown, "table_hours": hours, "table_usd": usd,
                     "machine": [{"check": f.name, "state": f.state, "says": f.says} for f in room]}, text)  # fmt: skip
    return 1 if any(found.state == "failed" for found in room) else 0


def _short(because: tuple[str, ...]) -> str:
    """The first reasons; --json has all."""
    more = f"; and {len(because) - 3} more" if len(because) > 3 else ""
    return "; ".join(because[:3]) + more
