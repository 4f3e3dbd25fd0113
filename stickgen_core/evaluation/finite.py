"""Input that no metric may see: an array with a NaN, an infinity or the wrong shape is refused before anything is computed."""

import numpy as np

from stickgen_core.errors import StickgenError


def finite(name: str, values: np.ndarray, dimensions: int | None = None) -> np.ndarray:
    """`values` in float64, or an error that names the first bad entry; a metric of NaN must never look like a good one."""
    found = np.asarray(values, np.float64)
    if dimensions is not None and found.ndim != dimensions:
        raise StickgenError(f"{name}: expected {dimensions} dimensions, found shape {found.shape}")
    if found.size == 0:
        raise StickgenError(f"{name}: nothing to measure, shape {found.shape}")
    bad = ~np.isfinite(found)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise StickgenError(f"{name}: {int(bad.sum())} of {found.size} values are not finite, the first at {where}; nothing is measured")
    return found
