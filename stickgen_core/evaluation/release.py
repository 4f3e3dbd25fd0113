"""The release page: all checkpoints in one table, the choice and its reasons, the literature beside it on its own scale."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from stickgen_core.errors import MissingInput
from stickgen_core.evaluation.choice import select
from stickgen_core.evaluation.config import EvaluationConfig
from stickgen_core.evaluation.gallery import Figure
from stickgen_core.evaluation.page import MAIN_COLUMNS, MOTION_COLUMNS, document, players, repetitions, table
from stickgen_core.evaluation.plots import curve_plot, interval_plot, number
from stickgen_core.evaluation.protocol import Published
from stickgen_core.evaluation.ranking import agreement
from stickgen_core.evaluation.report import PAGE_NAME, dumps, publish_folder
from stickgen_core.evaluation.sections import agreement_table, cell, critic_table, grid, held_out_table, note
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import Manifest
from stickgen_core.records.publish import publish_text

SCHEMA = "stickgen-release/2"
# Rows of the first report that stand for all: they do not depend on a checkpoint.
SHARED = ("real", "real_halves", "shuffled", "same_length", "mean_pose", "random_train", "retrieval")
# The documented columns of the comparison; KID takes FID's place where N is small, and diversity is read against real.
TABLE_B = (
    ("fid", "FID"), ("kid", "KID (N too small for FID)"), ("diversity", "diversity"), ("diversity_to_real", "diversity, x real"),
    ("r_precision_text_to_motion_3", "R-precision @3"), ("multimodality", "multimodality"),
)  # fmt: skip
HEADINGS = {
    "r_at_1": "R@1",
    "r_at_2": "R@2",
    "r_at_3": "R@3",
    "fid": "FID",
    "mm_dist": "MM-Dist",
    "diversity": "diversity",
    "multimodality": "multimodality",
}


def release_content(
    reports: Sequence[Mapping[str, Any]], config: EvaluationConfig, literature: Published, peers: Sequence[Mapping[str, Any]] = (),
    panel: Mapping[str, Any] | None = None, critic: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The deterministic part: shared rows once, every checkpoint's own row, the choice, Tables A and B, and how far the judges can be trusted.

    peers    rows of other models' outputs (peers.peer_rows), judged by the same evaluator; none is fine
    panel    what each evaluator beside the judging one scores on real clips (panel.Panel.held_out)
    critic   how often the safety critic is wrong (critic.critic_rates)
    """
    if not reports:
        raise MissingInput("release: no report; evaluate the checkpoints first")
    contents = [r["content"] for r in reports]
    choice = select(reports, config.selection, config.thresholds)
    rows = [row for row in contents[0]["rows"] if row["name"] in SHARED]
    rows += [
        {**row, "name": f"untrained {c['title']}", "title": f"{c['title']}, untrained"}
        for c in contents[:1]
        for row in c["rows"]
        if row["name"] == "untrained"
    ]
    rows += list(peers)
    rows += [{**row, "name": c["title"], "title": c["title"], "expected": f"{_parameters(c):,} parameters"}
             for c in contents for row in c["rows"] if row["kind"] == "model"]  # fmt: skip
    opinions = {evaluator: {c["title"]: c["panel"][evaluator] for c in contents} for evaluator in contents[0]["panel"]}
    return {
        "rows": rows, "chance": contents[0]["chance"], "choice": choice, "literature": literature.model_dump(mode="json"),
        "table_b": table_b(contents, choice, rows), "reports": {c["title"]: r["content_digest"] for c, r in zip(contents, reports, strict=True)},
        "provenance": contents[0]["provenance"], "warnings": sorted({w for c in contents for w in c["warnings"] if not w.startswith("Motion energy")}),
        "losses": {c["title"]: c["losses"] for c in contents}, "robustness": {c["title"]: c["robustness"] for c in contents},
        "sets": {c["title"]: c["sets"] for c in contents}, "curves": {c["title"]: c["curves"] for c in contents},
        "agreement": agreement(opinions, config.panel.agreement), "panel": dict(panel or {}), "critic": dict(critic or {}),
        "thresholds": {c["title"]: {t["name"]: t["passed"] for t in c["thresholds"]} for c in contents},
        "chosen_clips": next(c["clips"] for c in contents if c["title"] == choice["selected"]),
    }  # fmt: skip


def _parameters(content: Mapping[str, Any]) -> int:
    return sum(content["checkpoint"]["parameters"].values())


def table_b(contents: Sequence[Mapping[str, Any]], choice: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The documented columns: real clips, peers, then one row a variant, its best checkpoint by the documented weights."""
    found = [{"title": row["title"], "kind": row["kind"], "parameters": None, "measures": row["measures"]}
             for row in rows if row["name"] in ("real", "real_round_trip") or row["kind"] == "peer"]  # fmt: skip
    by_title = {c["title"]: c for c in contents}
    for variant in dict.fromkeys(c["checkpoint"]["variant"] for c in contents):
        best = next(c["name"] for c in choice["candidates"] if by_title[c["name"]]["checkpoint"]["variant"] == variant)
        own = next(row for row in rows if row["name"] == best)
        found.append({"title": f"Stick-Gen {variant.capitalize()} ({best.partition('_')[2]})", "kind": "model",
                      "parameters": _parameters(by_title[best]), "measures": own["measures"]})  # fmt: skip
    columns = [name for name, _ in TABLE_B]
    return [{**row, "measures": {n: row["measures"][n] for n in columns if n in row["measures"]}} for row in found]


def write_release(
    content: Mapping[str, Any], folder: Path, *, name: str, recipe: str, parents: Mapping[str, str], links: Mapping[str, str],
    figures: Sequence[Figure] = (),
) -> Manifest:  # fmt: skip
    """Publish `release.json` and `index.html`; `links` are relative addresses of the checkpoints' own pages, `figures` the chosen one's clips."""
    digest = digest_json(content)
    made = {"at": datetime.now(UTC).isoformat(timespec="seconds")}
    folder.mkdir(parents=True, exist_ok=True)
    publish_text(folder / "release.json", dumps({"schema": SCHEMA, "content": content, "content_digest": digest, "made": made}))
    publish_text(folder / PAGE_NAME, release_page(content, digest, links, figures))
    notes = {"selected": content["choice"]["selected"], "checkpoints": len(content["reports"])}
    return publish_folder(folder, name, digest, recipe, parents, notes=notes, made=made)


def release_page(content: Mapping[str, Any], digest: str, links: Mapping[str, str], figures: Sequence[Figure] = ()) -> str:
    choice = content["choice"]
    linked = " · ".join(f'<a href="{escape(links[n])}">{escape(n)}</a>' if n in links else escape(n) for n in content["reports"])
    known, chance = content["provenance"], content["chance"]
    curves = {
        title: [{"step": r["step"], title: r["validation_loss"]} for r in rows if "validation_loss" in r]
        for title, rows in content["curves"].items()
    }
    parts = [
        "<h1>StickGen-Bench</h1>", f'<p class="lead">Protocol “{escape(known["protocol"])}”: N = {known["n"]}, {repetitions(known["repetitions"])}, '
        f"split {escape(known['split'])}. Pages of the checkpoints: {linked}</p>",
        *(f'<p class="warn">{escape(text)}</p>' for text in content["warnings"]),
        "<h2>Which checkpoint</h2>", f"<p><b>{escape(choice['selected'])}</b>. {escape(choice['rationale'])}</p>", _choice_table(choice),
        "<h2>Table B: same clips, same evaluator</h2>",
        '<p class="lead">The documented columns, one row a variant: its best checkpoint by the documented weights. Diversity should be like real; '
        "multimodality means something beside R-precision only. Peers appear where their outputs lie on this disk.</p>", _table_b(content["table_b"]),
        "<h2>Floor, ceiling and every checkpoint</h2>", table(content["rows"], MAIN_COLUMNS, chance),
        '<div class="plots">', interval_plot(content["rows"], "action_accuracy", "Action accuracy (dashed: commonest action)", chance.get("action_accuracy")),
        interval_plot(content["rows"], "r_precision_text_to_motion_3", "R-precision @3 (dashed: chance)", chance["r_precision_text_to_motion_3"]),
        interval_plot(content["rows"], "kid", "KID to real clips"), interval_plot(content["rows"], "jerk_ratio", "Jerk, x real", 1.0, ratio=True), "</div>",
        "<h2>The motion itself</h2>", table(content["rows"], MOTION_COLUMNS, {}),
        "<h2>Documented thresholds</h2>", _threshold_grid(content["thresholds"]),
        "<h2>Learning</h2>", '<div class="plots">', *(curve_plot(rows, "step", (title,), f"{title}: held-out loss") for title, rows in curves.items()), "</div>",
        f"<h2>Clips of {escape(choice['selected'])} beside their nearest training clip</h2>",
        players(content["chosen_clips"], figures, known["fps"]) if figures else note("The page of the checkpoint plays them."),
        "<h2>Can the judges be trusted?</h2>", agreement_table(content["agreement"]), held_out_table(content["panel"], content["rows"]),
        "<h3>The safety critic</h3>", critic_table(content["critic"]),
        "<h2>Table A: the literature, on its own scale</h2>",
        '<p class="lead">Scored by another evaluator on 22 joints in space at 20 fps. None of our rows stands here, on purpose: numbers of different '
        "evaluators cannot be compared. Peers whose outputs are on this disk are re-scored in Table B.</p>",
        _literature(content["literature"]),
        "<h2>Where these numbers come from</h2>",
        f'<div class="box"><dl><dt>release</dt><dd>{digest}</dd><dt>evaluator</dt><dd>{known["evaluator"]}</dd><dt>corpus</dt><dd>'
        f"{escape(known['corpus_name'])} {known['corpus']}</dd><dt>text encoder</dt><dd>{escape(known['encoder'])}</dd>"
        f"<dt>N</dt><dd>{known['n']} judged, {known['reference_n']} real to compare with</dd>"
        f"<dt>seeds</dt><dd>{known['seed']}, {repetitions(known['repetitions'])}</dd><dt>device</dt><dd>{escape(known['device'])}</dd>"
        + "".join(f"<dt>{escape(n)}</dt><dd>{d}</dd>" for n, d in content["reports"].items()) + "</dl></div>",
    ]  # fmt: skip
    return document("StickGen-Bench", parts)


def _table_b(rows: Sequence[Mapping[str, Any]]) -> str:
    fid = any(row["measures"].get("fid", {}).get("value") is not None for row in rows)
    columns = [(name, title) for name, title in TABLE_B if name != ("kid" if fid else "fid")]
    lines = []
    for row in rows:
        size = f"{row['parameters'] / 1e6:.1f}M" if row["parameters"] and row["parameters"] >= 1e5 else f"{row['parameters'] or '–'}"
        cells = "".join(cell(row["measures"].get(name)) for name, _ in columns)
        lines.append(f'<tr class="{"model" if row["kind"] == "model" else ""}"><td>{escape(row["title"])}</td><td>{size}</td>{cells}</tr>')
    head = "<th>model</th><th>parameters</th>" + "".join(f"<th>{escape(title)}</th>" for _, title in columns)
    return grid(head, lines)


def _choice_table(choice: Mapping[str, Any]) -> str:
    names = [n for n in choice["weights"] if n not in choice["left_out"]]
    head = "".join(f"<th>{escape(n.replace('_', ' '))}<small>weight {choice['weights'][n]:.0%}</small></th>" for n in names)
    lines = []
    for row in [*choice["candidates"], *choice["baselines"]]:
        cells = "".join(
            f"<td>{number(row['values'][n])}<small>score {row['parts'][n]:.2f}</small></td>" if n in row["parts"] else "<td>–</td>"
            for n in names
        )
        kind = "model" if row["name"] == choice["selected"] else "none" if row in choice["baselines"] else ""
        score = f"{row['score']:.3f}" if row["score"] is not None else "–"
        lines.append(f'<tr class="{kind}"><td>{escape(row["name"])}</td><td>{score}</td>{cells}</tr>')
    text = "Baselines are each variant's fresh weights, scored over what was measured of them; they are no candidates."
    return grid(f"<th>checkpoint</th><th>score</th>{head}", lines) + note(text)


def _threshold_grid(found: Mapping[str, Mapping[str, bool | None]]) -> str:
    bars = list(next(iter(found.values())))
    mark = {True: '<td class="pass">passed</td>', False: '<td class="miss">missed</td>', None: '<td class="none">no number</td>'}
    head = "".join(f"<th>{escape(b.replace('_', ' '))}</th>" for b in bars)
    lines = "".join(f"<tr><td>{escape(n)}</td>{''.join(mark[v[b]] for b in bars)}</tr>" for n, v in found.items())
    return f'<div class="scroll"><table><thead><tr><th>checkpoint</th>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _literature(table_a: Mapping[str, Any]) -> str:
    head = "".join(f"<th>{HEADINGS[c]}</th>" for c in table_a["columns"])
    lines = []
    for row in table_a["rows"]:
        cells = "".join(
            f"<td>{row['values'][c][0]:g}<small>± {row['values'][c][1]:g}</small></td>" if c in row["values"] else "<td>–</td>"
            for c in table_a["columns"]
        )
        size = f"{row['parameters_m']:g} M" if row["parameters_m"] else "–"
        lines.append(
            f'<tr><td>{escape(row["name"])}<small>{escape(row["source"])}</small></td><td>{size}</td>{cells}<td class="words"><small>{escape(row["note"])}</small></td></tr>'
        )
    return (
        f'<p>{escape(table_a["title"])}</p><div class="scroll"><table><thead><tr><th>model</th><th>parameters</th>{head}<th class="words">remark</th></tr>'
        f"</thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
