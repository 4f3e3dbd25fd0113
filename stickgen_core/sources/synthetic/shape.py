"""A body's proportions: bone lengths drawn from one stature and a few ratios, constant over a recording."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """Lengths in metres; offsets that do not bend are [3] vectors in the axes of their parent, left side (right is mirrored).

    Ratios to stature after the neutral SMPL body (1.70 m): thigh .224, shin .235, upper arm .153, forearm .147.
    """

    stature: float
    thigh: float
    shin: float
    foot: np.ndarray
    hip: np.ndarray
    spine: tuple[np.ndarray, np.ndarray, np.ndarray]
    neck: np.ndarray
    head: np.ndarray
    collar: np.ndarray
    shoulder: np.ndarray
    upper_arm: float
    forearm: float

    @property
    def leg(self) -> float:
        return self.thigh + self.shin

    @property
    def arm(self) -> float:
        return self.upper_arm + self.forearm

    @property
    def ankle_height(self) -> float:
        """Of the ankle over the ball of a flat foot."""
        return float(-self.foot[1])

    @property
    def standing(self) -> float:
        """Pelvis height over the balls of the feet, knees hardly bent."""
        return self.ankle_height + 0.985 * self.leg - float(self.hip[1])

    @property
    def stance(self) -> float:
        """Sideways distance of a foot from the midline in a relaxed stance."""
        return float(self.hip[0]) * 1.25


def draw_shape(rng: np.random.Generator) -> Shape:
    """Adult proportions; the three ratios vary independently by a few per cent."""
    stature = float(rng.uniform(1.55, 1.92))
    legs, arms, width = (float(v) for v in rng.uniform((0.95, 0.95, 0.92), (1.05, 1.05, 1.10)))
    s = stature / 1.70
    vector = lambda x, y, z: s * np.array([x, y, z])  # noqa: E731 - a local shorthand for the table below
    return Shape(
        stature=stature,
        thigh=0.380 * s * legs,
        shin=0.400 * s * legs,
        foot=vector(0.015, -0.060, 0.120),
        hip=vector(0.075 * width, -0.090, 0.0),
        spine=(vector(0, 0.120, -0.010), vector(0, 0.135, 0.010), vector(0, 0.055, 0.0)),
        neck=vector(0, 0.210, -0.010),
        head=vector(0, 0.095, 0.030),
        collar=vector(0.075, 0.120, -0.010),
        shoulder=vector(0.110 * width, 0.035, -0.010),
        upper_arm=0.260 * s * arms,
        forearm=0.250 * s * arms,
    )
