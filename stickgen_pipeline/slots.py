"""Slots of the instance's pools, held by a run for steps that its crew makes ahead of it: other runs wait as for any step."""

from collections.abc import Callable

import dagster as dg
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from stickgen_pipeline.steps import Step


class Slots:
    """What Dagster's own executor does around a step of a pool; whoever calls holds one lock around it.

    waits   told once of a step that finds every slot taken
    """

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun, waits: Callable[[Step], None]):
        self._context, self._waits = InstanceConcurrencyContext(instance, run), waits
        self._told: set[str] = set()

    def __enter__(self) -> "Slots":
        self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Withdraw what was asked for in vain."""
        self._context.__exit__(None, None, None)

    def claim(self, step: Step) -> bool:
        assert step.pool is not None
        if self._context.claim(step.pool, step_key(step)):
            return True
        if step.key not in self._told:
            self._told.add(step.key)
            self._waits(step)
        return False

    def free(self, step: Step) -> None:
        self._context.free_step(step_key(step))


def step_key(step: Step) -> str:
    """The name that Dagster gives the step of an asset."""
    return step.key.replace("/", "__")
