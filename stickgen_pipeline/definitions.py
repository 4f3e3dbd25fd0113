"""The whole graph: raw → canonical → corpus → {small, medium, large} → release.

Steps say what is made from what; `asset_of` makes each an asset; `automation` says when things happen by themselves.
STICKGEN_PROFILE (demo, full, test) selects configuration and folders for the UI, the daemon and the command line alike.
"""

import os

import dagster as dg

from stickgen_core.settings import Settings, load_settings
from stickgen_pipeline import alerts, automation, burying
from stickgen_pipeline.assets.factory import asset_of
from stickgen_pipeline.assets.upkeep import upkeep_assets
from stickgen_pipeline.backstop import backstop_sensor
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.resources import Watcher, bench_resource, state_of, works_ahead


def build_definitions(settings: Settings, watcher: Watcher | None = None) -> dg.Definitions:
    """The graph of one profile; `watcher` follows a build that runs in this process."""
    steps, pipeline, ahead = steps_of(settings), settings.config.pipeline, works_ahead(settings, watcher)
    webserver = os.environ.get("STICKGEN_DAGSTER_URL", "http://127.0.0.1:3000")
    return dg.Definitions(
        assets=[*(asset_of(step, steps, settings, pooled=not (ahead and step.apart)) for step in steps.values()), *upkeep_assets(settings)],
        jobs=automation.jobs(settings),
        schedules=automation.schedules(settings),
        sensors=[
            automation.rebuild_sensor(pipeline.rebuild_interval_s),
            automation.raw_sensor(steps, pipeline.raw_sensor_interval_s),
            automation.registry_sensor(settings.configs / "datasets", pipeline.registry_sensor_interval_s, webserver),
            alerts.failure_sensor(settings),
            alerts.check_sensor(settings),
            burying.burying_sensor(settings),
            backstop_sensor(steps, state_of(settings), pipeline.backstop_interval_s),
        ],
        resources={"bench": bench_resource(settings, steps, watcher)},
        # A process a step costs seconds of imports; what is heavy runs in the worker process instead.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What the UI and the daemon load."""
    return build_definitions(load_settings())
