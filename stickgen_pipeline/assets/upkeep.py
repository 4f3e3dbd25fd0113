"""Upkeep of the graph itself, as assets whose pages are for reading: what is stale and why, and what storage may be freed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from stickgen_pipeline.checklist import checks_page
from stickgen_pipeline.tables import markdown

if TYPE_CHECKING:
    from stickgen_core.settings import Settings

GROUP = "upkeep"
MOST_ROWS = 30


def upkeep_assets(settings: "Settings") -> list[dg.AssetsDefinition]:
    return [_status(settings), _collection(settings)]


def _status(settings: "Settings") -> dg.AssetsDefinition:
    @dg.asset(
        key=["upkeep", "status"],
        group_name=GROUP,
        kinds={"markdown"},
        description="Every artefact that is not current: because of which input, and what building it would touch, take and write.",
        metadata={"every_check": dg.MetadataValue.md(checks_page(settings))},
    )
    def status() -> dg.MaterializeResult:
        from stickgen_pipeline.staleness import standings

        found = [one for one in standings(settings).values() if one.now.step.by_default or one.now.state != "missing"]
        stale = [one for one in found if one.now.state != "current"]
        rows = [
            (one.now.step.key, one.now.state, "; ".join(one.now.because), len(one.touches),
             "not known" if one.hours is None else f"{one.hours:.2f}", f"{one.bytes / 1e6:.1f}") for one in stale
        ]  # fmt: skip
        columns = ("artefact", "state", "because", "rebuild touches", "hours", "MB")
        page = markdown(columns, rows) if rows else "Everything is current."
        return dg.MaterializeResult(
            metadata={
                "stale_and_why": dg.MetadataValue.md(page),
                "current": len(found) - len(stale),
                "stale": sum(one.now.state == "stale" for one in stale),
                "missing": sum(one.now.state == "missing" for one in stale),
                "bytes": sum(one.held for one in found),
            }
        )

    return status


def _collection(settings: "Settings") -> dg.AssetsDefinition:
    config = settings.config.pipeline.collection

    @dg.asset(
        key=["upkeep", "collection"],
        group_name=GROUP,
        kinds={"file"},
        description="Storage that no root needs and that can be made again: what would go, with the proof; removed where pipeline.collection.apply says so.",
        check_specs=[
            dg.AssetCheckSpec(
                "corpora_still_hold", asset=["upkeep", "collection"], blocking=True, description="Every corpus in place verifies."
            )
        ],
    )
    def collection() -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        from stickgen_core.records.collection import apply, by_class
        from stickgen_core.records.publish import exclusively
        from stickgen_pipeline.collecting import damaged, plan, policy_of

        settings.places.data.mkdir(parents=True, exist_ok=True)
        with exclusively(settings.places.data / ".build" / "lock"):
            decisions = plan(settings, policy_of(settings))
            classes = by_class(decisions)
            freed = apply(decisions) if config.apply else 0
            problems = damaged(settings) if config.apply else []
        going = [d for d in decisions if d.remove]
        rows = [(d.thing.name, d.thing.kind, d.bytes, d.because) for d in going]
        proof = "\n".join(f"- {line}" for line in dict.fromkeys(line for d in going for line in d.proof.lines)) or "Nothing goes."
        yield dg.MaterializeResult(
            metadata={
                "removed" if config.apply else "would_remove": dg.MetadataValue.md(markdown(("thing", "class", "bytes", "because"), rows)),
                "by_class": dg.MetadataValue.md(
                    markdown(("class", "things", "bytes", "would go", "would free"), [(k, *r.values()) for k, r in sorted(classes.items())])
                ),
                "proof": dg.MetadataValue.md(proof),
                "freed_bytes": freed,
                "collectable_bytes": sum(d.bytes for d in going),
            }
        )
        yield dg.AssetCheckResult(check_name="corpora_still_hold", passed=not problems, description=problems[0] if problems else
                                  "every digest holds" if config.apply else "nothing was removed")  # fmt: skip

    return collection
