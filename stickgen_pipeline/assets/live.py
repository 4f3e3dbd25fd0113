"""A long computation seen from outside while it runs: each report of figures becomes an observation of its asset, with the curve so far."""

from collections.abc import Mapping

import dagster as dg

from stickgen_pipeline.steps import Watch
from stickgen_pipeline.tables import curve

LOSSES = {"train_loss": "train", "val_loss": "validation"}


def observed(context: dg.AssetExecutionContext, key: dg.AssetKey) -> Watch:
    """Log figures (step, epoch, losses, speed) on the asset's page; Dagster plots the numbers over time."""
    lines: dict[str, list[tuple[float, float]]] = {name: [] for name in LOSSES.values()}

    def watch(figures: Mapping[str, float]) -> None:
        for name, line in LOSSES.items():
            if name in figures:
                lines[line].append((figures.get("step", float(len(lines[line]))), figures[name]))
        said: dict[str, dg.MetadataValue] = {name: dg.MetadataValue.float(float(value)) for name, value in figures.items()}
        drawn = {name: points for name, points in lines.items() if points}
        if drawn:
            said["loss"] = dg.MetadataValue.md(curve(drawn, "optimiser step", "loss"))
        context.log_event(dg.AssetObservation(asset_key=key, metadata=said))

    return watch
