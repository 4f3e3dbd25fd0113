"""Measures of a drawn motion that need no network: jerk, energy, sliding feet, the ground, stretched limbs, torn joints.

Everything is in metres and seconds. A clip is [T, A, W] with the bool mask present [T, A]; derivatives are taken only where every
frame they need shows the person. All functions give one number a clip; sets are compared by `ratio`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.finite import finite
from stickgen_core.evaluation.intervals import Measure, grouped_jackknife, not_computed
from stickgen_core.skeleton.sticks import StickLayout


@dataclass(frozen=True)
class Anatomy:
    """What the numbers of a stick layout are, as indices of segment ends (segment s starts at end 2s and stops at end 2s + 1).

    feet      ends that may touch the ground
    pelvis    the end that is the pelvis
    joined    pairs of ends that are the same joint of the body and must coincide
    """

    segments: int
    feet: tuple[int, ...]
    pelvis: int
    joined: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, layout: StickLayout) -> "Anatomy":
        """From the named points at which each segment starts and stops."""
        ends = layout.points
        first = {name: ends.index(name) for name in ends}
        joined = tuple((first[name], place) for place, name in enumerate(ends) if first[name] != place)
        if "pelvis" not in first:
            raise StickgenError(f"stick layout {layout.name}: no segment ends at the pelvis; kinematic measures need one that does")
        return cls(
            len(layout.segments), tuple(p for p, name in enumerate(ends) if name in ("left_foot", "right_foot")), first["pelvis"], joined
        )


@dataclass(frozen=True)
class Motion:
    """One clip to measure: motion [T, A, W] in metres, present [T, A]."""

    motion: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, motion: np.ndarray, present: np.ndarray | None = None) -> "Motion":
        """Checks shape and finiteness once; [T, W] is one person."""
        found = finite("motion", motion)
        found = found[:, None] if found.ndim == 2 else found
        seen = np.ones(found.shape[:2], bool) if present is None else np.asarray(present, bool).reshape(found.shape[:2])
        return cls(found, seen)

    def ends(self) -> np.ndarray:
        """[T, A, 2 x segments, 2]."""
        return self.motion.reshape(*self.motion.shape[:2], -1, 2)

    def difference(self, order: int) -> np.ndarray:
        """Differences of that order at the (t, a) where the person is there throughout: [n, ends, 2]."""
        if len(self.motion) <= order:
            return np.zeros((0, self.motion.shape[2] // 2, 2))
        whole = np.lib.stride_tricks.sliding_window_view(self.present, order + 1, axis=0).all(-1)
        return np.diff(self.ends(), n=order, axis=0)[whole]


def jerk(clip: Motion, fps: float) -> float:
    """Mean size of the third derivative of the segment ends, m/s³."""
    return _mean(np.linalg.norm(clip.difference(3), axis=-1)) * fps**3


def energy(clip: Motion, fps: float) -> float:
    """Mean squared speed of the segment ends, m²/s²: zero when frozen."""
    return _mean(np.square(clip.difference(1)).sum(-1)) * fps**2


def foot_slide(clip: Motion, anatomy: Anatomy, fps: float, contact_height_m: float, contact_speed_m_s: float) -> float:
    """Mean horizontal speed (m/s) of feet in contact: low, and hardly moving up or down. Zero where no foot ever is."""
    feet = clip.ends()[:, :, list(anatomy.feet)]
    if len(feet) < 2:
        return 0.0
    step = np.diff(feet, axis=0) * fps
    there = (clip.present[1:] & clip.present[:-1])[..., None]
    low = np.maximum(feet[1:, ..., 1], feet[:-1, ..., 1]) < contact_height_m
    contact = low & (np.abs(step[..., 1]) < contact_speed_m_s) & there
    return _mean(np.abs(step[..., 0])[contact])


def ground_depth(clip: Motion) -> float:
    """Mean depth (m) of the lowest segment end below the ground, over frames."""
    lowest = clip.ends()[..., 1].min(-1)[clip.present]
    return _mean(np.clip(-lowest, 0, None))


def segment_lengths(clip: Motion) -> np.ndarray:
    """[n, segments] drawn lengths (m)."""
    ends = clip.ends()
    return np.linalg.norm(ends[:, :, 0::2] - ends[:, :, 1::2], axis=-1)[clip.present]


def overshoot(clip: Motion, longest_m: np.ndarray) -> float:
    """Mean relative length beyond the longest drawn length of each segment in real training clips; projection only shortens."""
    return _mean(np.clip(segment_lengths(clip) / longest_m - 1, 0, None))


def torn_joints(clip: Motion, anatomy: Anatomy) -> float:
    """Mean distance (m) of segment ends that are the same joint."""
    if not anatomy.joined:
        return 0.0
    ends = clip.ends()[clip.present]
    left, right = np.array(anatomy.joined).T
    return _mean(np.linalg.norm(ends[:, left] - ends[:, right], axis=-1))


def temporal_consistency(clip: Motion) -> float:
    """Lag-one correlation of the ends' frame-to-frame displacements: ~1 smooth, 0 unrelated, -0.5 white noise; 0 where frozen."""
    steps = np.diff(clip.ends(), axis=0)
    there = clip.present[1:] & clip.present[:-1]
    both = there[1:] & there[:-1]
    first, second = steps[:-1][both], steps[1:][both]
    power = np.sqrt(np.square(first).sum() * np.square(second).sum()) if len(first) else 0.0
    return float((first * second).sum() / power) if power > 0 else 0.0


def plausible_share(clip: Motion, anatomy: Anatomy, fps: float, speed_m_s: float, acceleration_m_s2: float) -> float:
    """Physics consistency: share of frames whose pelvis keeps below both limits. A frame pair jump breaks both."""
    speed = np.linalg.norm(clip.difference(1)[:, anatomy.pelvis], axis=-1) * fps
    acceleration = np.linalg.norm(clip.difference(2)[:, anatomy.pelvis], axis=-1) * fps**2
    return min(_share(speed <= speed_m_s), _share(acceleration <= acceleration_m_s2))


def ratio(values: np.ndarray, real: np.ndarray, groups: int = 10) -> Measure:
    """Mean over generated clips against the mean over real ones: 1 is like the real set."""
    a, b = finite("generated", values, 1), finite("real", real, 1)
    if b.mean() <= 0:
        return not_computed("not computed: the real set measures 0", len(a), unit="x real")

    def of(keep_a: np.ndarray, keep_b: np.ndarray) -> float:
        bottom = b[keep_b].mean()
        return float(a[keep_a].mean() / bottom) if bottom > 0 else 0.0

    return grouped_jackknife(of, len(a), len(b), groups, unit="x real")


def longest_segments(clips: Sequence[Motion], quantile: float) -> np.ndarray:
    """The drawn length (m) of each segment that real clips hardly ever exceed: [segments]."""
    return np.maximum(np.quantile(np.concatenate([segment_lengths(c) for c in clips]), quantile, axis=0), 1e-6)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 1.0
