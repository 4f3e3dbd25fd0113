"""Which checkpoint goes to production: the documented weights over the documented measures, and the reasons in words made from the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.evaluation.config import SelectionConfig, ThresholdsConfig
from stickgen_core.evaluation.intervals import round_to

# Measures where less is better; a score of 1 is half the bar or less, 0.5 is the bar, 0 is far above it.
_LOWER_IS_BETTER = ("validation_loss", "motion_mse")


def score(measure: str, value: float, bar: float) -> float:
    """A measure as 0..1 with 0.5 exactly at its documented bar: lower-is-better ones fall as bar / (bar + value), shares are bent there."""
    if measure in _LOWER_IS_BETTER:
        return bar / (bar + max(value, 0.0))
    clipped = min(max(value, 0.0), 1.0)
    return 0.5 * clipped / bar if clipped < bar else 0.5 + 0.5 * (clipped - bar) / (1 - bar)


def select(reports: Sequence[Mapping[str, Any]], weights: SelectionConfig, bars: ThresholdsConfig) -> dict[str, Any]:
    """Scores of every candidate and the choice. A measure that any candidate lacks counts for none, and that is said.

    reports   as read by report.read_report; all by one evaluator on one corpus, or the comparison is refused
    """
    if not reports:
        raise MissingInput("model selection: no report; evaluate the checkpoints first")
    _comparable(reports)
    weight = weights.model_dump()
    if abs(sum(weight.values()) - 1) > 1e-9:
        raise StickgenError(f"evaluation.selection: weights add up to {sum(weight.values()):g}, expected 1")
    found = {report["content"]["title"]: _numbers(report["content"], weight) for report in reports}
    if len(found) < len(reports):
        raise StickgenError("model selection: two reports have one title; each checkpoint stands once")
    shared = [name for name in weight if all(values[name] is not None for values in found.values())]
    if not shared:
        raise MissingInput("model selection: no measure that every candidate has")
    total = sum(weight[name] for name in shared)
    rows = []
    for title, values in found.items():
        parts = {name: score(name, float(values[name] or 0.0), getattr(bars, name)) for name in shared}
        rows.append({
            "name": title, "score": round_to(sum(weight[n] * parts[n] for n in shared) / total), "values": values,
            "parts": {n: round_to(p) for n, p in parts.items()},
        })  # fmt: skip
    rows.sort(key=lambda row: (-row["score"], row["name"]))
    left_out = [name for name in weight if name not in shared]
    return {
        "selected": rows[0]["name"],
        "candidates": rows,
        "baselines": [
            _baseline(report["content"], weight, bars) for report in reports if report["content"]["checkpoint"]["stage"] == "pretrain"
        ],
        "weights": weight,
        "left_out": left_out,
        "rationale": rationale(rows, weight, left_out),
    }


def _numbers(content: Mapping[str, Any], weight: Mapping[str, float]) -> dict[str, float | None]:
    row = next(row for row in content["rows"] if row["kind"] == "model")
    measures = {**row["measures"], **content["losses"], **content["robustness"]}
    return {name: measures[name]["value"] if name in measures else None for name in weight}


def _baseline(content: Mapping[str, Any], weight: Mapping[str, float], bars: ThresholdsConfig) -> dict[str, Any]:
    """Where a variant started: its fresh weights, scored over what was measured of them. No candidate, so it can never be chosen."""
    row: Mapping[str, Any] = next((row for row in content["rows"] if row["name"] == "untrained"), {"measures": {}})
    measures = {**row["measures"], **content["baseline"]}
    values = {name: measures[name]["value"] if name in measures else None for name in weight}
    parts = {name: round_to(score(name, float(value), getattr(bars, name))) for name, value in values.items() if value is not None}
    total = sum(weight[name] for name in parts)
    mean = round_to(sum(weight[name] * part for name, part in parts.items()) / total) if total else None
    return {"name": f"{content['checkpoint']['variant']} baseline", "score": mean, "values": values, "parts": parts}


def _comparable(reports: Sequence[Mapping[str, Any]]) -> None:
    for key in ("evaluator", "corpus", "config", "artefact_rules", "safety_rules"):
        found = {report["content"]["provenance"][key] for report in reports}
        if len(found) > 1:
            raise StickgenError(
                f"model selection: reports of {len(found)} different {key}s cannot be compared; evaluate all checkpoints again"
            )


def rationale(rows: Sequence[Mapping[str, Any]], weight: Mapping[str, float], left_out: Sequence[str]) -> str:
    """The choice in sentences, from the numbers alone."""
    best = rows[0]
    text = f"{best['name']} scores {best['score']:.3f}."
    if len(rows) > 1:
        second = rows[1]
        gains = {n: weight[n] * (best["parts"][n] - second["parts"][n]) for n in best["parts"]}
        most = max(gains, key=lambda n: gains[n])
        text += f" The next is {second['name']} with {second['score']:.3f}"
        if gains[most] > 0:
            text += f"; the difference comes mostly from {most.replace('_', ' ')} ({best['values'][most]:.3g} against {second['values'][most]:.3g})"
        losses = [n for n in gains if gains[n] < 0]
        if losses:
            text += f", in spite of {', '.join(n.replace('_', ' ') for n in losses)}"
        text += "."
    if left_out:
        share = sum(weight[n] for n in left_out)
        text += f" Not measured for all candidates and so without influence ({share:.0%} of the documented weight): {', '.join(n.replace('_', ' ') for n in left_out)}."
    return text
