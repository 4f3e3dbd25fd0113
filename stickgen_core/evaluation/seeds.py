"""One configuration trained with several seeds: every measure over them, with all points, and two such sets against each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.evaluation.comparison import aggregate, detectable_effect, holm, paired, variances, welch
from stickgen_core.evaluation.intervals import round_to
from stickgen_core.records.digests import digest_json

SCHEMA = "stickgen-seeds/1"


def numbers_of(report: Mapping[str, Any]) -> dict[str, tuple[float, str]]:
    """Every measured number of a report's model: name -> (value, unit); what was not computed is left out."""
    content = report["content"]
    row = next(row for row in content["rows"] if row["kind"] == "model")
    found = {**row["measures"], **content["losses"], **content["robustness"]}
    return {name: (m["value"], m["unit"]) for name, m in found.items() if m["value"] is not None}


def aggregate_reports(run: str, reports: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Reports by training seed -> t intervals (ddof 1), every point, and normality tests with their power, which decide nothing.

    The judge must be the same throughout: one evaluator, corpus and configuration, one seed of evaluation.
    """
    if not reports:
        raise MissingInput(f"{run}: no report to aggregate")
    known = [report["content"]["provenance"] for report in reports.values()]
    for key in ("evaluator", "corpus", "config", "seed"):
        if len({str(p[key]) for p in known}) > 1:
            raise StickgenError(f"{run}: reports by different {key}s cannot be aggregated; evaluate all seeds again")
    weights = {seed: report["content"]["checkpoint"]["weights"] for seed, report in reports.items()}
    if len(set(weights.values())) < len(weights):
        raise StickgenError(f"{run}: two training seeds gave the same weights; the runs do not differ in their seed")
    found = {seed: numbers_of(report) for seed, report in reports.items()}
    shared = [name for name in next(iter(found.values())) if all(name in numbers for numbers in found.values())]
    measures = {}
    for name in shared:
        values = {seed: numbers[name][0] for seed, numbers in found.items()}
        measures[name] = aggregate(values, next(iter(found.values()))[name][1])
    content = {
        "run": run, "seeds": sorted(reports), "measures": measures, "weights": {str(s): w for s, w in sorted(weights.items())},
        "reports": {str(s): r["content_digest"] for s, r in sorted(reports.items())},
        "provenance": {key: known[0][key] for key in ("evaluator", "corpus", "config", "seed", "protocol", "n", "split")},
        "detectable_effect": round_to(float(detectable_effect(len(reports)))) if len(reports) > 1 else None,
    }  # fmt: skip
    return {"schema": SCHEMA, "content": content, "content_digest": digest_json(content)}


def validated(report: Mapping[str, Any], origin: object) -> Mapping[str, Any]:
    """The content of an aggregate, its digest checked."""
    if report.get("schema") != SCHEMA:
        raise Corrupt(f"{origin}: expected an aggregate over seeds ({SCHEMA}), found {report.get('schema')!r}")
    content: Mapping[str, Any] = report["content"]
    if digest_json(content) != report["content_digest"]:
        raise Corrupt(f"{origin}: content does not match its digest; aggregate the seeds again")
    return content


def compare_aggregates(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Measure by measure b - a: Welch with Holm over the measures, the paired difference over shared seeds, Levene for information.

    Reports by different evaluators, corpora or settings are refused. Where no p can be computed, `differs` is None and `note` says why.
    """
    for key in ("evaluator", "corpus", "config"):
        if a["provenance"][key] != b["provenance"][key]:
            raise StickgenError(f"{a['run']} and {b['run']} were judged by different {key}s; evaluate both again")
    shared = [name for name in a["measures"] if name in b["measures"]]
    points = {name: [list(side["measures"][name]["points"].values()) for side in (a, b)] for name in shared}
    tests = {name: welch(values[1], values[0]) for name, values in points.items()}
    adjusted = holm({name: test.p for name, test in tests.items()})
    rows = {}
    for name, test in tests.items():
        seeds = [{int(seed): value for seed, value in side["measures"][name]["points"].items()} for side in (a, b)]
        both = set(seeds[0]) & set(seeds[1])
        rows[name] = {
            "a": a["measures"][name], "b": b["measures"][name], **test.as_json(),
            "p_holm": round_to(adjusted[name]) if name in adjusted else None,
            "differs": adjusted[name] < 0.05 if name in adjusted else None, "levene": variances(*map(np.asarray, points[name])),
            "paired": paired(seeds[1], seeds[0]).as_json() if both else None,
        }  # fmt: skip
    return {"a": a["run"], "b": b["run"], "seeds": [a["seeds"], b["seeds"]], "family": len(adjusted), "measures": rows}
