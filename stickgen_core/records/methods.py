"""The methods paragraph and the tables of a paper, written from records: no number in them was typed by a person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stickgen_core.records.citations import DataSet, keys
from stickgen_core.records.history import Entry
from stickgen_core.records.lineage import Walk

LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "→": r"$\to$", "²": r"$^2$", "–": "--", "×": r"$\times$"}


@dataclass(frozen=True)
class Table:
    """Rows for a paper; numbers are already text."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        lines = [f"**{self.caption}**\n", f"| {' | '.join(self.columns)} |", "|" + "---|" * len(self.columns)]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self.rows)]) + "\n"

    def latex(self) -> str:
        kinds = "l" + "r" * (len(self.columns) - 1)
        rows = [" & ".join(map(escaped, row)) + r" \\" for row in self.rows]
        head = " & ".join(map(escaped, self.columns)) + r" \\"
        return "\n".join([
            r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{kinds}}}", r"\hline", head, r"\hline", *rows, r"\hline", r"\end{tabular}",
            rf"\caption{{{escaped(self.caption)}}}", rf"\label{{tab:{self.name}}}", r"\end{table}",
        ]) + "\n"  # fmt: skip


def escaped(text: str) -> str:
    return "".join(LATEX.get(char, char) for char in text)


def of_kind(walk: Walk, prefix: str) -> list[Entry]:
    return [entry for entry in walk.entries if entry.key.startswith(prefix)]


def tables(walk: Walk, sets: Sequence[DataSet], results: Sequence[Mapping[str, Any]], fps: float) -> list[Table]:
    """Data sets, what curation dropped, training runs, results: those of them that the walk has."""
    found = [
        Table("data", "Motion that contributed.", ("data set", "clips", "hours", "licence"),
              tuple((s.title, f"{s.clips:,}", f"{s.frames / fps / 3600:.2f}", s.licence) for s in sets)),
    ]  # fmt: skip
    # An embedded corpus carries the notes of the selection that it adds vectors to.
    stages = [e for e in walk.entries if e.manifest.notes.get("waterfall") and not e.key.startswith("corpus/embedded_")]
    if stages:
        rules = [(e.key, str(step["reason"]), "" if step["limit"] is None else f"{step['limit']:g}", f"{step['dropped']:,}", f"{step['left']:,}")
                for e in stages for step in e.manifest.notes["waterfall"]]  # fmt: skip
        found.append(Table("curation", "What each rule dropped.", ("stage", "rule", "limit", "dropped", "left"), tuple(rules)))
    runs = of_kind(walk, "checkpoint/")
    if runs:
        found.append(Table("training", "Training runs.", ("checkpoint", "parameters", "trained", "steps", "clips", "validation loss", "digest"),
                           tuple(_run_row(e) for e in runs)))  # fmt: skip
    if results:
        measures = list(results[0]["measures"])
        rows = [(str(r["title"]), *(_interval(r["measures"].get(m)) for m in measures)) for r in results]
        found.append(Table("results", "Results with 95 % intervals.", ("row", *measures), tuple(rows)))
    return found


def _run_row(entry: Entry) -> tuple[str, ...]:
    c = entry.manifest.counts
    loss = f"{c['val_loss']:.4f}" if "val_loss" in c else ""
    whole = [f"{int(c[name]):,}" if name in c else "" for name in ("parameters", "trainable_parameters", "steps", "train_clips")]
    return (entry.key.partition("/")[2], *whole, loss, entry.digest[:12])


def _interval(found: Mapping[str, Any] | None) -> str:
    if not found or found.get("value") is None:
        return "not computed"
    low, high = found.get("low"), found.get("high")
    return f"{found['value']:.3g}" + (f" [{low:.3g}, {high:.3g}]" if low is not None and high is not None else "")


def paragraph(walk: Walk, sets: Sequence[DataSet], config: Mapping[str, Any], commit: str) -> list[str]:
    """Sentences with `\\cite{}` in them; Markdown and LaTeX share them."""
    clips, frames = sum(s.clips for s in sets), sum(s.frames for s in sets)
    fps = float(config["canonical"]["fps"])
    named = ", ".join(f"{s.title}{_cite(s)}" for s in sets)
    said = [
        f"Motion of {len(sets)} data set{'s' if len(sets) != 1 else ''} ({named}) was resampled by time to {fps:g} frames per second, brought into one metric, "
        f"Y-up space and cut into {clips:,} clips ({frames / fps / 3600:.2f} hours)."
    ]
    for entry in of_kind(walk, "corpus/merged"):
        counts, splits = entry.manifest.counts, entry.manifest.notes["splits"]["clips"]
        said.append(
            f"Merging kept {counts['clips']:,} of {counts.get('read', counts['clips']):,} clips and split them by origin recording into "
            + ", ".join(f"{number:,} {name}" for name, number in sorted(splits.items(), key=lambda item: -item[1]))
            + "."
        )
    for entry in of_kind(walk, "corpus/curated_"):
        rules = entry.manifest.notes.get("rules", {})
        limits = ", ".join(
            f"{name.replace('_', ' ')} {value:g}"
            for name, value in rules.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        )
        said.append(f"The {entry.key.rpartition('_')[2]} selection holds {entry.manifest.counts['clips']:,} clips ({limits}).")
    for entry in of_kind(walk, "corpus/embedded_"):
        card = entry.manifest.notes.get("encoder", {})
        said.append(
            f"Texts of {entry.key.partition('/')[2]} were encoded by {card.get('name', 'the encoder')} (width {entry.manifest.notes.get('width')})."
        )
    for entry in of_kind(walk, "checkpoint/"):
        c = entry.manifest.counts
        said.append(
            f"{entry.key.partition('/')[2]}: {int(c['parameters']):,} parameters, {int(c['trainable_parameters']):,} of them trained for {int(c['steps']):,} steps on {int(c['train_clips']):,} clips."
        )
    code = f" at commit {commit[:12]}" if commit else ""
    said.append(
        f"Everything was made by Stickgen{code} with seed {config['seed']}; the root of the record is {walk.root.key}, SHA-256 {walk.root.digest}."
    )
    return said


def _cite(found: DataSet) -> str:
    names = keys(found.citation)
    return f" \\cite{{{','.join(names)}}}" if names else ""


def methods_markdown(sentences: Iterable[str], found: Iterable[Table]) -> str:
    import re

    text = re.sub(r" ?\\cite\{([^}]*)\}", lambda m: " [" + "; ".join(f"@{key}" for key in m[1].split(",")) + "]", " ".join(sentences))
    return f"# Methods\n\n{text}\n\n" + "\n".join(table.markdown() for table in found)


def methods_latex(sentences: Iterable[str], found: Iterable[Table]) -> str:
    import re

    parts = re.split(r"(\\cite\{[^}]*\})", " ".join(sentences))
    text = "".join(part if part.startswith("\\cite") else escaped(part) for part in parts)
    return f"\\section{{Methods}}\n{text}\n\n" + "\n".join(table.latex() for table in found)
