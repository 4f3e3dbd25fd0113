"""Charts of what curation did: distributions of every score by source with its limits, and the waterfall of counts. PNG bytes."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.scores import ARTEFACTS

# Okabe and Ito's colours, told apart by people who see fewer of them; the twelfth source starts again with dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7f7f7f", "#8c6d31", "#000000", "#9467bd", "#bcbd22")
INK, FAINT, LOST = "#333333", "#999999", "#D55E00"
COLUMNS = 4
PALETTE = 128


def limits_of(config: CurationConfig) -> dict[str, dict[str, float]]:
    """Score -> rule -> limit: the lines that a distribution is held against."""
    found: dict[str, dict[str, float]] = {part: {"documented": getattr(config.scores, limit)} for part, limit in ARTEFACTS.items()}
    for stage in ("pretrain", "sft"):
        rules = getattr(config, stage)
        for score, limit in (
            ("quality", rules.min_quality),
            ("artefact", rules.max_artefact),
            ("camera_stability", rules.min_camera_stability),
        ):
            if limit is not None:
                found.setdefault(score, {})[stage] = limit
    return found


def distributions(scores: Mapping[str, Mapping[str, Mapping[str, Any]]], config: CurationConfig) -> bytes:
    """Score -> source -> histogram (of `statistics.by_source`) as small multiples: share of a source's clips in each bin."""
    names = [name for name, sources in scores.items() if any(h["count"] for h in sources.values())]
    rows = max(-(-len(names) // COLUMNS), 1)
    figure, panels = _figure(3.0 * COLUMNS, 2.0 * rows, rows, COLUMNS)
    limits, drawn = limits_of(config), {}
    for axes, name in zip(panels.flat, names, strict=False):
        for number, (source, found) in enumerate(scores[name].items()):
            if not found["count"]:
                continue
            share = np.array(found["counts"]) / found["count"]
            style = "-" if number < len(COLOURS) else "--"
            (drawn[source],) = axes.plot(
                np.repeat(found["edges"], 2)[1:-1],
                np.repeat(share, 2),
                color=COLOURS[number % len(COLOURS)],
                linestyle=style,
                linewidth=1.1,
            )
        low, high = axes.get_xlim()
        for rule, limit in limits.get(name, {}).items():
            axes.axvline(limit, color=INK, linewidth=0.8, linestyle=":")
            if low <= limit <= high:
                axes.annotate(
                    rule, (limit, 1), xycoords=("data", "axes fraction"), rotation=90, fontsize=6, color=INK, va="top", ha="right"
                )
        axes.set_yscale("symlog", linthresh=1e-3)
        axes.set_ylim(0, 1.2)
        axes.set_title(name, fontsize=8, color=INK)
    for axes in list(panels.flat)[len(names) :]:
        axes.set_visible(False)
    if drawn:
        figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=min(len(drawn), 8), frameon=False, fontsize=8)
    figure.supylabel("share of the source's clips", fontsize=8)
    return _png(figure)


def waterfall(stages: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """Stage -> steps (of `Sieve.waterfall`) as bars: what is left after each rule, and what the rule took away."""
    figure, panels = _figure(9, 1.2 + 0.24 * sum(len(steps) for steps in stages.values()), len(stages) or 1, 1)
    for axes, (stage, steps) in zip(panels.flat, stages.items(), strict=False):
        places = range(len(steps))
        left, lost = [step["left"] for step in steps], [step["dropped"] for step in steps]
        axes.barh(places, left, color="#0072B2", height=0.7)
        axes.barh(places, lost, left=left, color=LOST, height=0.7)
        for place, step in enumerate(steps):
            said = f" {step['left']:,}" + (f"  (−{step['dropped']:,})" if step["dropped"] else "")
            axes.text(step["left"] + step["dropped"], place, said, va="center", fontsize=7, color=INK)
        axes.set_yticks(places, [_rule(step) for step in steps], fontsize=7)
        axes.invert_yaxis()
        axes.set_xlim(0, max([*left, 1]) * 1.18)
        axes.set_title(stage, fontsize=9, color=INK, loc="left")
    return _png(figure)


def _rule(step: Mapping[str, Any]) -> str:
    return str(step["reason"]) + (f" {step['limit']:g}" if step["limit"] is not None else "")


def _figure(width_in: float, height_in: float, rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(labelsize=6, colors=INK)
    return figure, panels


def _png(figure: Any) -> bytes:
    """Few colours and so few bytes: asset pages keep the chart in the event log."""
    from PIL import Image

    drawn, sink = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(sink, format="png", optimize=True)
    return sink.getvalue()
