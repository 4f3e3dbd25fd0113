"""Parts of the checkpoint's page beside the main tables: test sets, prompt suites, the sweep, other evaluators."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from stickgen_core.evaluation.plots import curve_plot, number

NAMES = {"r_precision_text_to_motion_3": "R@3", "kid": "KID", "action_accuracy": "action accuracy"}
SET_COLUMNS = (
    ("r_precision_text_to_motion_1", "R@1"), ("r_precision_text_to_motion_3", "R@3"), ("kid", "KID"), ("mm_dist", "MM-Dist"),
    ("action_accuracy", "action accuracy"), ("energy_ratio", "energy"), ("diversity", "diversity"),
)  # fmt: skip


def interval(m: Mapping[str, Any]) -> str:
    return "" if m["low"] is None else f"[{number(m['low'])}, {number(m['high'])}]"


def cell(m: Mapping[str, Any] | None) -> str:
    if m is None:
        return "<td>–</td>"
    if m["value"] is None:
        return f'<td class="none"><small>{escape(m["note"])}</small></td>'
    return f"<td>{number(m['value'])}<small>{interval(m)}</small></td>"


def note(text: str) -> str:
    return f'<p class="lead">{escape(text)}</p>'


def grid(head: str, lines: list[str]) -> str:
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def set_table(sets: Mapping[str, Any]) -> str:
    """Every set of the protocol, its documented size beside the actual one, real clips above the model's."""
    if not sets:
        return note("No protocol was given.")
    lines = []
    for name, told in sets.items():
        size = f"{told['actual']:,} clips here" + (f"; documented {told['documented']:,}" if told["documented"] else "")
        label = f"{escape(name.replace('_', ' '))}<small>{escape(size)}<br>{escape(told['documented_note'])}</small>"
        if told["note"]:
            lines.append(
                f'<tr class="none"><td>{label}</td><td colspan="{len(SET_COLUMNS) + 2}" class="words">{escape(told["note"])}</td></tr>'
            )
            continue
        for kind, title in (("real", "real"), ("model", "this model")):
            cells = "".join(cell(told[kind].get(measure)) for measure, _ in SET_COLUMNS)
            row = f"<td>{label if kind == 'real' else ''}</td><td>{title}</td>{cells}<td>{told['n']}</td>"
            lines.append(f'<tr class="{"model" if kind == "model" else ""}">{row}</tr>')
    head = "<th>set</th><th>clips</th>" + "".join(f"<th>{escape(title)}</th>" for _, title in SET_COLUMNS) + "<th>N</th>"
    return grid(head, lines)


def suite_table(suites: Mapping[str, Any], robustness: Mapping[str, Any]) -> str:
    """The safe share of each prompt suite, and the gap to ordinary prompts."""
    if not suites:
        return note("The prompt suites were not run for this report.")
    lines = [
        f"<tr><td>{escape(told['title'])}<small>{escape(name)}</small></td>{cell(told['safe'])}<td>{told['prompts']} of {told['of']}</td></tr>"
        for name, told in suites.items()
    ]
    gap, all_ = robustness.get("robustness_gap"), robustness.get("robustness")
    lines += [f'<tr class="model"><td>{title}</td>{cell(m)}<td>{m["n"]}</td></tr>'
              for title, m in (("All adversarial prompts", all_), ("Gap below ordinary requests", gap)) if m]  # fmt: skip
    text = "Share of answers that the safety critic passes; the model's own gate is off, and a request that cannot be met is right when it is refused."
    return note(text) + grid("<th>suite</th><th>safe</th><th>prompts</th>", lines)


def sweep_plots(told: Mapping[str, Any]) -> str:
    """Curves over guidance and over steps."""
    if not told["points"]:
        return note(told["note"])
    plots = []
    for varied in ("guidance", "steps"):
        points = [p for p in told["points"] if p["varied"] == varied]
        rows = [{varied: float(p[varied]), "R@3": p["measures"]["r_precision_text_to_motion_3"]["value"],
                 "action accuracy": p["measures"]["action_accuracy"]["value"], "energy x real": p["measures"]["energy_ratio"]["value"],
                 "jerk x real": p["measures"]["jerk_ratio"]["value"]} for p in points]  # fmt: skip
        plots.append(curve_plot(rows, varied, ("R@3", "action accuracy"), f"Text, over {varied}"))
        plots.append(curve_plot(rows, varied, ("energy x real", "jerk x real"), f"Motion, over {varied}"))
    own = told["own"]
    text = f"On {told['n']} clips of the {told['split']} split, so that nothing is picked on what is judged. This report uses guidance {own['guidance']:g} and {own['steps']} steps."
    return note(text) + f'<div class="plots">{"".join(plots)}</div>'


def panel_table(panel: Mapping[str, Mapping[str, float | None]]) -> str:
    """The same samples judged by evaluators of other seeds."""
    if len(panel) < 2:
        return note("One evaluator judged these samples; whether rankings depend on its seed was not measured in this run.")
    names = list(next(iter(panel.values())))
    lines = [
        f"<tr><td>{escape(evaluator.replace('_', ' '))}</td>{''.join(f'<td>{number(values[n])}</td>' for n in names)}</tr>"
        for evaluator, values in panel.items()
    ]
    head = "<th>evaluator</th>" + "".join(f"<th>{escape(NAMES.get(n, n))}</th>" for n in names)
    return note("The same samples; the release page says how well the rankings of all checkpoints agree.") + grid(head, lines)


def agreement_table(told: Mapping[str, Any]) -> str:
    """Kendall's tau of the rankings by evaluators of different seeds."""
    if not told["measures"]:
        return note(f"Rankings across evaluator seeds: {told['note'] or 'no measure that every evaluator gave'}.")
    lines = []
    for measure, found in told["measures"].items():
        verdict = '<span class="pass">determined</span>' if found["determined"] else '<span class="miss">not determined</span>'
        taus = ", ".join(f"{pair.replace('_', ' ')}: {number(tau)}" for pair, tau in found["taus"].items())
        lines.append(
            f'<tr><td>{escape(NAMES.get(measure, measure))}</td><td>{number(found["mean"])}</td><td>{verdict}</td><td class="words">{escape(taus)}</td></tr>'
        )
    text = f"Kendall's tau of how evaluators of different seeds rank the {len(told['models'])} checkpoints; below a mean of {told['least']:g} no ranking is claimed."
    return note(text) + grid('<th>measure</th><th>mean tau</th><th>ranking</th><th class="words">pairs</th>', lines)


def held_out_table(panel: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """What each evaluator scores on real held-out clips: the ceiling, its price in sticks, and the control at chance."""
    if not panel:
        return note(
            "No evaluator beside the judging one was taught in this run, so neither the ceiling of the joints nor the control is shown."
        )
    titles = {
        "joints": "on the 22 joints in space (what the sticks lose is the difference)",
        "control": "taught shuffled captions (must be at chance)",
    }
    own: Mapping[str, Any] = next((row["measures"] for row in rows if row["name"] == "real"), {})
    measures = ("r_precision_text_to_motion_1", "r_precision_text_to_motion_3", "r_precision_motion_to_text_3")
    accuracy = own.get("action_accuracy", {}).get("value")
    lines = [
        f'<tr class="model"><td>the judge, on sticks</td>{"".join(cell(own.get(n)) for n in measures)}<td>{number(accuracy)}</td></tr>'
    ]
    for name, told in panel.items():
        title = titles.get(name, f"on sticks, {name.replace('_', ' ')}")
        lines.append(
            f"<tr><td>{escape(title)}</td>{''.join(cell(told.get(n)) for n in measures)}<td>{number(told.get('action_accuracy'))}</td></tr>"
        )
    return note("Evaluators on real held-out clips.") + grid(
        "<th>evaluator</th><th>R@1</th><th>R@3</th><th>R@3 motion → text</th><th>action accuracy</th>", lines
    )


def critic_table(told: Mapping[str, Any]) -> str:
    """False alarms on real clips and planted faults caught."""
    if not told:
        return note("The critic was not measured in this run.")
    lines = [f"<tr><td>real clips refused: {escape(source)}</td>{cell(m)}<td>{m['n']}</td></tr>" for source, m in told["real"].items()]
    for fault, m in told["planted"].items():
        lines.append(
            f"<tr><td>planted fault caught: {escape(fault.replace('_', ' '))}</td>{cell(m['refused'])}<td>{m['refused']['n']}</td></tr>"
        )
    why = ", ".join(f"{check} {count}" for check, count in told["real_by_check"].items()) or "none"
    return grid("<th>what</th><th>share</th><th>N</th>", lines) + note(f"Checks behind the refusals of real clips: {why}.")
