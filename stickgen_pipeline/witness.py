"""Writes the history as artefacts are published, and reads it back together with what is in place."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.environment import capture
from stickgen_core.records.history import Entry, History, entry_of
from stickgen_core.records.lineage import Lineage
from stickgen_core.records.manifest import Manifest, find_manifest
from stickgen_core.settings import Settings
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.inventory import FILES
from stickgen_pipeline.resources import state_of
from stickgen_pipeline.steps import Receipt, Step, Witness


def history_of(settings: Settings) -> History:
    return History(settings.places.lineage)


def witness_of(settings: Settings) -> Witness:
    """Records each artefact with the configuration and the environment that it was made with."""
    history = history_of(settings)

    def saw(step: Step, manifest: Manifest, receipt: Receipt, cost: Mapping[str, Any]) -> None:
        if history.has(step.key, manifest.digest, receipt.recipe, receipt.inputs):
            return
        history.add(entry(step, manifest, receipt, cost, settings.profile), configuration(settings), _environment(settings.root))
        if manifest.kind == "inventory" and (step.folder / FILES).exists():
            listed = json.loads((step.folder / FILES).read_text(encoding="utf-8"))
            history.add_files(manifest.digest, {name: str(row[2]) for name, row in listed.items()})

    return saw


def entry(step: Step, manifest: Manifest, receipt: Receipt, cost: Mapping[str, Any], profile: str) -> Entry:
    made = {"at": str(manifest.made.get("at") or datetime.now(UTC).isoformat(timespec="seconds")), "profile": profile, **cost}
    return Entry(
        step.key,
        manifest.digest,
        manifest.kind,
        receipt.recipe,
        dict(receipt.inputs),
        manifest,
        belongs=shards_below(step.folder),
        made=made,
    )


def configuration(settings: Settings) -> dict[str, Any]:
    """Everything that was resolved: enough to ask for the same again, and to say whose data it was."""
    return {
        "profile": settings.profile,
        "overrides": list(settings.overrides),
        "config": settings.config.model_dump(mode="json"),
        "datasets": {name: spec.model_dump(mode="json") for name, spec in settings.registry.items()},
    }


@cache
def _environment(root: Path) -> dict[str, Any]:
    return capture(root)


def shards_below(folder: Path) -> tuple[str, ...]:
    """Shards that an artefact points to; nothing for what is not a corpus."""
    if not (folder / "index.parquet").exists():
        return ()
    from stickgen_core.corpus import Corpus
    from stickgen_core.corpus.upkeep import shards_of

    try:
        return tuple(sorted(shards_of(Corpus.open(folder).index)))
    except (MissingInput, Corrupt, KeyError):
        return ()


def lineage_of(settings: Settings) -> Lineage:
    """All that is known: the history, and over it what is in place now, whoever made it."""
    entries, current = list(history_of(settings).entries), {}
    for step in steps_of(settings).values():
        manifest = find_manifest(step.folder)
        if manifest is None:
            continue
        current[step.key] = manifest.digest
        receipt = Receipt.find(step, state_of(settings))
        known = [e for e in entries if e.name == (step.key, manifest.digest)]
        if receipt is not None and not any(e.recipe == receipt.recipe and e.inputs == receipt.inputs for e in known):
            entries.append(entry_of(manifest, receipt.recipe, receipt.inputs))
        elif known:  # the derivation that is in place is the one to show
            shown = next((e for e in known if receipt is not None and e.recipe == receipt.recipe and e.inputs == receipt.inputs), known[-1])
            entries.append(shown)
    return Lineage(entries, current)
