"""A measured number: its value, its interval, how many items it came from, and what varies in the interval."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.finite import finite
from stickgen_core.records.seeds import generator

# Two-sided 95 % quantiles of Student's t by degrees of freedom; scipy is not a dependency of the core.
_T_975 = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314,
    2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
)  # fmt: skip
_Z_975 = 1.959964


@dataclass(frozen=True)
class Measure:
    """value ± interval. `value` is None where the number was not computed, and `note` then says why.

    over   what varies in the interval: "items", "repetitions", "training seeds"; empty without an interval
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    over: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not np.isfinite(number):
                raise StickgenError(f"a measure's {name} is {number}; a number that is not finite is never reported")

    def as_json(self) -> dict[str, Any]:
        """Plain values; floats to eight significant digits, so that equal work gives equal digests."""
        return {key: round_to(value) if isinstance(value, float) else value for key, value in asdict(self).items()}

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> "Measure":
        return cls(**values)


def round_to(value: float, digits: int = 8) -> float:
    return float(f"{value:.{digits}g}")


def not_computed(note: str, n: int = 0, unit: str = "") -> Measure:
    return Measure(None, n=n, unit=unit, note=note)


def t_quantile(degrees: int) -> float:
    """97.5 % quantile of Student's t; above the table the usual expansion in 1/degrees."""
    if degrees < 1:
        raise StickgenError(f"a t interval needs at least 2 values, found {degrees + 1}")
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z = _Z_975
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def t_interval(values: Sequence[float] | np.ndarray, over: str, unit: str = "", minimum: int = 3) -> Measure:
    """Mean and 95 % t interval, standard deviation with ddof 1; below `minimum` values no interval is claimed."""
    found = finite("values", np.asarray(values, np.float64), 1)
    n = len(found)
    mean = float(found.mean())
    if n < minimum:
        return Measure(mean, n=n, unit=unit, note=f"no interval: {n} {over}, at least {minimum} needed")
    half = t_quantile(n - 1) * float(found.std(ddof=1)) / np.sqrt(n)
    return Measure(mean, mean - half, mean + half, n, unit, over)


def wilson(successes: float, n: int, unit: str = "share") -> Measure:
    """A share with Wilson's 95 % interval, which stays inside [0, 1] and is never empty at 0 or 1."""
    if n == 0:
        return not_computed("not computed: no items", unit=unit)
    share, z2 = successes / n, _Z_975**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_975 * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At 0 and at n successes the closed form touches the bound up to a rounding error; the value must lie inside.
    return Measure(share, float(min(share, max(0.0, centre - half))), float(max(share, min(1.0, centre + half))), n, unit, "items")


def bootstrap(items: np.ndarray, seed: int, name: str, resamples: int, unit: str = "") -> Measure:
    """Mean over items with a percentile interval over resampled items; right for many items, never used over seeds."""
    found = finite(name, items, 1)
    draws = generator(seed, "bootstrap", name, len(found)).integers(0, len(found), (resamples, len(found)))
    low, high = np.quantile(found[draws].mean(1), [0.025, 0.975])
    return Measure(float(found.mean()), float(low), float(high), len(found), unit, "items")


def grouped_jackknife(
    statistic: Callable[[np.ndarray, np.ndarray], float], n: int, m: int, groups: int, unit: str = ""
) -> Measure:  # fmt: skip
    """A statistic of two sets with a t interval from leaving out one of `groups` interleaved groups of each side at a time."""
    all_n, all_m = np.arange(n), np.arange(m)
    value = statistic(all_n, all_m)
    if min(n, m) < 2 * groups:
        return Measure(value, n=min(n, m), unit=unit, note=f"no interval: fewer than {2 * groups} samples")
    without = np.array([statistic(all_n[all_n % groups != g], all_m[all_m % groups != g]) for g in range(groups)])
    error = np.sqrt((groups - 1) / groups * np.square(without - without.mean()).sum())
    half = t_quantile(groups - 1) * float(error)
    return Measure(value, value - half, value + half, min(n, m), unit, "items")
