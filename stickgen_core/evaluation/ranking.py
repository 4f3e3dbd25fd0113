"""Do evaluators of different seeds put the models in the same order? If not, no ranking is claimed."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.finite import finite
from stickgen_core.evaluation.intervals import round_to

# Measures by which models are ranked, and whether more is better.
RANKED = {"r_precision_text_to_motion_3": True, "kid": False, "action_accuracy": True}


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Kendall's tau-b of two orders of the same things; None where one of them is all ties: 1 the same order, -1 the reverse."""
    x, y = finite("first order", np.asarray(a), 1), finite("second order", np.asarray(b), 1)
    if len(x) != len(y) or len(x) < 2:
        raise StickgenError(f"Kendall's tau: expected two orders of the same 2 or more things, found {len(x)} and {len(y)}")
    left, right = np.triu_indices(len(x), 1)
    first, second = np.sign(x[left] - x[right]), np.sign(y[left] - y[right])
    scale = np.sqrt(np.abs(first).sum() * np.abs(second).sum())
    return float((first * second).sum() / scale) if scale > 0 else None


def agreement(found: Mapping[str, Mapping[str, Mapping[str, float | None]]], least: float) -> dict[str, Any]:
    """Kendall's tau of every pair of evaluators, by measure, and whether a ranking may be claimed.

    found   evaluator -> model -> measure -> value; every evaluator judged the same models
    """
    if len(found) < 2:
        return {"evaluators": sorted(found), "note": "one evaluator: whether rankings depend on it was not measured", "measures": {}}
    models = sorted(next(iter(found.values())))
    for evaluator, judged in found.items():
        if sorted(judged) != models:
            raise StickgenError(f"evaluator {evaluator}: judged {', '.join(sorted(judged))}, others judged {', '.join(models)}")
    if len(models) < 2:
        return {"evaluators": sorted(found), "note": "one model: nothing to rank", "measures": {}}
    measures = {}
    for measure in RANKED:
        values = {name: [judged[m].get(measure) for m in models] for name, judged in found.items()}
        if any(v is None for row in values.values() for v in row):
            continue
        taus = {f"{a} / {b}": kendall_tau(values[a], values[b]) for a, b in combinations(sorted(values), 2)}  # type: ignore[arg-type]
        known = [tau for tau in taus.values() if tau is not None]
        mean = float(np.mean(known)) if known else None
        measures[measure] = {
            "taus": {pair: None if tau is None else round_to(tau) for pair, tau in taus.items()},
            "mean": None if mean is None else round_to(mean), "determined": mean is not None and mean >= least,
        }  # fmt: skip
    return {"evaluators": sorted(found), "models": models, "least": least, "note": "", "measures": measures}
