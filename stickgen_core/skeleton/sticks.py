"""Stick layouts: which segments stand for a body, taken from 22 joints, and the plane they are seen in."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from stickgen_core.errors import ConfigError
from stickgen_core.skeleton.body import JOINT
from stickgen_core.skeleton.config import SkeletonConfig

HEAD_TOP = "head_top"
FEET_MIDDLE = "feet_middle"


@dataclass(frozen=True)
class Segment:
    """A straight stroke between two named points; `share` is the part of body mass that moves with `mass_at`.

    mass_at   pairs of named points whose mean carries the mass, None for the segment's own middle
    """

    name: str
    start: str
    end: str
    share: float
    mass_at: tuple[str, str] | None = None


# Mass shares of design: head .08, torso .50, each arm .05, legs .32 (at the middle of pelvis and feet middle).
STICK20 = (
    Segment("head", "neck", HEAD_TOP, 0.08),
    Segment("torso", "neck", "pelvis", 0.50),
    Segment("left_arm", "left_shoulder", "left_wrist", 0.05),
    Segment("right_arm", "right_shoulder", "right_wrist", 0.05),
    Segment("legs", "left_foot", "right_foot", 0.32, ("pelvis", FEET_MIDDLE)),
)
# The same totals a limb, split between its parts in proportion to Winter's segment masses.
STICK48 = (
    Segment("head", "neck", HEAD_TOP, 0.08),
    Segment("torso", "neck", "pelvis", 0.50),
    Segment("left_upper_arm", "left_shoulder", "left_elbow", 0.028),
    Segment("left_forearm", "left_elbow", "left_wrist", 0.022),
    Segment("right_upper_arm", "right_shoulder", "right_elbow", 0.028),
    Segment("right_forearm", "right_elbow", "right_wrist", 0.022),
    Segment("left_thigh", "left_hip", "left_knee", 0.0994),
    Segment("left_shin", "left_knee", "left_ankle", 0.0462),
    Segment("left_foot", "left_ankle", "left_foot", 0.0144),
    Segment("right_thigh", "right_hip", "right_knee", 0.0994),
    Segment("right_shin", "right_knee", "right_ankle", 0.0462),
    Segment("right_foot", "right_ankle", "right_foot", 0.0144),
)
_LAYOUTS: Mapping[str, tuple[Segment, ...]] = {"stick20": STICK20, "stick48": STICK48}


@dataclass(frozen=True)
class StickLayout:
    """Segments in their stored order; each takes four numbers: start u, v, end u, v."""

    name: str
    segments: tuple[Segment, ...]
    head_top_factor: float

    @property
    def width(self) -> int:
        """Numbers a frame and person."""
        return 4 * len(self.segments)

    @property
    def points(self) -> tuple[str, ...]:
        """Names of the stored points, start and end of each segment in turn."""
        return tuple(name for segment in self.segments for name in (segment.start, segment.end))

    @property
    def segment_names(self) -> tuple[str, ...]:
        return tuple(segment.name for segment in self.segments)

    def index(self, segment: str) -> int:
        """Position of a segment by name; its numbers are motion[..., 4*i : 4*i+4]."""
        return self.segment_names.index(segment)

    @cached_property
    def joint_indices(self) -> np.ndarray:
        """[2S]: the joint that each point is; for the head's top, which is none, the head."""
        return np.array([JOINT["head" if point == HEAD_TOP else point] for point in self.points])

    @cached_property
    def pelvis_weights(self) -> np.ndarray:
        """[2S]: the pelvis as a combination of the stored points."""
        return self._point_weights("pelvis")

    @cached_property
    def mass_weights(self) -> np.ndarray:
        """[2S]: the mass centre as a combination of the stored points; sums to 1."""
        total = np.zeros(len(self.points))
        for segment in self.segments:
            for point in segment.mass_at or (segment.start, segment.end):
                total += 0.5 * segment.share * self._point_weights(point)
        return total

    def _point_weights(self, point: str) -> np.ndarray:
        if point == FEET_MIDDLE:
            return 0.5 * (self._point_weights("left_foot") + self._point_weights("right_foot"))
        weights = np.zeros(len(self.points))
        weights[self.points.index(point)] = 1.0
        return weights


@lru_cache(maxsize=16)
def _layout(name: str, head_top_factor: float) -> StickLayout:
    if name not in _LAYOUTS:
        raise ConfigError(f"stick layout {name!r}: unknown; expected one of {', '.join(_LAYOUTS)}")
    return StickLayout(name, _LAYOUTS[name], head_top_factor)


def stick_layout(name: str | None = None, config: SkeletonConfig | None = None) -> StickLayout:
    """The layout of that name (default: the configured one) with the configured head."""
    config = config or SkeletonConfig()
    return _layout(name or config.layout, config.head_top_factor)


def layout_of_width(width: int) -> StickLayout:
    """The layout whose frames have that many numbers."""
    for name, segments in _LAYOUTS.items():
        if 4 * len(segments) == width:
            return stick_layout(name)
    raise ConfigError(f"motion has {width} numbers a frame; expected {' or '.join(f'{4 * len(s)} ({n})' for n, s in _LAYOUTS.items())}")


def project(points: np.ndarray, azimuth_deg: float | np.ndarray) -> np.ndarray:
    """Orthographic view [..., 3] -> [..., 2]: u = x cos a + z sin a to the right, v = y up. An array of angles broadcasts over [...]."""
    angle = np.deg2rad(np.asarray(azimuth_deg, dtype=np.float64))
    points = np.asarray(points, dtype=np.float64)
    u = points[..., 0] * np.cos(angle) + points[..., 2] * np.sin(angle)
    seen = np.empty((*u.shape, 2))
    seen[..., 0], seen[..., 1] = u, points[..., 1]
    return seen


def stick_points(joints: np.ndarray, layout: StickLayout) -> np.ndarray:
    """The layout's points in space: [..., 22, 3] -> [..., 2S, 3] float64."""
    joints = np.asarray(joints, dtype=np.float64)
    # All points but the head's top are joints: taking them is exact, and faster than a product with many zeros.
    points = joints.take(layout.joint_indices, axis=-2)
    head, neck = joints[..., JOINT["head"], :], joints[..., JOINT["neck"], :]
    points[..., layout.points.index(HEAD_TOP), :] = (1 + layout.head_top_factor) * head - layout.head_top_factor * neck
    return points


def sticks(joints: np.ndarray, layout: StickLayout, azimuth_deg: float) -> np.ndarray:
    """[T, A, 22, 3] (or any leading axes) -> motion [T, A, W] float64. Scale and travel are kept."""
    seen = project(stick_points(joints, layout), azimuth_deg)
    return seen.reshape(*seen.shape[:-2], layout.width)
