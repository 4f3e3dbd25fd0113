"""Tables and small plots for a person, as Markdown: what an asset page in the UI shows."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stickgen_core.records.manifest import Manifest

BAR = 24
MOST_ROWS = 30


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join("" if cell is None else str(cell).replace("|", "/") for cell in row) + " |" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"\n{len(rows) - MOST_ROWS} more")
    return "\n".join(lines)


def bars(title: str, counts: Mapping[str, float]) -> str:
    """A histogram that reads as text: no picture to load, nothing to scale."""
    most = max(counts.values(), default=0) or 1
    return markdown(
        (title, "count", ""),
        [(name, f"{count:g}", "█" * max(1, round(BAR * count / most)) if count else "") for name, count in counts.items()],
    )


def overview(folder: Path) -> dict[str, str]:
    """A corpus by source, and its lengths."""
    from stickgen_core.corpus import Corpus
    from stickgen_core.corpus.statistics import statistics

    found = statistics(Corpus.open(folder))
    if not found["clips"]:
        return {"overview": "0 clips"}
    columns = ("clips", "frames", "hours", "origins", "captions")
    rows = [(name, *(values.get(column, 0) for column in columns)) for name, values in found["sources"].items()]
    rows.append(("**all**", *(found.get(column, 0) for column in columns)))
    return {"overview": markdown(("source", *columns), rows), "actions": bars("action", _named_actions(found["actions"]))}


def _named_actions(counts: Mapping[str, int]) -> dict[str, int]:
    from stickgen_core.sources.actions import load_actions

    names = {str(action.id): action.name for action in load_actions().rows}
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return {names.get(number, "unknown"): count for number, count in ordered}


def drops(folder: Path) -> dict[str, str]:
    """The ledger by stage and reason."""
    from collections import Counter

    from stickgen_core.corpus import Corpus

    rows = Corpus.open(folder).ledger().select(["stage", "reason"]).to_pylist()
    counted = Counter((row["stage"], row["reason"]) for row in rows).most_common()
    return (
        {"dropped": markdown(("stage", "reason", "count"), [(stage, reason, count) for (stage, reason), count in counted])}
        if counted
        else {}
    )


def recordings(manifest: Manifest) -> dict[str, str]:
    """What became of a data set's recordings, and its labels that no action is known for."""
    found, labels = manifest.notes.get("recordings"), manifest.notes.get("unmapped_labels")
    said = {}
    if found:
        rows = [("read", found["read"]), ("kept", found["kept"]), *((f"dropped: {why}", n) for why, n in found["by_reason"].items())]
        said["recordings"] = markdown(("recordings", "count"), rows)
    if labels:
        said["labels without an action"] = markdown(("label", "recordings"), list(labels.items()))
    return said


def curve(points: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> str:
    """A small line plot as a picture inside Markdown; under 100 kB, because it lives in the event log."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.6), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    for name, line in points.items():
        axes.plot([p[0] for p in line], [p[1] for p in line], label=name, linewidth=1.2)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_png(data)
    return picture(y, data.getvalue())


def picture(title: str, png: bytes) -> str:
    """A PNG inside Markdown."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"
