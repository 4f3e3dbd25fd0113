"""Is an artefact current, and if not, because of what: answered from manifests alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.manifest import Manifest, find_manifest, read_manifest
from stickgen_pipeline import gates
from stickgen_pipeline.steps import Receipt, Step, Steps, in_order, place_of

State = Literal["current", "stale", "missing"]


@dataclass(frozen=True)
class Freshness:
    """The state of one artefact; `because` names each reason in words."""

    step: Step
    state: State
    because: tuple[str, ...]
    manifest: Manifest | None


def freshness(steps: Steps, state: Path) -> dict[str, Freshness]:
    """Every step's state, in graph order; `state` is the folder of receipts."""
    found: dict[str, Freshness] = {}
    for step in in_order(steps):
        found[step.key] = _one(step, found, state)
    return found


def _one(step: Step, above: dict[str, Freshness], state: Path) -> Freshness:
    manifest, receipt = find_manifest(step.folder), Receipt.find(step, state)
    if manifest is None or receipt is None:
        return Freshness(step, "missing", (_why_missing(step), *_gate_reasons(step, state)), None)
    reasons = [*_own_reasons(step, receipt), *_gate_reasons(step, state)]
    for parent in step.parents:
        parent_now = above[parent]
        if parent_now.manifest is None:
            reasons.append(f"input {parent} is missing")
        elif receipt.inputs.get(parent) != parent_now.manifest.digest:
            reasons.append(f"input {parent} changed" if parent in receipt.inputs else f"input {parent} is new")
        elif parent_now.state != "current":
            reasons.append(f"input {parent} is {parent_now.state}")
    reasons.extend(f"input {parent} is gone" for parent in receipt.inputs if parent not in step.parents)
    return Freshness(step, "stale" if reasons else "current", tuple(reasons), manifest)


def _why_missing(step: Step) -> str:
    try:
        read_manifest(step.folder)
    except (MissingInput, Corrupt) as error:
        return "never built here" if isinstance(error, MissingInput) and not step.folder.exists() else str(error)
    return "not readable a moment ago"


def _own_reasons(step: Step, receipt: Receipt) -> Iterable[str]:
    try:
        recipe = step.recipe()
    except StickgenError as error:
        yield str(error)
        return
    if receipt.recipe != recipe:
        yield "files changed" if step.observe is not None else "code or configuration changed"


def _gate_reasons(step: Step, state: Path) -> Iterable[str]:
    refused = gates.refusal(place_of(step, state))
    if refused:
        yield f"the last attempt was refused by {'; '.join(refused['reasons'])}"
    elif gates.unproven(step.folder, place_of(step, state)):
        yield "made, but killed before its gates were passed"


@dataclass(frozen=True)
class Planned:
    """What a build would do with a step; `seconds` is what it took last time, None where that is not known."""

    step: Step
    action: Literal["build", "maybe", "reuse"]
    because: tuple[str, ...]
    seconds: float | None


def plan(steps: Steps, wanted: Iterable[Step], state: Path, costs: dict[str, float]) -> list[Planned]:
    """The dry run of a build. `maybe`: an input will be rebuilt and may come out the same, then the step is reused."""
    states, planned = freshness(steps, state), []
    for step in wanted:
        now = states[step.key]
        sure = now.state == "missing" or any(not why.endswith((" is stale", " is missing")) for why in now.because)
        action: Literal["build", "maybe", "reuse"] = "reuse" if now.state == "current" else "build" if sure else "maybe"
        planned.append(Planned(step, action, now.because, costs.get(step.key)))
    return planned
