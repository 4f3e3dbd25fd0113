"""A data root of the `test` profile, built in this process: what a build does, without the orchestrator."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from stickgen_core.settings import Settings
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import resolve
from stickgen_pipeline.resources import costs_of, state_of
from stickgen_pipeline.steps import Outcome, in_order, perform
from stickgen_pipeline.witness import witness_of

ROOT = Path(__file__).parents[2]
DATA = ("raw/", "canonical/", "corpus/merged", "corpus/curated", "corpus/embedded")
CLIPS = 56


def quiet(label: str, done: int, total: int) -> None:
    pass


@dataclass
class Root:
    """A data root of the `test` profile with few clips; `build` is what a build does, without the orchestrator."""

    folder: Path
    raw: Path

    def settings(self, *overrides: str) -> Settings:
        found = resolve("test", ROOT, (f"datasets.synthetic.options.clips={CLIPS}", *overrides))
        places = type(found.places).below(ROOT, "test", data=self.folder, raw=self.raw)
        return replace(found, places=places)

    def build(self, *overrides: str, only: Iterable[str] = DATA) -> dict[str, Outcome]:
        settings = self.settings(*overrides)
        steps, saw, done = steps_of(settings), witness_of(settings), {}
        for step in in_order(steps):
            if step.key.startswith(tuple(only)):
                done[step.key] = perform(step, steps, state_of(settings), quiet, witness=saw)
                costs_of(settings).add(step.key, done[step.key].seconds)
        return done
