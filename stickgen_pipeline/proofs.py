"""Can an artefact be made again? Argued from records: its recipe is asked for again, its inputs can be made again, its raw files lie there."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from stickgen_core.errors import StickgenError
from stickgen_core.records.collection import Proof
from stickgen_core.records.history import Entry
from stickgen_core.records.lineage import Lineage, Name
from stickgen_core.records.manifest import find_manifest
from stickgen_core.settings import Config, Settings
from stickgen_core.sources.registry import SourceSpec
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.inventory import gone, state_of
from stickgen_pipeline.steps import Steps
from stickgen_pipeline.witness import history_of, lineage_of


def settings_as(settings: Settings, stored: Mapping[str, Any]) -> Settings:
    """The settings that an entry of the history was made with, on the folders and the code of now."""
    config = Config.model_validate(stored["config"])
    found = Settings(stored["profile"], settings.root, config, settings.places, tuple(stored["overrides"]))
    found.__dict__["registry"] = {name: SourceSpec.model_validate(spec) for name, spec in stored["datasets"].items()}
    return found


class Prover:
    """Proofs over one state of the disk; what was argued once is remembered.

    Sound whatever is removed beside it: an argument ends only at raw files, which are never removed here.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._lineage: Lineage = lineage_of(settings)
        self._history = history_of(settings)
        self._graphs: dict[str, Steps] = {}
        self._known: dict[Name, Proof] = {}

    @cached_property
    def _now(self) -> Steps:
        return steps_of(self._settings)

    def __call__(self, name: Name) -> Proof:
        if name not in self._known:
            self._known[name] = Proof(False, (f"{name[0]}: its lineage is a circle",))
            self._known[name] = self._argue(name)
        return self._known[name]

    def _argue(self, name: Name) -> Proof:
        entries = [e for e in self._history.of(*name)] or [e for e in (self._lineage.nodes.get(name),) if e is not None]
        if not entries:
            return Proof(False, (f"{name[0]}@{name[1][:12]}: no record of how it was made",))
        failed: list[str] = []
        for entry in entries:
            found = self._by(entry)
            if found.holds:
                return found
            failed += found.lines
        return Proof(False, tuple(failed))

    def _by(self, entry: Entry) -> Proof:
        label = f"{entry.key}@{entry.digest[:12]}"
        if entry.kind == "inventory":
            return self._raw(entry, label)
        how = self._asked_again(entry)
        if not how:
            return Proof(
                False,
                (f"{label}: neither this code with its configuration of now nor with the recorded one gives recipe {entry.recipe[:12]}",),
            )
        lines = [f"{label}: {how}"]
        for parent in sorted(entry.inputs.items()):
            found = self(parent)
            if not found.holds:
                return Proof(False, (f"{label}: needs {parent[0]}@{parent[1][:12]}", *found.lines))
            lines += found.lines
        return Proof(True, tuple(dict.fromkeys(lines)))

    def _raw(self, entry: Entry, label: str) -> Proof:
        manifest, name = find_manifest(self._settings.places.inventory(entry.key.partition("/")[2])), entry.key.partition("/")[2]
        state = state_of(entry.manifest)
        if state != "present":
            how = self._asked_again(entry)
            return Proof(bool(how), (f"{label}: {state}; {how or 'recorded options are not those of any configuration here'}",))
        raw, folder = self._settings.places.raw_of(name), self._settings.places.inventory(name)
        lost = gone(raw, folder)
        if manifest is None or manifest.digest != entry.digest or lost:
            what = f"{len(lost)} of its files are gone" if lost else "the raw folder holds other files now"
            return Proof(False, (f"{label}: {what} ({raw})",))
        return Proof(True, (f"{label}: {manifest.counts['files']} raw files lie in {raw} as recorded",))

    def _asked_again(self, entry: Entry) -> str:
        """How the graph can be brought to ask for this recipe; "" if it cannot."""
        if self._recipe(self._now, entry.key) == entry.recipe:
            return f"`stickgen build {entry.key}` asks for recipe {entry.recipe[:12]}"
        stored = self._history.configuration(entry.configuration)
        if stored is None:
            return ""
        if entry.configuration not in self._graphs:
            try:
                self._graphs[entry.configuration] = steps_of(settings_as(self._settings, stored))
            except (StickgenError, ValueError, KeyError):
                self._graphs[entry.configuration] = {}
        if self._recipe(self._graphs[entry.configuration], entry.key) == entry.recipe:
            return f"the recorded configuration {entry.configuration[:12]} asks for recipe {entry.recipe[:12]}"
        return ""

    @staticmethod
    def _recipe(steps: Steps, key: str) -> str:
        try:
            return steps[key].recipe() if key in steps else ""
        except StickgenError:
            return ""
