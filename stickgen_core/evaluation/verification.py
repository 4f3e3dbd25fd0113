"""Is it the same result? Two reports, two checkpoints (one of them resumed), or a report against what was expected of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from stickgen_core.config import Section, load
from stickgen_core.errors import ConfigError, StickgenError
from stickgen_core.evaluation.intervals import round_to
from stickgen_core.training import checkpoints
from stickgen_core.training.journal import read_metrics

# What a clock or another machine decides is no result (training.clock writes these).
_OF_THE_MACHINE = ("frames_per_s", "useful_share", "loader_wait_share", "peak_share", "eta_s", "memory_gb")


class Expected(Section):
    """What one measure should be: near a value, or on one side of a bar."""

    value: float | None = None
    tolerance: float | None = Field(default=None, ge=0)
    above: float | None = None
    below: float | None = None
    note: str = ""


class Expectations(Section):
    """A file of expected results; `tolerance` is relative and holds where a measure names none of its own."""

    title: str = ""
    tolerance: float = Field(default=0.1, ge=0)
    measures: Mapping[str, float | Expected] = Field(min_length=1)


def expectations(path: Path) -> Expectations:
    """Read a YAML or JSON file of expected results."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file of expected results")
    return load(Expectations, [path])


def relative_difference(a: float, b: float) -> float:
    """|a − b| over the larger of the two sizes: 0 for equal numbers, 2 for opposite ones; the order does not matter."""
    size = max(abs(a), abs(b))
    return abs(a - b) / size if size > 0 else 0.0


def verify(found: Mapping[str, float], wanted: Expectations, tolerance: float | None = None) -> dict[str, dict[str, Any]]:
    """Each expectation held against the found number; a number that is missing never passes."""
    verdicts: dict[str, dict[str, Any]] = {}
    for name, given in wanted.measures.items():
        expected = given if isinstance(given, Expected) else Expected(value=given)
        if expected.value is None and expected.above is None and expected.below is None:
            raise ConfigError(f"expected {name}: give a value, `above` or `below`")
        value, allowed, passed, parts = found.get(name), None, True, []
        if expected.value is not None:
            allowed = expected.tolerance if expected.tolerance is not None else tolerance if tolerance is not None else wanted.tolerance
            passed &= value is not None and relative_difference(value, expected.value) <= allowed
            parts.append(f"{expected.value:g} within {allowed:.0%}")
        if expected.above is not None:
            passed &= value is not None and value > expected.above
            parts.append(f"> {expected.above:g}")
        if expected.below is not None:
            passed &= value is not None and value < expected.below
            parts.append(f"< {expected.below:g}")
        off = None if value is None or expected.value is None else round_to(relative_difference(value, expected.value))
        verdicts[name] = {"found": value, "expected": " and ".join(parts), "relative": off, "passed": passed,
                          "note": expected.note if value is not None else "not measured"}  # fmt: skip
    return verdicts


def compare_reports(a: Mapping[str, Any], b: Mapping[str, Any], tolerance: float) -> dict[str, Any]:
    """Measure by measure of two reports' models: relative difference, whether intervals overlap, whether they are within the tolerance.

    Reports by different evaluators, corpora or settings are refused: their numbers stand on different scales.
    """
    known = [report["content"]["provenance"] for report in (a, b)]
    for key in ("evaluator", "corpus", "config"):
        if known[0][key] != known[1][key]:
            raise StickgenError(f"{a['content']['title']} and {b['content']['title']} were judged by different {key}s; evaluate both again")
    sides = []
    for report in (a, b):
        content = report["content"]
        sides.append({**next(r for r in content["rows"] if r["kind"] == "model")["measures"], **content["losses"], **content["robustness"]})
    rows = {}
    for name in sides[0]:
        if name not in sides[1] or sides[0][name]["value"] is None or sides[1][name]["value"] is None:
            continue
        one, two = sides[0][name], sides[1][name]
        off = relative_difference(one["value"], two["value"])
        overlap = None if None in (one["low"], two["low"]) else one["low"] <= two["high"] and two["low"] <= one["high"]
        rows[name] = {"a": one["value"], "b": two["value"], "relative": round_to(off), "overlap": overlap, "within": off <= tolerance}
    return {
        "a": a["content"]["title"], "b": b["content"]["title"], "tolerance": tolerance, "equal": a["content_digest"] == b["content_digest"],
        "within": all(row["within"] for row in rows.values()), "measures": rows,
    }  # fmt: skip


def compare_checkpoints(a: Path, b: Path) -> dict[str, Any]:
    """A resumed run against an uninterrupted one: weights, averaged weights, optimiser and logged numbers, to the last bit.

    equal   every weight of the newest and the best state, the optimiser's moments, and every logged number that is a result
    """
    found: dict[str, Any] = {"a": str(a), "b": str(b), "files": {}}
    for name in (checkpoints.LATEST, checkpoints.BEST):
        if not ((a / name).is_file() and (b / name).is_file()):
            continue
        one, two = checkpoints.read(a / name), checkpoints.read(b / name)
        parts = {part: _difference(one.get(part), two.get(part)) for part in ("model_state_dict", "ema", "optimizer_state_dict")}
        found["files"][name] = {"steps": [one["step"], two["step"]], **parts}
    if not found["files"]:
        raise StickgenError(f"{a} and {b}: no {checkpoints.LATEST} or {checkpoints.BEST} in both; give two checkpoint folders")
    logs = [{(row["step"], row["kind"]): row for row in read_metrics(folder)} for folder in (a, b)]
    shared = sorted(set(logs[0]) & set(logs[1]))
    apart = [
        [step, kind, name]
        for step, kind in shared
        for name in _results(logs[0][step, kind])
        if logs[0][step, kind][name] != logs[1][step, kind].get(name)
    ]
    found["log"] = {"rows": len(shared), "only_in_one": len(set(logs[0]) ^ set(logs[1])), "first_difference": apart[0] if apart else None}
    same = all(f["steps"][0] == f["steps"][1] and all(f[part] == 0.0 for part in ("model_state_dict", "ema", "optimizer_state_dict"))
               for f in found["files"].values())  # fmt: skip
    return {**found, "equal": same and not apart}


def _results(row: Mapping[str, Any]) -> list[str]:
    return [name for name, value in row.items() if isinstance(value, int | float) and name not in _OF_THE_MACHINE]


def _difference(a: Any, b: Any) -> float:
    """Largest difference of two nested states' numbers; infinite where they are not of one shape."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if a.shape != b.shape:
            return float("inf")
        return float((a.double() - b.double()).abs().max()) if a.numel() else 0.0
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            return float("inf")
        return max((_difference(a[key], b[key]) for key in a), default=0.0)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return max(map(_difference, a, b), default=0.0) if len(a) == len(b) else float("inf")
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b)
    return 0.0 if a == b else float("inf")
