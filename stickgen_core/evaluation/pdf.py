"""The release as a PDF from the same data as its page: environment, choice, tables, plots, curves, thresholds, several seeds, provenance."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stickgen_core.evaluation.page import MAIN_COLUMNS, MOTION_COLUMNS, repetitions
from stickgen_core.evaluation.plots import number
from stickgen_core.records.publish import publishing

PLOTTED = (
    ("action_accuracy", "Action accuracy (dashed: commonest action)"),
    ("r_precision_text_to_motion_3", "R-precision @3 (dashed: chance)"),
    ("kid", "KID to real clips"),
    ("jerk_ratio", "Jerk, x real"),
)
A4_LANDSCAPE_IN = (11.7, 8.3)
# Of pages that hold plots, in inches and in shares of the panels.
MARGINS: Mapping[str, Any] = {"w_pad": 0.3, "h_pad": 0.3, "wspace": 0.06, "hspace": 0.08}
# Lines of nine-point text that fit on a page, and rows of a table.
LINES, ROWS, WIDTH = 46, 20, 130
# Columns of a table that stay readable beside each other.
COLUMNS = 7


def write_pdf(
    content: Mapping[str, Any], target: Path, environment: Mapping[str, Any] | None = None, seeds: Mapping[str, Any] | None = None
) -> None:  # fmt: skip
    """`reports/reproduction_report.pdf` of a release's content; equal content gives equal bytes (no date inside).

    environment   of the machine that evaluated: versions, processor
    seeds         aggregates over training seeds by run (seeds.aggregate_reports), where there are any
    """
    from matplotlib.backends.backend_pdf import PdfPages

    with (
        publishing(target) as temporary,
        PdfPages(temporary, metadata={"Title": "StickGen-Bench", "CreationDate": None, "ModDate": None}) as pages,
    ):
        for figure in _figures(content, environment or {}, seeds or {}):
            pages.savefig(figure)


def _figures(content: Mapping[str, Any], environment: Mapping[str, Any], seeds: Mapping[str, Any]) -> Iterator[Any]:
    yield from _text_pages("StickGen-Bench: reproduction report", _summary(content))
    main = [(name, title) for name, title, _ in MAIN_COLUMNS if name not in ("full_set_median_rank", "full_set_recall_1")]
    yield from _tables("Floor, ceiling and every checkpoint, one evaluator (95 % intervals over items)", content["rows"], main)
    yield from _tables("The motion itself", content["rows"], [(name, title) for name, title, _ in MOTION_COLUMNS])
    yield _plots(content)
    yield from _curves({name: content["curves"][name] for name in _in_order(content)})
    yield from _thresholds(content)
    if seeds:
        yield from _text_pages("Several training seeds", _seed_lines(seeds))
    yield from _text_pages("Environment and inputs", _provenance(content, environment))


def _in_order(content: Mapping[str, Any]) -> list[str]:
    """The checkpoints as the tables have them; JSON sorts the keys of everything else."""
    return [row["name"] for row in content["rows"] if row["name"] in content["reports"]]


def _page(title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=A4_LANDSCAPE_IN)
    figure.text(0.04, 0.95, title, fontsize=15, va="top")
    axes = figure.add_axes((0.04, 0.04, 0.92, 0.84))
    axes.axis("off")
    return figure, axes


def _text_pages(title: str, lines: Sequence[str]) -> Iterator[Any]:
    wrapped = [part for line in lines for part in (textwrap.wrap(line, WIDTH, subsequent_indent="    ") or [""])]
    for start in range(0, max(len(wrapped), 1), LINES):
        figure, axes = _page(title if not start else f"{title} (continued)")
        axes.text(0, 1, "\n".join(wrapped[start : start + LINES]), fontsize=9, va="top", family="monospace", parse_math=False)
        yield figure


def _summary(content: Mapping[str, Any]) -> list[str]:
    known, choice = content["provenance"], content["choice"]
    scores = [f"{row['name']:20} {row['score']:.3f}" for row in choice["candidates"]]
    told = content["agreement"]
    rankings = [f"{name.replace('_', ' ')}: mean Kendall tau {number(m['mean'])}, ranking {'determined' if m['determined'] else 'not determined'}"
                for name, m in told["measures"].items()]  # fmt: skip
    return [
        f"Protocol {known['protocol']}: N = {known['n']}, {repetitions(known['repetitions'])}, split {known['split']}, device {known['device']}.", "",
        *(f"Note: {warning}" for warning in content["warnings"]), "",
        f"Chosen checkpoint: {choice['selected']}. {choice['rationale']}", "", "Scores by the documented weights:", *scores, "",
        "Rankings across evaluator seeds:", *(rankings or [told["note"] or "no measure that every evaluator gave"]),
    ]  # fmt: skip


def _provenance(content: Mapping[str, Any], environment: Mapping[str, Any]) -> list[str]:
    known = content["provenance"]
    flat = [(key, value) for key, value in environment.items() if not isinstance(value, Mapping)]
    nested = [
        (f"{key}.{inner}", value) for key, values in environment.items() if isinstance(values, Mapping) for inner, value in values.items()
    ]
    return [
        *(f"{key:22} {value}" for key, value in (*flat, *nested)), "",
        *(f"{key:22} {known[key]}" for key in ("evaluator", "corpus_name", "corpus", "encoder", "statistics", "config", "layout", "fps", "length_rule")), "",
        *(f"report {name:18} {content['reports'][name]}" for name in _in_order(content)),
    ]  # fmt: skip


def _seed_lines(seeds: Mapping[str, Any]) -> list[str]:
    lines = []
    for run, told in seeds.items():
        lines += [f"{run}: seeds {', '.join(str(seed) for seed in told['seeds'])}", ""]
        for measure, found in told["measures"].items():
            m = found["summary"]
            points = ", ".join(number(v) for v in found["points"].values())
            between = f" [{number(m['low'])}, {number(m['high'])}]" if m["low"] is not None else f" ({m['note']})"
            lines.append(f"  {measure.replace('_', ' '):34} {number(m['value'])}{between}   points {points}")
        lines.append("")
    return lines


def _tables(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> Iterator[Any]:
    def text(row: Mapping[str, Any], name: str) -> str:
        m = row["measures"].get(name)
        if m is None or m["value"] is None:
            return "–"
        return number(m["value"]) + (f"\n[{number(m['low'])}, {number(m['high'])}]" if m["low"] is not None else "")

    for first in range(0, len(columns), COLUMNS):
        some = columns[first : first + COLUMNS]
        for start in range(0, len(rows), ROWS):
            cells = [[textwrap.fill(row["title"], 34), *(text(row, name) for name, _ in some)] for row in rows[start : start + ROWS]]
            yield _table(title, cells, ["row", *(textwrap.fill(t, 16) for _, t in some)], first=0.2)


def _table(title: str, cells: list[list[str]], headings: list[str], first: float) -> Any:
    figure, axes = _page(title)
    rest = (1 - first) / (len(headings) - 1)
    drawn = axes.table(
        cells, colLabels=headings, loc="upper center", cellLoc="right", colWidths=[first, *[rest] * (len(headings) - 1)], edges="horizontal"
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(7)
    height = 1 / (ROWS + 2)
    for (row, column), found in drawn.get_celld().items():
        found.set_height(height * (1.6 if row == 0 else 1))
        found.PAD = 0.02
        if column == 0:
            found.set_text_props(ha="left")
    return figure


def _plots(content: Mapping[str, Any]) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=A4_LANDSCAPE_IN, layout=ConstrainedLayoutEngine(**MARGINS))
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, PLOTTED, strict=True):
        rows = [r for r in content["rows"] if r["measures"].get(name, {}).get("value") is not None]
        for place, row in enumerate(reversed(rows)):
            m = row["measures"][name]
            colour = "tab:blue" if row["kind"] == "model" else "gray"
            if m["low"] is not None:
                axes.plot([m["low"], m["high"]], [place, place], color=colour)
            axes.plot(m["value"], place, "o", color=colour, markersize=4)
        axes.set_yticks(range(len(rows)), [r["title"][:32] for r in reversed(rows)], fontsize=6)
        if name in content["chance"]:
            axes.axvline(content["chance"][name], color="black", linestyle="--", linewidth=0.8)
        if name.endswith("_ratio"):
            axes.set_xscale("symlog", linthresh=1)
            axes.set_xlim(left=0)
        axes.set_title(title, fontsize=9)
        axes.tick_params(axis="x", labelsize=7)
    return figure


def _curves(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[Any]:
    """Held-out loss of every checkpoint over its steps, on one page."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    drawn = {title: [(r["step"], r["validation_loss"]) for r in rows if "validation_loss" in r] for title, rows in curves.items()}
    drawn = {title: points for title, points in drawn.items() if points}
    if not drawn:
        return
    figure = Figure(figsize=A4_LANDSCAPE_IN, layout=ConstrainedLayoutEngine(**MARGINS))
    across = min(3, len(drawn))
    panels = figure.subplots(-(-len(drawn) // across), across, squeeze=False)
    for axes in panels.flat[len(drawn) :]:
        axes.axis("off")
    for axes, (title, points) in zip(panels.flat, drawn.items(), strict=False):
        axes.plot(*zip(*points, strict=True), marker=".", linewidth=1)
        axes.set_title(title, fontsize=9)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=7)
    figure.suptitle("Held-out loss over optimiser steps", fontsize=12)
    yield figure


def _thresholds(content: Mapping[str, Any]) -> Iterator[Any]:
    names = _in_order(content)
    bars = list(content["thresholds"][names[0]])
    word = {True: "passed", False: "missed", None: "no number"}
    cells = [[name, *(word[content["thresholds"][name][bar]] for bar in bars)] for name in names]
    yield _table("Documented thresholds", cells, ["checkpoint", *(textwrap.fill(b.replace("_", " "), 12) for b in bars)], first=0.14)
