"""Tells a Dagster instance what it did not see: artefacts that another process made, or that a lost database forgot."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from stickgen_core.records.history import Entry
from stickgen_core.settings import Settings
from stickgen_pipeline.assets.factory import check_result, metadata_of, plain
from stickgen_pipeline.steps import Outcome, Step, Steps

DATA_VERSION, CODE_VERSION, GIVEN = "dagster/data_version", "dagster/code_version", "dagster/data_version_is_user_provided"
INPUT_VERSION = "dagster/input_data_version/"


def key_of(name: str) -> dg.AssetKey:
    return dg.AssetKey(name.split("/"))


def version_known(instance: dg.DagsterInstance, key: str) -> str | None:
    """The data version that the instance believes is in place."""
    event = instance.get_latest_materialization_event(key_of(key))
    found = event.asset_materialization if event else None
    return found.tags.get(DATA_VERSION) if found and found.tags else None


def report_current(instance: dg.DagsterInstance, step: Step, outcome: Outcome, settings: Settings, because: str) -> bool:
    """Report an artefact that is in place, with everything its page shows, unless the instance knows that version already."""
    if version_known(instance, step.key) == outcome.manifest.digest:
        return False
    metadata = {**metadata_of(step, outcome, settings), "reported": dg.MetadataValue.text(because)}
    inputs = dict(outcome.manifest.parents)
    instance.report_runless_asset_event(_event(step.key, outcome.manifest.digest, step.version[:16], inputs, metadata))
    for check, verdict in outcome.verdicts:
        found = check_result(step, check, verdict)
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=key_of(step.key),
                check_name=check.name,
                passed=verdict.passed,
                severity=found.severity,
                description=found.description,
                metadata=dict(found.metadata),
                blocking=check.stops,
            )
        )
    return True


def report_history(instance: dg.DagsterInstance, entries: Iterable[Entry], steps: Steps) -> int:
    """Every version that was ever published, oldest first, unless the instance has it; returns how many were new to it."""
    known: dict[str, set[str]] = {}
    count = 0
    for entry in entries:
        if entry.key not in steps:
            continue
        have = known.setdefault(entry.key, _versions(instance, entry.key))
        if entry.digest in have:
            continue
        have.add(entry.digest)
        said: dict[str, Any] = {
            "digest": entry.digest, "recipe": entry.recipe, "path": dg.MetadataValue.path(str(steps[entry.key].folder)),
            "made": dg.MetadataValue.json(dict(entry.made)), "reported": "from the history", **{n: plain(v) for n, v in entry.manifest.counts.items()},
        }  # fmt: skip
        instance.report_runless_asset_event(_event(entry.key, entry.digest, entry.recipe[:16], dict(entry.inputs), said))
        count += 1
    return count


def _versions(instance: dg.DagsterInstance, key: str) -> set[str]:
    records = instance.fetch_materializations(key_of(key), limit=1000).records
    events = [record.asset_materialization for record in records]
    return {event.tags[DATA_VERSION] for event in events if event is not None and event.tags and DATA_VERSION in event.tags}


def _event(key: str, digest: str, code: str, inputs: dict[str, str], metadata: dict[str, Any]) -> dg.AssetMaterialization:
    tags = {DATA_VERSION: digest, CODE_VERSION: code, GIVEN: "true", **{f"{INPUT_VERSION}{name}": found for name, found in inputs.items()}}
    return dg.AssetMaterialization(asset_key=key_of(key), metadata=metadata, tags=tags)
