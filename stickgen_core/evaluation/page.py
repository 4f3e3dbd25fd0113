"""A report as one page that needs nothing else: tables, plots, playable motions, provenance; light and dark, phone and desk."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stickgen_core.evaluation.plots import curve_plot, interval_plot, number
from stickgen_core.evaluation.sections import cell, interval, panel_table, set_table, suite_table, sweep_plots
from stickgen_core.rendering.scene import scene_of_motion
from stickgen_core.rendering.viewer.page import player_assets, player_fragment

# Columns of a table: measure, heading, what is good.
MAIN_COLUMNS = (
    ("r_precision_text_to_motion_3", "R@3", "high"), ("r_precision_text_to_motion_1", "R@1", "high"),
    ("r_precision_motion_to_text_3", "R@3 motion → text", "high"), ("action_accuracy", "action accuracy", "high"),
    ("action_accuracy_permuted", "… captions dealt at random", "below it"), ("action_influence_p", "… p of no influence", "low"),
    ("kid", "KID", "low"), ("fid", "FID", "low"), ("full_set_recall_1", "full-set R@1", "high"), ("full_set_median_rank", "median rank", "low"),
    ("mm_dist", "MM-Dist", "low"), ("text_alignment", "text alignment", "high"), ("diversity", "diversity", "like real"),
    ("multimodality", "multimodality", "beside R@3"),
)  # fmt: skip
MOTION_COLUMNS = (
    ("kinetic_distance", "kinetic distance", "low"), ("energy_ratio", "energy", "1"), ("jerk_ratio", "jerk", "1"), ("diversity_to_real", "diversity", "1"), ("foot_slide", "foot slide", "low"),
    ("ground_depth", "below ground", "low"), ("overshoot", "overshoot", "low"), ("torn_joints", "torn joints", "low"), ("frozen", "frozen", "low"),
    ("temporal_consistency", "temporal consistency", "high"), ("physics_consistency", "physics consistency", "high"),
    ("realism", "realism", "high"), ("artefact_score", "artefact score", "low"),
)  # fmt: skip


def checkpoint_page(report: Mapping[str, Any], figures: Sequence[Any], failures: Sequence[Any], fps: float) -> str:
    """The page of one checkpoint's report."""
    content = report["content"]
    model = next(row for row in content["rows"] if row["kind"] == "model")
    chance = content["chance"]
    parts = [
        f"<h1>{escape(content['title'])}: evaluation</h1>",
        f'<p class="lead">{content["provenance"]["n"]} held-out captions, {repetitions(content["provenance"]["repetitions"])}, protocol '
        f'“{escape(content["provenance"]["protocol"])}”. Intervals are 95 %; rows above the model are its floor and its ceiling.</p>',
        *(f'<p class="warn">{escape(text)}</p>' for text in content["warnings"]),
        facts(model["measures"] | content["losses"], chance),
        "<h2>Text and distribution</h2>", table(content["rows"], MAIN_COLUMNS, chance),
        '<div class="plots">',
        interval_plot(content["rows"], "action_accuracy", "Action accuracy (dashed: the commonest action's share)", chance.get("action_accuracy")),
        interval_plot(content["rows"], "r_precision_text_to_motion_3", "R-precision @3", chance["r_precision_text_to_motion_3"]),
        interval_plot(content["rows"], "kid", "KID to real clips"), interval_plot(content["rows"], "energy_ratio", "Motion energy, x real", 1.0, ratio=True),
        "</div>",
        "<h2>The motion itself</h2>", table(content["rows"], MOTION_COLUMNS, {}),
        "<h2>By test set</h2>", set_table(content["sets"]),
        "<h2>Over sampling repetitions</h2>",
        '<p class="lead">What another draw of noise changes, with t intervals; kept apart from the intervals over items above.</p>',
        repetition_table(model["over_repetitions"]),
        "<h2>Documented thresholds</h2>", threshold_table(content["thresholds"]),
        "<h2>Adversarial prompts</h2>", suite_table(content["suites"], content["robustness"]),
        "<h2>Guidance and steps</h2>", sweep_plots(content["sweep"]),
        "<h2>Other evaluators</h2>", panel_table(content["panel"]),
        curves(content["curves"]),
        "<h2>Generated clips beside their nearest training clip</h2>", players(content["clips"], figures, fps),
        "<h2>The worst of them</h2>",
        '<p class="lead">What the safety critic refuses, then what lies farthest from its caption. Chosen for being bad; no sample of the whole.</p>',
        players(content["failures"], failures, fps),
        "<h2>Where these numbers come from</h2>", provenance(report),
    ]  # fmt: skip
    return document(f"{content['title']}: evaluation", parts)


def repetitions(count: int) -> str:
    return f"{count} sampling repetition{'' if count == 1 else 's'}"


def document(title: str, parts: Sequence[str]) -> str:
    """Parts as a whole page, style and script inside."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n{player_assets()}\n<style>\n{style}</style>\n</head>\n'
        f'<body class="sg-page">\n{chr(10).join(filter(None, parts))}\n</body>\n</html>\n'
    )


def facts(measures: Mapping[str, Any], chance: Mapping[str, float]) -> str:
    """The headline numbers as tiles."""
    tiles = [("action_accuracy", "action accuracy"), ("r_precision_text_to_motion_3", "R-precision @3"), ("kid", "KID"),
             ("energy_ratio", "motion energy, x real"), ("validation_loss", "held-out loss"), ("motion_mse", "motion MSE")]  # fmt: skip
    found = []
    for name, title in tiles:
        m = measures[name]
        beside = f"chance {number(chance[name])}" if name in chance else escape(m["note"])
        found.append(f"<div><span>{title}</span><b>{number(m['value'])}</b><small>{interval(m)} {beside}</small></div>")
    return f'<div class="facts">{"".join(found)}</div>'


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str, str]], chance: Mapping[str, float]) -> str:
    """One line a row, one column a measure with its unit and its good side."""
    shown = [c for c in columns if any(c[0] in row["measures"] for row in rows)]
    units = {name: next((row["measures"][name]["unit"] for row in rows if name in row["measures"]), "") for name, _, _ in shown}
    head = "".join(f"<th>{escape(title)}<small>{escape(units[name])}<br>{good}</small></th>" for name, title, good in shown)
    lines = []
    for row in rows:
        label = f"{escape(row['title'])}<small>{escape(row['expected'])}</small>"
        lines.append(
            f'<tr class="{row["kind"]}"><td>{label}</td>{"".join(cell(row["measures"].get(name)) for name, _, _ in shown)}'
            f"<td>{row['measures']['kid']['n'] if 'kid' in row['measures'] else '–'}</td></tr>"
        )
    if chance:
        values = "".join(f"<td>{number(chance[name]) if name in chance else ''}</td>" for name, _, _ in shown)
        lines.insert(0, f'<tr class="none"><td>Chance</td>{values}<td></td></tr>')
    return f'<div class="scroll"><table><thead><tr><th>row</th>{head}<th>N</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def repetition_table(measures: Mapping[str, Any]) -> str:
    columns = [c for c in (*MAIN_COLUMNS, *MOTION_COLUMNS) if measures.get(c[0], {}).get("value") is not None]
    head = "".join(f"<th>{escape(title)}</th>" for _, title, _ in columns)
    line = "".join(cell(measures[name]) for name, _, _ in columns)
    count = next((m["n"] for name, m in measures.items() if m["value"] is not None), 0)
    return f'<div class="scroll"><table><thead><tr><th>repetitions</th>{head}</tr></thead><tbody><tr><td>{count}</td>{line}</tr></tbody></table></div>'


def threshold_table(bars: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for bar in bars:
        verdict = {
            True: '<span class="pass">passed</span>',
            False: '<span class="miss">missed</span>',
            None: '<span class="none">no number</span>',
        }[bar["passed"]]
        caveat = f"<small>{escape(bar['caveat'])}</small>" if bar["caveat"] else ""
        note = f"<small>{escape(bar['note'])}</small>" if bar["note"] and bar["value"] is None else ""
        side = "&gt;" if bar["passes"] == "above" else "&lt;"
        lines.append(
            f"<tr><td>{escape(bar['title'])}</td><td>{side} {number(bar['limit'])}</td><td>{number(bar['value'])}<small>{escape(bar['unit'])}</small>{note}</td>"
            f'<td>{verdict}</td><td class="words">{escape(bar["definition"])}{caveat}</td></tr>'
        )
    head = '<tr><th>bar</th><th>documented</th><th>found</th><th></th><th class="words">what the number is, and what the bar can mean</th></tr>'
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>'


def curves(rows: Sequence[Mapping[str, float]]) -> str:
    plots = [curve_plot(rows, "step", ("loss", "validation_loss"), "Training and held-out loss"),
             curve_plot(rows, "step", ("pose", "temporal", "physics", "action"), "Terms of the loss")]  # fmt: skip
    return f'<h2>Training</h2><div class="plots">{"".join(plots)}</div>' if any(plots) else ""


def players(clips: Sequence[Mapping[str, Any]], figures: Sequence[Any], fps: float) -> str:
    """Each generated clip and the nearest training clip on one clock; wrong actions are shown like right ones."""
    found = []
    for told, figure in zip(clips, figures, strict=True):
        verdict = '<span class="pass">as asked</span>' if told["right"] else '<span class="miss">not as asked</span>'
        critic = "" if told["safe"] else f' <span class="miss">Refused by the safety critic: {escape("; ".join(told["issues"]))}.</span>'
        scenes = [
            scene_of_motion(figure.motion, fps, "generated", id=f"generated: {figure.caption[:60]}", present=figure.present),
            scene_of_motion(figure.nearest_motion, fps, f"nearest in train: {figure.nearest_caption}", id=figure.nearest_id, present=figure.nearest_present),
        ]  # fmt: skip
        found.append(
            f'<div class="clip"><p><b>{escape(told["caption"])}</b></p><p class="lead">asked {escape(told["asked"])}, looks like {escape(told["seen"])}: '
            f"{verdict}; cosine to its caption {number(told['to_caption'])} ({told['farther_than']:.0%} of the clips are nearer to theirs), to the nearest "
            f"training clip {number(told['cosine'])}.{critic}</p>{player_fragment(scenes)}</div>"
        )
    return "".join(found) or '<p class="lead">None in this run.</p>'


def provenance(report: Mapping[str, Any]) -> str:
    content, made = report["content"], report["made"]
    checkpoint, known = content["checkpoint"], content["provenance"]
    total = sum(checkpoint["parameters"].values())
    facts_ = {
        "report": report["content_digest"], "checkpoint": f"{checkpoint['name']} · weights {checkpoint['weights']} · step {checkpoint['step']:,}",
        "parameters": f"{total:,}: " + ", ".join(f"{name} {count:,}" for name, count in checkpoint["parameters"].items()),
        "sampler": ", ".join(f"{k} {v}" for k, v in checkpoint["sampler"].items()),
        "evaluator": f"{known['evaluator']} (seed {known['evaluator_seed']}, train split only, own word encoder)",
        "corpus": f"{known['corpus_name']} {known['corpus']}", "text encoder": known["encoder"] or "unknown", "split": known["split"],
        "N": f"{known['n']} judged, {known['reference_n']} real to compare with ({known['reference_split']}), {known['train_n']} training clips to borrow from",
        "seeds": f"{known['seed']}, {repetitions(known['repetitions'])}", "length": known["length_rule"], "device": known["device"],
        "cost on this machine": ", ".join(f"{k} {v}" for k, v in made.get("cost", {}).items()),
        "made": f"{made.get('at', '')} in {made.get('wall_s', '?')} s",
    }  # fmt: skip
    return f'<div class="box"><dl>{"".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts_.items())}</dl></div>'
