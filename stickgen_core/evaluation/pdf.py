"""The release as a PDF from the same data as its page: environment, table, plots, thresholds, choice."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stickgen_core.evaluation.page import MAIN_COLUMNS
from stickgen_core.evaluation.plots import number
from stickgen_core.records.publish import publishing

PLOTTED = (
    ("action_accuracy", "Action accuracy"),
    ("r_precision_text_to_motion_3", "R-precision @3"),
    ("kid", "KID to real clips"),
    ("jerk_ratio", "Jerk, x real"),
)


def write_pdf(content: Mapping[str, Any], target: Path, environment: Mapping[str, Any] | None = None) -> None:
    """`reports/reproduction_report.pdf` of a release's content; equal content gives equal bytes (no date inside)."""
    from matplotlib.backends.backend_pdf import PdfPages

    with (
        publishing(target) as temporary,
        PdfPages(temporary, metadata={"Title": "StickGen-Bench", "CreationDate": None, "ModDate": None}) as pages,
    ):
        for figure in (_summary(content, environment or {}), _table(content), _plots(content), _thresholds(content)):
            pages.savefig(figure)


def _blank() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.7, 8.3))
    axes = figure.add_axes((0.04, 0.04, 0.92, 0.9))
    axes.axis("off")
    return figure, axes


def _summary(content: Mapping[str, Any], environment: Mapping[str, Any]) -> Any:
    figure, axes = _blank()
    known, choice = content["provenance"], content["choice"]
    lines = [
        f"Protocol {known['protocol']}: N = {known['n']}, {known['repetitions']} repetitions, split {known['split']}, device {known['device']}",
        f"evaluator {known['evaluator']}", f"corpus {known['corpus_name']} {known['corpus']}", f"text encoder {known['encoder']}", "",
        f"Chosen checkpoint: {choice['selected']}", *textwrap.wrap(choice["rationale"], 120), "",
        *(line for warning in content["warnings"] for line in textwrap.wrap(f"Note: {warning}", 120)), "",
        *(f"{name}: report {digest}" for name, digest in content["reports"].items()), "",
        *(f"{key}: {value}" for key, value in environment.items() if isinstance(value, str | int | float)),
    ]  # fmt: skip
    axes.text(0, 1, "StickGen-Bench: reproduction report", fontsize=18, va="top")
    axes.text(0, 0.92, "\n".join(lines), fontsize=8.5, va="top", family="monospace")
    return figure


def _table(content: Mapping[str, Any]) -> Any:
    figure, axes = _blank()
    columns = [(name, title) for name, title, _ in MAIN_COLUMNS if name != "full_set_median_rank"]

    def text(row: Mapping[str, Any], name: str) -> str:
        m = row["measures"].get(name)
        if m is None or m["value"] is None:
            return "–"
        return number(m["value"]) + (f"\n[{number(m['low'])}, {number(m['high'])}]" if m["low"] is not None else "")

    cells = [[textwrap.fill(row["title"], 24), *(text(row, name) for name, _ in columns)] for row in content["rows"]]
    drawn = axes.table(cells, colLabels=["row", *(textwrap.fill(t, 12) for _, t in columns)], loc="upper center", cellLoc="right",
                       colWidths=[0.18, *[0.82 / len(columns)] * len(columns)])  # fmt: skip
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(6.5)
    drawn.scale(1, 1.75)
    axes.set_title("Floor, ceiling and every checkpoint, one evaluator (95 % intervals over items)", fontsize=11)
    return figure


def _plots(content: Mapping[str, Any]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.7, 8.3), layout="constrained")
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
        axes.set_title(title, fontsize=9)
        axes.tick_params(axis="x", labelsize=7)
    return figure


def _thresholds(content: Mapping[str, Any]) -> Any:
    figure, axes = _blank()
    names = list(content["thresholds"])
    bars = list(content["thresholds"][names[0]])
    word = {True: "passed", False: "missed", None: "no number"}
    cells = [[name, *(word[content["thresholds"][name][bar]] for bar in bars)] for name in names]
    drawn = axes.table(cells, colLabels=["checkpoint", *(textwrap.fill(b.replace("_", " "), 12) for b in bars)], loc="upper center")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(7)
    drawn.scale(1, 2)
    axes.set_title("Documented thresholds", fontsize=11)
    return figure
