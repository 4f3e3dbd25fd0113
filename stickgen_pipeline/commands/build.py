"""`stickgen build`: the graph of the UI, run in this process against the same instance, with progress and a summary."""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stickgen_core.errors import StickgenError
from stickgen_core.records.manifest import read_manifest
from stickgen_core.records.publish import exclusively
from stickgen_core.settings import Settings
from stickgen_pipeline import gates
from stickgen_pipeline.burying import OWNER_TAG, bury_the_dead, own_mark
from stickgen_pipeline.commands.common import duration, settings_of, size, table
from stickgen_pipeline.compute.worker import STOPPED
from stickgen_pipeline.definitions import build_definitions
from stickgen_pipeline.freshness import plan
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.reporting import report_current
from stickgen_pipeline.resources import Watcher, costs_of, state_of
from stickgen_pipeline.slots import step_key
from stickgen_pipeline.steps import Outcome, Receipt, Step, Steps, bytes_of, chosen, place_of, upstream
from stickgen_pipeline.witness import witness_of


@dataclass
class Tally:
    """What became of each step."""

    wanted: list[Step]
    done: dict[str, Outcome] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[dict[str, Any]]:
        for step in self.wanted:
            outcome = self.done.get(step.key)
            row: dict[str, Any] = {"key": step.key, "result": "skipped", "seconds": None, "bytes": None, "says": ""}
            if outcome:
                row |= {"result": "reused" if outcome.reused else "built", "seconds": round(outcome.seconds, 2), "bytes": bytes_of(step.folder),
                        "digest": outcome.manifest.digest, "says": "; ".join(outcome.warnings)}  # fmt: skip
                if outcome.blocked_by:
                    row |= {"result": "blocked", "says": "; ".join(outcome.blocked_by)}
            if step.key in self.failed and row["result"] != "blocked":
                row |= {"result": "failed", "says": self.failed[step.key]}
            yield row


def build(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    steps = steps_of(settings)
    wanted = chosen(steps, options.selection)
    if options.selection and not options.only:
        wanted = with_data_inputs(steps, wanted, settings)
    tally, started = Tally(wanted), time.monotonic()
    console = Console(file=os.fdopen(os.dup(sys.stderr.fileno()), "w"))
    settings.places.data.mkdir(parents=True, exist_ok=True)
    with exclusively(settings.places.data / ".build" / "lock"), instance(settings) as home:
        bury_the_dead(home)
        planned = plan(steps, wanted, state_of(settings), costs_of(settings).read())
        todo = [p.step for p in planned if p.action != "reuse" or not reuse(p.step, tally, settings)]
        for key, outcome in tally.done.items():
            report_current(home, steps[key], outcome, settings, "in place before this build")
        with progress_bar(console, tally, planned, todo, options) as watcher:
            if todo:
                run(build_definitions(settings, watcher), home, tally, todo, options)
    return report(options, settings, tally, time.monotonic() - started)


def reuse(step: Step, tally: Tally, settings: Settings) -> bool:
    """Take a current artefact as it is, without an entry in the run; false if a gate or a damaged file wants a closer look."""
    state = state_of(settings)
    try:
        manifest = read_manifest(step.folder)
        verdicts = tuple((check, check.test(manifest, step.folder, False)) for check in step.checks)
    except (StickgenError, OSError):
        return False
    outcome = Outcome(manifest, True, 0.0, 0.0, verdicts)
    receipt = Receipt.find(step, state)
    if outcome.blocked_by or receipt is None or gates.unproven(step.folder, place_of(step, state)):
        return False
    witness_of(settings)(step, manifest, receipt, {})
    tally.done[step.key] = outcome
    return True


def with_data_inputs(steps: Steps, wanted: list[Step], settings: Settings) -> list[Step]:
    """The selection, with whatever it needs that is not current; checkpoints that are merely stale are left as they are."""
    keys = {step.key for step in wanted}
    needed = upstream(steps, keys)
    planned = {p.step.key: p for p in plan(steps, list(steps.values()), state_of(settings), {})}
    for key in needed:
        there = (steps[key].folder / "manifest.json").exists()
        if planned[key].action != "reuse" and (steps[key].automatic or not there):
            keys |= {key} | {parent for parent in upstream(steps, [key]) if planned[parent].action != "reuse" and steps[parent].automatic}
    return chosen(steps, sorted(keys))


@contextlib.contextmanager
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance that the UI reads: DAGSTER_HOME, by default dagster_home/ of the checkout."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(settings.root / "dagster_home"))).absolute()
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get() as found:
        yield found


def run(definitions: dg.Definitions, home: dg.DagsterInstance, tally: Tally, todo: list[Step], options: argparse.Namespace) -> None:
    """All steps that may have something to do in one run of the graph's own job, so that it shows in the UI like any other."""
    job = definitions.resolve_implicit_global_asset_job_def()
    loud = {} if options.verbose else {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(
        instance=home,
        asset_selection=[dg.AssetKey(step.key.split("/")) for step in todo],
        run_config={"loggers": loud.get("loggers", {})},
        # Whoever called it sees how it ended: the daemon is not to try it again.
        tags={OWNER_TAG: own_mark(), "stickgen/because": "stickgen build", "dagster/max_retries": "0"},
        raise_on_error=False,
    )
    for event in result.filter_events(lambda event: event.is_step_failure):
        key = next((step.key for step in tally.wanted if step_key(step) == event.step_key), event.step_key or "run")
        cause = _cause(event)
        # A step that the run only waited for when it was interrupted has said itself what became of it.
        if cause != STOPPED or key not in tally.failed:
            tally.failed[key] = cause
    if not result.success and not tally.failed and not any(outcome.blocked_by for outcome in tally.done.values()):
        tally.failed[todo[0].key] = "the run failed before its first step; run with -v for the log"


def _cause(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    lines = str(error.message).strip().splitlines() if error is not None else []
    if any("DagsterExecutionInterruptedError" in line for line in lines):
        return STOPPED
    return _last(lines, "the whole traceback is in the run's log in the UI, or with -v")


def _last(lines: list[str], where: str) -> str:
    if len(lines) > 1:
        return f"{lines[-1]} ({where})"
    return lines[0] if lines else "failed without a message"


@contextlib.contextmanager
def progress_bar(console: Console, tally: Tally, planned: list[Any], todo: list[Step], options: argparse.Namespace) -> Iterator[Watcher]:
    """A bar with the time left where there is a terminal; one line a finished step in a log; nothing with --json."""
    last_time = {p.step.key: p.seconds or 1.0 for p in planned if p.action != "reuse"}
    silent, live = options.json, console.is_terminal and not options.json
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"), TimeElapsedColumn(),
                   TextColumn("{task.fields[left]}"), console=console, transient=True, disable=not live)  # fmt: skip
    task = bar.add_task("build", total=len(tally.wanted), what="", left="")
    running: dict[str, float] = {}

    def left() -> str:
        rest = sum(seconds * (1 - running.get(key, 0.0)) for key, seconds in last_time.items() if key not in tally.done)
        return f"about {duration(rest / max(1, len(running)))} left" if rest else ""

    def show(what: str) -> None:
        bar.update(task, description=", ".join(list(running)) or "build", completed=len(tally.done) + sum(list(running.values())),
                   what=what, left=left())  # fmt: skip

    def progress_of(step: Step) -> Any:
        running[step.key] = 0.0
        show("")

        def progress(label: str, done: int, total: int) -> None:
            running[step.key] = done / total if total else 0.0
            show(f"{label} {done}/{total}")

        return progress

    def finished(step: Step, outcome: Outcome) -> None:
        tally.done[step.key] = outcome
        running.pop(step.key, None)
        show("")
        if not silent and not outcome.reused and not is_absent(outcome):
            console.print(f"  built {step.key} in {duration(outcome.seconds)}", highlight=False)

    def failed(step: Step, error: BaseException) -> None:
        """Also of a step that the run has not come to yet, and perhaps never will."""
        running.pop(step.key, None)
        show("")
        if not isinstance(error, Exception):  # an interruption: the run says so
            return
        tally.failed[step.key] = _last(str(error).strip().splitlines(), "the whole traceback comes with -v")
        if options.verbose:
            console.print(str(error), highlight=False, markup=False)
        if not silent:
            console.print(f"  not built: {step.key}: {tally.failed[step.key].removeprefix(f'{step.key}: ')}", highlight=False)

    def waits(step: Step) -> None:
        if not silent:
            console.print(f"  {step.key} waits: another run holds the pool {step.pool!r}", highlight=False)

    with bar:
        yield Watcher(progress_of, finished, failed, waits, todo)


def report(options: argparse.Namespace, settings: Settings, tally: Tally, seconds: float) -> int:
    rows = list(tally.rows())
    count = {result: sum(row["result"] == result for row in rows) for result in ("built", "reused", "blocked", "failed", "skipped")}
    bad = [row for row in rows if row["result"] in ("failed", "blocked")]
    if options.json:
        print(json.dumps({"profile": settings.profile, "seconds": round(seconds, 2), **count, "steps": rows}, ensure_ascii=False, indent=1))
        return 1 if bad else 0
    absent = {key for key, outcome in tally.done.items() if is_absent(outcome)}
    shown = [row for row in rows if row["result"] != "reused" and row["key"] not in absent]
    if shown:
        print(table(("artefact", "result", "time", "size", ""), [
            (r["key"], r["result"], duration(r["seconds"]) if r["seconds"] is not None else "", size(r["bytes"]) if r["bytes"] else "",
             _first(r["says"]) if r["result"] in ("built", "reused") else "") for r in shown]))  # fmt: skip
    print(
        ", ".join(f"{number} {result}" for result, number in count.items() if number)
        + f" in {duration(seconds)} (profile {settings.profile})"
    )
    names = sorted({key.partition("/")[2] for key in absent if key.startswith("raw/")})
    if names:
        print(f"{len(names)} data sets are not on this machine ({', '.join(names)}); `stickgen datasets` says where to get them")
    for row in bad:
        print(f"{row['result']}: {row['key']}: {row['says'].removeprefix(row['key'] + ': ')}", file=sys.stderr)
    page = settings.places.report("release") / "index.html"
    if not bad and page.exists():
        print(f"report: {page}\nUI:     make ui, then http://127.0.0.1:3000")
    return 1 if bad else 0


def is_absent(outcome: Outcome) -> bool:
    """A data set that was never there: its inventory, or its corpus of no clips."""
    notes = outcome.manifest.notes
    return notes.get("state") == "absent" or bool(notes.get("absent"))


def _first(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."
