"""Several training seeds: t intervals, Welch, Holm, and every point shown. Normality tests are printed, never used to decide.

With 3 seeds a bootstrap interval covers 75 %, not 95 %, and Shapiro-Wilk notices an exponential 8 % of the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.finite import finite
from stickgen_core.evaluation.intervals import Measure, round_to, t_interval, t_quantile

# Simulated power at these n (20,000 draws, 5 % level): Shapiro-Wilk against an exponential, Levene against a threefold standard deviation.
_POWER_SHAPIRO = {3: 0.08, 4: 0.12, 5: 0.17, 6: 0.22, 7: 0.28, 8: 0.33, 9: 0.39, 10: 0.44}
_POWER_LEVENE = {3: 0.00, 4: 0.21, 5: 0.08, 6: 0.30, 7: 0.29, 8: 0.47, 9: 0.51, 10: 0.64}


@dataclass(frozen=True)
class Welch:
    """Difference of two means without assuming equal variances; `p` two-sided, `effect` in pooled standard deviations.

    Where neither group varies and the means differ, nothing says how far they would by accident: all but the difference is None, `note` says why.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    degrees: float | None
    effect: float | None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return {key: round_to(value) if isinstance(value, float) else value for key, value in vars(self).items()}


def welch(a: Sequence[float], b: Sequence[float]) -> Welch:
    """mean(a) - mean(b) with Welch's t; at least two values a side."""
    from scipy.stats import t as student

    x, y = finite("first group", np.asarray(a), 1), finite("second group", np.asarray(b), 1)
    if min(len(x), len(y)) < 2:
        raise StickgenError(f"Welch's test needs at least 2 values a group, found {len(x)} and {len(y)}")
    if np.ptp(x) == np.ptp(y) == 0:
        if x[0] == y[0]:
            return Welch(0.0, 0.0, 0.0, 1.0, float(len(x) + len(y) - 2), 0.0)
        return Welch(float(x[0] - y[0]), None, None, None, None, None, "p not computed: neither group varies")
    part_x, part_y = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    difference = float(x.mean() - y.mean())
    error = float(np.sqrt(part_x + part_y))
    degrees = float((part_x + part_y) ** 2 / (part_x**2 / (len(x) - 1) + part_y**2 / (len(y) - 1)))
    half = float(student.ppf(0.975, degrees)) * error
    pooled = float(np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2))
    return Welch(
        difference,
        difference - half,
        difference + half,
        float(2 * student.sf(abs(difference) / error, degrees)),
        degrees,
        difference / pooled,
    )


def holm(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Holm's adjusted p values of one family of comparisons, each at least the one before it; what has no p is not of the family."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    ordered = sorted(((name, p) for name, p in p_values.items() if p is not None), key=lambda item: (item[1], item[0]))
    for place, (name, p) in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - place) * p))
        adjusted[name] = highest
    return adjusted


def aggregate(values: Mapping[int, float], unit: str = "") -> dict[str, Any]:
    """One measure over training seeds: its t interval (none below n = 3), every point, and what the normality tests can tell.

    values   training seed -> value
    """
    from scipy.stats import shapiro

    points = {str(seed): float(value) for seed, value in sorted(values.items())}
    numbers = finite("values over seeds", np.array(list(points.values())), 1)
    result: dict[str, Any] = {"points": points, "summary": t_interval(numbers, "training seeds", unit).as_json()}
    if len(numbers) >= 3 and np.ptp(numbers) > 0:
        result["shapiro"] = {
            "p": round_to(float(shapiro(numbers).pvalue)),
            "power": _POWER_SHAPIRO.get(len(numbers)),
            "note": f"cannot reject normality at n = {len(numbers)}; decides nothing",
        }
    return result


def variances(*groups: Sequence[float] | np.ndarray) -> dict[str, Any] | None:
    """Levene's test with its power at this n, printed and never gating; None below three values a group."""
    from scipy.stats import levene

    n = min(len(values) for values in groups)
    if n < 3 or len(groups) < 2 or all(np.ptp(values) == 0 for values in groups):
        return None
    p = float(levene(*groups).pvalue)
    power = _POWER_LEVENE.get(n)
    return {"p": round_to(p) if np.isfinite(p) else None, "power": power, "note": "printed, decides nothing"}


def compare_groups(groups: Mapping[str, Sequence[float]], reference: str) -> dict[str, Any]:
    """Every group against a reference: Welch with Holm over the family; Levene printed with its power."""
    if reference not in groups:
        raise StickgenError(f"comparison: no group {reference!r} among {', '.join(groups)}")
    tests = {name: welch(values, groups[reference]) for name, values in groups.items() if name != reference}
    adjusted = holm({name: test.p for name, test in tests.items()})
    result: dict[str, Any] = {
        name: {**test.as_json(), "p_holm": round_to(adjusted[name]) if name in adjusted else None} for name, test in tests.items()
    }
    spread = variances(*groups.values())
    if spread:
        result["levene"] = spread
    return result


def paired(a: Mapping[int, float], b: Mapping[int, float], unit: str = "") -> Measure:
    """Mean difference a - b over the seeds that both have, with its t interval: sharper than Welch where seeds and data order are shared."""
    shared = sorted(set(a) & set(b))
    if not shared:
        raise StickgenError("paired comparison: no seed is in both groups")
    return t_interval([a[seed] - b[seed] for seed in shared], "training seeds", unit)


def detectable_effect(n: int) -> float:
    """Half-width of the t interval in standard deviations at n seeds: what a reader should keep in mind."""
    return t_quantile(n - 1) / np.sqrt(n)
