"""Stale, and why: each artefact's state, the input that made it stale, and what a rebuild would touch, take and write."""

from collections.abc import Mapping
from dataclasses import dataclass

from stickgen_core.settings import Settings
from stickgen_pipeline.freshness import Freshness, freshness
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.resources import costs_of, state_of
from stickgen_pipeline.steps import Steps, bytes_of, downstream, upstream


@dataclass(frozen=True)
class Standing:
    """One artefact as a person wants to know it.

    touches   steps that building this and all that needs it may run: itself, inputs that are not current, what is downstream
    hours     what those took when they were last made here; None where one of them was never timed
    bytes     what they hold now and would write again
    """

    now: Freshness
    held: int
    touches: tuple[str, ...]
    hours: float | None
    bytes: int


def standings(settings: Settings, steps: Steps | None = None) -> dict[str, Standing]:
    """Every artefact, in graph order."""
    steps = steps or steps_of(settings)
    states = freshness(steps, state_of(settings))
    held = {key: bytes_of(found.step.folder) if found.manifest else 0 for key, found in states.items()}
    seconds = costs_of(settings).read()
    return {key: _standing(key, states, steps, held, seconds) for key in states}


def _standing(key: str, states: Mapping[str, Freshness], steps: Steps, held: Mapping[str, int], seconds: Mapping[str, float]) -> Standing:
    now = states[key]
    if now.state == "current":
        return Standing(now, held[key], (), 0.0, 0)
    above = {name for name in upstream(steps, [key]) if states[name].state != "current"}
    reached = above | {key} | downstream(steps, [key])
    touches = tuple(name for name in states if name in reached)
    known = all(name in seconds for name in touches)
    hours = sum(seconds.get(name, 0.0) for name in touches) / 3600 if known else None
    return Standing(now, held[key], touches, hours, sum(held[name] for name in touches))
