"""Some of a picture's strokes before they are put in order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Parts:
    """ends [T, N, 2, 2] px, widths [T, N, 2] px, colours [N, 3], depth [T, N] (larger is nearer), visible [T, N]."""

    ends: np.ndarray
    widths: np.ndarray
    colours: np.ndarray
    depth: np.ndarray
    visible: np.ndarray


def joined(parts: Sequence[Parts]) -> Parts:
    return Parts(
        np.concatenate([p.ends for p in parts], axis=1),
        np.concatenate([p.widths for p in parts], axis=1),
        np.concatenate([p.colours for p in parts], axis=0),
        np.concatenate([p.depth for p in parts], axis=1),
        np.concatenate([p.visible for p in parts], axis=1),
    )
