"""Small SVG drawings for reports, written by hand: intervals by row, and curves. Colours come from the page, so they follow its theme."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

LEFT, RIGHT, ROW, TOP = 220, 24, 22, 8


# What is a multiple of the real set's spans four orders of magnitude between a still figure and an untrained model.
LEAST_RATIO = 0.01


def interval_plot(rows: Sequence[Mapping[str, Any]], measure: str, title: str, chance: float | None = None, ratio: bool = False) -> str:
    """One line a row: the value as a dot, the interval as a bar, chance as a dashed line. Rows without the number are left out.

    ratio   on a logarithmic axis, where everything up to a hundredth stands at its left end
    """
    found = [
        (row["title"], row["measures"][measure], row["kind"]) for row in rows if row["measures"].get(measure, {}).get("value") is not None
    ]
    if not found:
        return ""
    edges = [v for _, m, _ in found for v in (m["value"], m["low"], m["high"]) if v is not None] + ([chance] if chance is not None else [])
    low, high = (LEAST_RATIO, max(*edges, 10.0)) if ratio else (min(0.0, *edges), max(*edges, 1e-9))
    width, height = 640, TOP + ROW * len(found) + 26

    def share(value: float) -> float:
        if ratio:
            return math.log(max(value, low) / low) / math.log(high / low)
        return (value - low) / (high - low)

    def x(value: float) -> float:
        return LEFT + share(value) * (width - LEFT - RIGHT)

    powers = [10.0**power for power in range(-2, 7) if 10.0**power <= high]
    parts = [f'<line class="axis" x1="{x(low):.1f}" y1="{height - 22}" x2="{x(high):.1f}" y2="{height - 22}"/>']
    for tick in powers if ratio else (low, (low + high) / 2, high):
        parts.append(f'<text x="{x(tick):.1f}" y="{height - 6}" text-anchor="middle">{number(tick)}</text>')
    if chance is not None:
        parts.append(f'<line class="chance" x1="{x(chance):.1f}" y1="{TOP}" x2="{x(chance):.1f}" y2="{height - 22}"/>')
    for place, (name, m, kind) in enumerate(found):
        y = TOP + ROW * place + ROW / 2
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(name[:36])}</text>')
        if m["low"] is not None:
            parts.append(f'<line class="bar {kind}" x1="{x(m["low"]):.1f}" y1="{y:.1f}" x2="{x(m["high"]):.1f}" y2="{y:.1f}"/>')
        parts.append(f'<circle class="dot {kind}" cx="{x(m["value"]):.1f}" cy="{y:.1f}" r="4.5"/>')
    return _figure(title, width, height, parts)


def curve_plot(rows: Sequence[Mapping[str, float]], across: str, up: Sequence[str], title: str) -> str:
    """Lines of several columns over one; columns that no row has are left out."""
    width, height, left = 640, 220, 56
    lines = {name: [(r[across], r[name]) for r in rows if r.get(name) is not None and r.get(across) is not None] for name in up}
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return ""
    xs, ys = zip(*(p for points in lines.values() for p in points), strict=True)
    low_x, high_x, low_y, high_y = min(xs), max(xs), min(0.0, *ys), max(ys)

    def at(point: tuple[float, float]) -> str:
        x = left + (point[0] - low_x) / max(high_x - low_x, 1e-9) * (width - left - 120)
        return f"{x:.1f},{12 + (high_y - point[1]) / max(high_y - low_y, 1e-9) * (height - 48):.1f}"

    parts = [f'<text x="{left - 6}" y="16" text-anchor="end">{number(high_y)}</text>',
             f'<text x="{left - 6}" y="{height - 34}" text-anchor="end">{number(low_y)}</text>',
             f'<text x="{left}" y="{height - 14}">{number(low_x)}</text>',
             f'<text x="{width - 120}" y="{height - 14}" text-anchor="end">{number(high_x)} {escape(across)}</text>']  # fmt: skip
    for place, (name, points) in enumerate(lines.items()):
        parts.append(f'<polyline class="curve c{place % 4}" points="{" ".join(at(p) for p in points)}"/>')
        parts.append(f'<text class="c{place % 4}" x="{width - 112}" y="{24 + 18 * place}">{escape(name)}</text>')
    return _figure(title, width, height, parts)


def _figure(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<figure class="plot"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def number(value: float | None) -> str:
    """Three significant digits, never in scientific notation between a thousandth and a million."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:
        text = f"{value:.3g}"
        return f"{value:,.0f}" if "e" in text else text
    return f"{value:.2e}"
