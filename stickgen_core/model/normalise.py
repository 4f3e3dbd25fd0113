"""Between metres and the network's numbers: pelvis-relative points, standardised with statistics of the train split.

Every point but the pelvis is expressed relative to it before standardising. In absolute coordinates travel of several metres sets
the scale and a raised arm is a few per cent of it; relative to the pelvis both have unit variance.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stickgen_core.errors import ConfigError
from stickgen_core.records.digests import digest_fields
from stickgen_core.skeleton.sticks import layout_of_width


@dataclass(frozen=True)
class Statistics:
    """Means and scales, all float64 on the host.

    mean, std [W]             of the pelvis-relative motion
    step_std, bend_std [W]    of first and second frame differences, in standardised units
    physics_mean, physics_std [6]
    source                    digest of the corpus they were measured on; `split`, clips and frames say on what part
    """

    mean: np.ndarray
    std: np.ndarray
    step_std: np.ndarray
    bend_std: np.ndarray
    physics_mean: np.ndarray
    physics_std: np.ndarray
    source: str
    split: str
    clips: int
    frames: int
    fps: float

    ARRAYS = ("mean", "std", "step_std", "bend_std", "physics_mean", "physics_std")

    @property
    def width(self) -> int:
        return len(self.mean)

    @cached_property
    def digest(self) -> str:
        scalars = {"source": self.source, "split": self.split, "clips": self.clips, "frames": self.frames, "fps": float(self.fps)}
        return digest_fields("statistics.v1", {name: getattr(self, name) for name in self.ARRAYS}, scalars)

    def to_dict(self) -> dict[str, Any]:
        """Plain tensors and values, as a checkpoint keeps them."""
        arrays = {name: torch.from_numpy(np.asarray(getattr(self, name), np.float64).copy()) for name in self.ARRAYS}
        return {**arrays, "source": self.source, "split": self.split, "clips": self.clips, "frames": self.frames, "fps": self.fps}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Statistics":
        return cls(**{name: value.numpy() if isinstance(value, Tensor) else value for name, value in values.items()})

    def require_width(self, width: int) -> None:
        if self.width != width:
            raise ConfigError(f"motion is {self.width} wide in the corpus, model.input_dim is {width}; choose one stick layout")


def pelvis_columns(width: int) -> tuple[int, int]:
    """Columns of the pelvis' u and v in a frame of that width."""
    first = 2 * layout_of_width(width).points.index("pelvis")
    return first, first + 1


def relative(motion: Any, sign: int = -1) -> Any:
    """[...,W] with every point but the pelvis relative to it (sign −1), or back (sign +1); NumPy or torch."""
    width = motion.shape[-1]
    u, _ = pelvis_columns(width)
    keep = np.zeros(width // 2, bool)
    keep[u // 2] = True
    points = motion.reshape(*motion.shape[:-1], width // 2, 2)
    pelvis = points[..., u // 2 : u // 2 + 1, :]
    if isinstance(motion, np.ndarray):
        return np.where(keep[:, None], points, points + sign * pelvis).reshape(motion.shape)
    return torch.where(torch.from_numpy(keep).to(motion.device)[:, None], points, points + sign * pelvis).reshape(motion.shape)


class Normaliser:
    """The statistics as tensors on one device, for the objective and the generator."""

    def __init__(self, statistics: Statistics, device: torch.device | str = "cpu"):
        self.statistics, self.fps = statistics, statistics.fps
        for name in Statistics.ARRAYS:
            setattr(self, name, torch.tensor(getattr(statistics, name), dtype=torch.float32, device=device))

    mean: Tensor
    std: Tensor
    step_std: Tensor
    bend_std: Tensor
    physics_mean: Tensor
    physics_std: Tensor

    def motion(self, metres: Tensor) -> Tensor:
        """[...,W] metres -> standardised."""
        return (relative(metres) - self.mean) / self.std

    def metres(self, motion: Tensor) -> Tensor:
        """[...,W] standardised -> metres."""
        return relative(motion * self.std + self.mean, +1)

    def physics(self, physics: Tensor) -> Tensor:
        """[...,6] physical units -> standardised."""
        return (physics - self.physics_mean) / self.physics_std
