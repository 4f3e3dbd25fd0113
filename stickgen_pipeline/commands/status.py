"""`stickgen status` and `stickgen plan`: read manifests and receipts, touch nothing."""

import argparse

from stickgen_pipeline.commands.common import answer, duration, settings_of, size, table
from stickgen_pipeline.freshness import freshness, plan
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.resources import costs_of, state_of
from stickgen_pipeline.steps import bytes_of, chosen


def status(options: argparse.Namespace) -> int:
    """Every artefact: current, missing, or stale because of which input."""
    settings = settings_of(options)
    steps = steps_of(settings)
    states = freshness(steps, state_of(settings))
    found = [states[step.key] for step in chosen(steps, options.selection)]
    rows, values = [], []
    for one in found:
        held = bytes_of(one.step.folder) if one.manifest else 0
        rows.append(
            (one.step.key, one.state, size(held) if held else "", one.manifest.digest[:12] if one.manifest else "", _short(one.because))
        )
        values.append({"key": one.step.key, "group": one.step.group, "state": one.state, "because": list(one.because), "bytes": held,
                       "digest": one.manifest.digest if one.manifest else None, "path": str(one.step.folder)})  # fmt: skip
    count = {state: sum(one.state == state for one in found) for state in ("current", "stale", "missing")}
    summary = ", ".join(f"{number} {state}" for state, number in count.items() if number)
    return answer(options, {"profile": settings.profile, **count, "artefacts": values},
                  f"{table(('artefact', 'state', 'size', 'digest', 'because'), rows)}\n{summary} (profile {settings.profile})")  # fmt: skip


def plan_command(options: argparse.Namespace) -> int:
    """The dry run of `build`."""
    settings = settings_of(options)
    steps = steps_of(settings)
    planned = plan(steps, chosen(steps, options.selection), state_of(settings), costs_of(settings).read())
    todo = [one for one in planned if one.action != "reuse"]
    rows = [(p.step.key, p.action, duration(p.seconds) if p.seconds is not None else "not known", _short(p.because)) for p in todo]
    known = sum(p.seconds or 0.0 for p in todo)
    unknown = sum(p.seconds is None for p in todo)
    values = [{"key": p.step.key, "action": p.action, "because": list(p.because), "seconds": p.seconds} for p in planned]
    text = f"nothing to build: all {len(planned)} are current" if not todo else (
        f"{table(('artefact', 'action', 'last time', 'because'), rows)}\n{len(todo)} of {len(planned)} to build, at most {duration(known)}"
        + (f" plus {unknown} never timed here" if unknown else "")
    )  # fmt: skip
    return answer(options, {"profile": settings.profile, "steps": values, "seconds": known, "not_timed": unknown}, text)


def _short(because: tuple[str, ...]) -> str:
    """The first reasons; --json has all."""
    more = f"; and {len(because) - 3} more" if len(because) > 3 else ""
    return "; ".join(because[:3]) + more
