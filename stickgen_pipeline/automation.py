"""When things happen by themselves: the rebuild rule, the sensors, the schedules and the jobs.

The rule follows content, not runs: an input that was rebuilt into the same bytes moves nothing. It is not `eager()`, which
looks at runs and forgets an update that arrives while the step runs.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import find_manifest
from stickgen_pipeline.steps import Step, Steps

if TYPE_CHECKING:
    from stickgen_core.settings import Settings

C = dg.AutomationCondition

DATA_GROUPS = ("raw", "canonical", "corpus")
NO_INVENTORY = "no inventory"
BECAUSE, RAW_CHANGED = "stickgen/because", "raw files changed"
MOST_TRIES = 3

_new_content = (
    C.missing().newly_true() | C.code_version_changed() | C.any_deps_match(C.data_version_changed()).with_label("any_deps_content_changed")
)
# Reset on a request alone: resetting on completion too would lose what changed while the step was running. And not in a tick
# that brings new content itself: what changed between the request and this tick may be newer than what the run has read.
on_new_content = (
    _new_content.since(C.newly_requested() & ~_new_content)
    & ~C.any_deps_missing()
    & ~C.any_deps_in_progress()
    & ~C.in_progress()
    & C.all_deps_blocking_checks_passed()
).with_label("on_new_content")


def rebuild_sensor(interval_s: int) -> dg.AutomationConditionSensorDefinition:
    """Asks every `interval_s` seconds whether an input's content changed; the model groups are never in its reach."""
    return dg.AutomationConditionSensorDefinition(
        "rebuild_data",
        target=dg.AssetSelection.groups(*DATA_GROUPS),
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Rebuilds canonical corpora, the merge, curation and text vectors when an input's content changes. Never trains.",
    )


def raw_sensor(steps: Steps, interval_s: int) -> dg.SensorDefinition:
    """Looks at names, sizes and times of raw files only; the inventory asset reads the bytes."""
    watched = {key: step for key, step in steps.items() if step.group == "raw" and step.observe is not None}

    @dg.sensor(
        name="raw_files_changed",
        target=dg.AssetSelection.assets(*[key.split("/") for key in watched]),
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Takes a new inventory of a data set whose folder changed.",
    )
    def raw_files_changed(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        cursor = json.loads(context.cursor) if context.cursor else {}
        known: Mapping[str, str] = cursor.get("seen", {})
        now = {key: _signature(step) for key, step in watched.items()}
        changed = [key for key, step in watched.items() if known.get(key) != now[key] and not _just_taken(step, known.get(key))]
        tries = {key: n for key, n in cursor.get("tries", {}).items() if key not in changed and not _taken(watched[key])}
        # A run that failed or was killed is asked for again, a few times: the files may be as they were, the inventory is not of them.
        again = [key for key in tries if tries[key] < MOST_TRIES and not changed and not _going(context.instance)]
        asked = [*changed, *again]
        tries |= {key: tries.get(key, 0) + 1 for key in asked}
        requests = cursor.get("requests", 0) + bool(asked)
        context.update_cursor(json.dumps({"seen": now, "requests": requests, "tries": tries}))
        if not asked:
            yield dg.SkipReason(f"nothing changed in {len(watched)} folders")
            return
        yield dg.RunRequest(
            # Numbered: a disk that goes and comes and goes again is in a state that was asked for before.
            run_key=digest_json([asked, now, requests])[:16],
            asset_selection=[dg.AssetKey(key.split("/")) for key in asked],
            tags={BECAUSE: RAW_CHANGED},
        )

    return raw_files_changed


def _signature(step: Step) -> str:
    """Files by name, size and time. An inventory that a person had forgotten (`stickgen datasets remove`) is a change although no file moved."""
    return step.recipe() if find_manifest(step.folder) is not None else NO_INVENTORY


def _taken(step: Step) -> bool:
    """The inventory is of these files."""
    manifest = find_manifest(step.folder)
    return manifest is not None and manifest.recipe == step.recipe()


def _going(instance: dg.DagsterInstance) -> bool:
    """Whether a run that takes inventories has not ended yet."""
    done = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    waiting = [status for status in dg.DagsterRunStatus if status not in done]
    return bool(instance.get_runs(filters=dg.RunsFilter(tags={BECAUSE: RAW_CHANGED}, statuses=waiting), limit=1))


def _just_taken(step: Step, known: str | None) -> bool:
    """The inventory that the last request asked for is there and is of these files."""
    return known == NO_INVENTORY and _taken(step)


def registry_sensor(folder: Path, interval_s: int, url: str) -> dg.SensorDefinition:
    """Reloads the code location when a file of configs/datasets appears, changes or goes: a new data set needs no restart."""
    at_import = _yaml_digest(folder)

    @dg.sensor(
        name="dataset_registry_changed",
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reloads the graph when configs/datasets changes.",
    )
    def dataset_registry_changed(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = _yaml_digest(folder)
        if now == at_import:
            return dg.SkipReason("the registry is as it was loaded")
        location = context.code_location_origin.location_name if context.code_location_origin else "stickgen"
        return dg.SkipReason(reload_location(url, location))

    return dataset_registry_changed


def reload_location(url: str, location: str) -> str:
    """Ask the webserver to load the code location again; says what came of it, never raises."""
    query = (
        "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename ... on PythonError { message } } }"
    )
    body = json.dumps({"query": query, "variables": {"name": location}}).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}/graphql", data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            result = json.load(answer)["data"]["reloadRepositoryLocation"]
    except (OSError, urllib.error.URLError, ValueError, KeyError, TypeError) as error:
        return f"the registry changed, but {url} could not be asked to reload ({error}); reload the location in the UI"
    if result.get("__typename") == "PythonError":
        return f"the registry changed, but the graph does not load: {str(result.get('message', '')).strip().splitlines()[0]}"
    return "the registry changed; the graph was loaded again"


def _yaml_digest(folder: Path) -> str:
    return digest_json({path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))})


def jobs(settings: "Settings") -> list[Any]:
    """One a stage of the data, one a variant, one for the release."""
    pipeline = settings.config.pipeline
    select = dg.AssetSelection.groups
    return [
        dg.define_asset_job("inventory_raw", select("raw"), description="Look at every raw folder again."),
        dg.define_asset_job("rebuild_canonical", select("raw", "canonical"), description="Raw files to canonical clips."),
        dg.define_asset_job(
            "rebuild_corpus", select(*DATA_GROUPS), description="Raw files to embedded corpora; free where nothing changed."
        ),
        *(
            dg.define_asset_job(f"train_{variant}", select(variant), description=f"The {variant} checkpoints and their reports.")
            for variant in pipeline.variants
        ),
        dg.define_asset_job("train_all", select(*pipeline.variants), description="All checkpoints and their reports."),
        dg.define_asset_job(
            "look_after", dg.AssetSelection.assets(["upkeep", "status"]), description="What is stale, and because of which input."
        ),
        dg.define_asset_job(
            "collect",
            dg.AssetSelection.assets(["upkeep", "collection"]),
            description="Storage that nobody needs and that can be made again.",
        ),
        dg.define_asset_job("release", select("release"), description="Model selection, the benchmark table and the release page."),
    ]


def schedules(settings: "Settings") -> list[dg.ScheduleDefinition]:
    """A nightly backstop that costs nothing when nothing changed; weekly training that a person has to switch on."""
    pipeline = settings.config.pipeline
    return [
        dg.ScheduleDefinition(
            name="nightly_rebuild",
            job_name="rebuild_corpus",
            cron_schedule=pipeline.nightly_cron,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Catches what a sensor missed, for instance while the machine was off.",
        ),
        dg.ScheduleDefinition(
            name="weekly_training",
            job_name="train_all",
            cron_schedule=pipeline.training_cron,
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description="Trains whatever is stale. Training costs money: ships stopped.",
        ),
        dg.ScheduleDefinition(
            name="nightly_status",
            job_name="look_after",
            cron_schedule=pipeline.nightly_cron,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Writes the page that says what is stale and why. Reads manifests only.",
        ),
        dg.ScheduleDefinition(
            name="monthly_collection",
            job_name="collect",
            cron_schedule=pipeline.collection_cron,
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description="Says what storage can go; removes it where pipeline.collection.apply is true. Ships stopped.",
        ),
    ]
