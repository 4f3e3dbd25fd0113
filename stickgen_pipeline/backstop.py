"""Nothing forgotten: data that is still not current once no run is going is asked for, whatever lost the request.

The rebuild rule asks once for each change. A run that a busy or restarted machine lost would otherwise wait for the nightly backstop.
"""

from pathlib import Path

import dagster as dg

from stickgen_core.records.digests import digest_json
from stickgen_pipeline.automation import BECAUSE, DATA_GROUPS
from stickgen_pipeline.burying import UNFINISHED
from stickgen_pipeline.freshness import freshness
from stickgen_pipeline.steps import Steps

NAME = "nothing_forgotten"
GOING = (*UNFINISHED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)


def backstop_sensor(steps: Steps, state: Path, interval_s: int) -> dg.SensorDefinition:
    """Asks when two looks find the same data waiting and no run at either; for one state of the data it asks once."""
    watched = [key for key, step in steps.items() if step.group in DATA_GROUPS and step.automatic and step.by_default]

    @dg.sensor(
        name=NAME,
        target=dg.AssetSelection.assets(*[key.split("/") for key in watched]),
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks again for data that is not current although no run is going. Reads manifests only. Never trains.",
    )
    def nothing_forgotten(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if context.instance.get_runs(filters=dg.RunsFilter(statuses=list(GOING)), limit=1):
            context.update_cursor("")
            return dg.SkipReason("a run is going")
        now = freshness(steps, state)
        waiting = {key: [now[key].state, *now[key].because] for key in watched if now[key].state != "current"}
        if not waiting:
            context.update_cursor("")
            return dg.SkipReason("all data is current")
        seen = digest_json([waiting, {key: found.manifest.digest for key, found in now.items() if found.manifest}])
        if context.cursor != seen:
            context.update_cursor(seen)
            return dg.SkipReason(f"{len(waiting)} are not current; asked for if they are not at the next look either")
        keys = [dg.AssetKey(key.split("/")) for key in waiting]
        return dg.RunRequest(run_key=f"{NAME}-{seen[:16]}", asset_selection=keys, tags={BECAUSE: NAME})

    return nothing_forgotten
