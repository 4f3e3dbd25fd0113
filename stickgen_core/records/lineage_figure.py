"""Lineage as a figure: one column a stage, an arrow for each input, as SVG that a paper can include."""

from collections.abc import Collection
from html import escape

from stickgen_core.records.history import Entry
from stickgen_core.records.lineage import Walk

# Pixels: the size of a box, the gaps between boxes and columns, and the margin; text of 11 and 9 px fits into them.
BOX_W, BOX_H, GAP_X, GAP_Y, MARGIN = 190, 40, 70, 12, 24
LONGEST_NAME = 27
# Pixels between arrows that pass under the boxes of the columns they skip.
LANE = 10
COLOURS = {
    "inventory": "#e8e2d4", "corpus": "#d6e4f0", "statistics": "#d6e4f0", "checkpoint": "#f6d9c6", "evaluator": "#dfe9d5", "report": "#dfe9d5",
}  # fmt: skip
OTHER = "#ececec"


def columns(walk: Walk, hidden: set[tuple[str, str]]) -> list[list[Entry]]:
    """Entries by how many steps they are from a raw file at most."""
    depth: dict[tuple[str, str], int] = {}
    for entry in walk.entries:
        depth[entry.name] = max((depth[name] + 1 for name in entry.inputs.items() if name in depth), default=0)
    found: list[list[Entry]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for entry in walk.entries:
        if entry.name not in hidden:
            found[depth[entry.name]].append(entry)
    return found


def lineage_svg(walk: Walk, absent: Collection[tuple[str, str]] = ()) -> str:
    """The figure; artefacts of absent data sets are left out and counted below. An input that skips a column runs in a lane of its own."""
    hidden = set(absent)
    table = columns(walk, hidden)
    column_of = {entry.name: x for x, column in enumerate(table) for entry in column}
    links = [(name, entry.name) for entry in walk.entries for name in entry.inputs.items() if name in column_of and entry.name in column_of]
    lanes = {start: n for n, start in enumerate(dict.fromkeys(s for s, end in links if column_of[end] - column_of[s] > 1))}
    boxes = max(len(column) for column in table) * (BOX_H + GAP_Y) - GAP_Y
    height = MARGIN + boxes + len(lanes) * LANE + 2 * MARGIN
    width = len(table) * (BOX_W + GAP_X) - GAP_X + 2 * MARGIN
    at: dict[tuple[str, str], tuple[float, float]] = {}
    for x, column in enumerate(table):
        top = MARGIN + (boxes - len(column) * (BOX_H + GAP_Y) + GAP_Y) / 2
        for y, entry in enumerate(column):
            at[entry.name] = MARGIN + x * (BOX_W + GAP_X), top + y * (BOX_H + GAP_Y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif">',
        f"<title>{escape(walk.root.key)} {walk.root.digest[:12]}: what it was made from</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for start, end in links:
        lane = MARGIN + boxes + LANE * (lanes[start] + 1) if column_of[end] - column_of[start] > 1 else None
        parts.append(_arrow(at[start], at[end], lane))
    parts += [_box(entry, *at[entry.name]) for column in table for entry in column]
    if hidden:
        gone = len({key.partition("/")[2] for key, _ in hidden})
        parts.append(f'<text x="{MARGIN}" y="{height - 8}" font-size="10" fill="#666">{gone} data sets were absent and gave no clip</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _arrow(start: tuple[float, float], end: tuple[float, float], lane: float | None) -> str:
    x1, y1, x2, y2 = start[0] + BOX_W, start[1] + BOX_H / 2, end[0] - 1, end[1] + BOX_H / 2
    bend = GAP_X / 2
    if lane is None:
        path = f"C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2} {y2:.1f}"
    else:
        path = (
            f"C{x1 + bend:.1f} {y1:.1f} {x1:.1f} {lane:.1f} {x1 + GAP_X:.1f} {lane:.1f}L{x2 - GAP_X:.1f} {lane:.1f}"
            f"C{x2:.1f} {lane:.1f} {x2 - bend:.1f} {y2:.1f} {x2} {y2:.1f}"
        )
    return f'<path d="M{x1} {y1:.1f}{path}" fill="none" stroke="#999" stroke-width="1" marker-end="url(#tip)"/>'


def _box(entry: Entry, x: float, y: float) -> str:
    name = entry.key if len(entry.key) <= LONGEST_NAME else entry.key.partition("/")[2]
    counts = entry.manifest.counts
    says = next((f"{counts[unit]:,} {unit}" for unit in ("clips", "files", "steps") if counts.get(unit)), entry.kind)
    return (
        f'<g><rect x="{x}" y="{y:.1f}" width="{BOX_W}" height="{BOX_H}" rx="4" fill="{COLOURS.get(entry.kind, OTHER)}" stroke="#888"/>'
        f'<text x="{x + 8}" y="{y + 16:.1f}" font-size="11">{escape(name)}</text>'
        f'<text x="{x + 8}" y="{y + 31:.1f}" font-size="9" fill="#555" font-family="monospace">{entry.digest[:12]}  {escape(says)}</text></g>'
    )
