"""From a step to a Dagster asset: perform it, then say what there is to say about it."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from stickgen_core.errors import StickgenError
from stickgen_core.records.retention import kept
from stickgen_pipeline.assets.live import observed
from stickgen_pipeline.automation import on_new_content
from stickgen_pipeline.resources import Bench
from stickgen_pipeline.steps import Check, Outcome, Progress, Step, Steps, Verdict, bytes_of

if TYPE_CHECKING:
    from stickgen_core.settings import Settings

LOG_EVERY_S = 15.0


def asset_of(step: Step, steps: Steps, settings: "Settings", *, pooled: bool = True) -> dg.AssetsDefinition:
    """An asset without values: its inputs are `deps`, its content is known by the manifest's digest.

    pooled   False where who makes the step holds its slot already
    """
    row = kept(step.kept)
    key = dg.AssetKey(step.key.split("/"))

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(parent.split("/")) for parent in step.parents],
        group_name=step.group,
        description=step.description,
        code_version=step.version[:16],
        kinds=set(step.kinds),
        pool=step.pool if pooled else None,
        tags={"stickgen/retention": row.retention},
        metadata={
            "path": dg.MetadataValue.path(str(step.folder)),
            "retention": row.retention,
            "kept_because": row.why,
            "regenerable_from": row.regenerated_from or "nothing: keep it",
            **step.facts,
        },
        automation_condition=on_new_content if _follows_content(step) else None,
        check_specs=[dg.AssetCheckSpec(check.name, asset=key, blocking=check.stops, description=check.asks) for check in step.checks],
        required_resource_keys={"bench"},
        freshness_policy=_freshness(step, settings),
    )
    def build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        bench: Bench = context.resources.bench
        try:
            outcome = bench.perform(step, steps, _into_log(context), observed(context, key))
        except StickgenError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
        yield dg.MaterializeResult(
            asset_key=key, metadata=metadata_of(step, outcome, settings), data_version=dg.DataVersion(outcome.manifest.digest)
        )
        for check, verdict in outcome.verdicts:
            yield check_result(step, check, verdict)

    return build


def _follows_content(step: Step) -> bool:
    """Folders are watched by the raw sensor, which would ask a second time; what is generated has no folder to watch."""
    return step.automatic and (step.group != "raw" or step.observe is None)


def _freshness(step: Step, settings: "Settings") -> dg.FreshnessPolicy | None:
    """A report ages even if nothing changed under it: somebody should look again. A data set that never changes does not."""
    if not step.key.endswith("_report"):
        return None
    fail = timedelta(days=settings.config.pipeline.evaluation_fresh_days)
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=fail / 2)


def check_result(step: Step, check: Check, verdict: Verdict) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(step.key.split("/")),
        check_name=check.name,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR if check.stops else dg.AssetCheckSeverity.WARN,
        description=verdict.text,
        metadata={name: plain(value) for name, value in verdict.measured.items()},
    )


def metadata_of(step: Step, outcome: Outcome, settings: "Settings") -> dict[str, dg.MetadataValue]:
    """What every materialisation says of itself, then the step's own tables and plots."""
    manifest, row = outcome.manifest, kept(step.kept)
    said: dict[str, dg.MetadataValue] = {
        "path": dg.MetadataValue.path(str(step.folder)),
        "bytes": dg.MetadataValue.int(int(manifest.counts.get("bytes", bytes_of(step.folder)))),
        "digest": dg.MetadataValue.text(manifest.digest),
        "parents": dg.MetadataValue.json(dict(manifest.parents)),
        "recipe": dg.MetadataValue.text(manifest.recipe),
        "config_hash": dg.MetadataValue.text(settings.digest()),
        "code_version": dg.MetadataValue.text(step.version),
        "profile": dg.MetadataValue.text(settings.profile),
        "reused": dg.MetadataValue.bool(outcome.reused),
        "wall_s": dg.MetadataValue.float(round(outcome.seconds, 3)),
        "peak_memory_mb": dg.MetadataValue.float(round(outcome.peak_mb, 1)),
        "retention": dg.MetadataValue.text(row.retention),
        "regenerable_from": dg.MetadataValue.text(row.regenerated_from or "nothing: keep it"),
    }
    if outcome.refused is not None:
        said["refused_digest"] = dg.MetadataValue.text(outcome.refused.digest)
    for name, count in manifest.counts.items():
        said.setdefault(name, plain(count))
    rows = manifest.counts.get("clips", manifest.counts.get("rows"))
    if rows is not None:
        said["rows"] = said["dagster/row_count"] = dg.MetadataValue.int(int(rows))
    for title, text in (step.show(manifest, step.folder) if step.show else {}).items():
        said[title] = dg.MetadataValue.md(text)
    return said


def plain(value: object) -> dg.MetadataValue:
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    return dg.MetadataValue.text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _into_log(context: dg.AssetExecutionContext) -> Progress:
    last = [time.monotonic()]

    def progress(label: str, done: int, total: int) -> None:
        if time.monotonic() - last[0] >= LOG_EVERY_S:
            last[0] = time.monotonic()
            context.log.info(f"{label}: {done} of {total}")

    return progress
