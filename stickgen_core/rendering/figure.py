"""The body to draw: named points in space, the limbs between them and where it faces; the same for joints and for both stick layouts."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.rendering.scene import Scene
from stickgen_core.skeleton import JOINT_NAMES, SkeletonConfig
from stickgen_core.skeleton.sticks import HEAD_TOP

# Paths through the body; points that a source does not have are skipped, so each path is drawn with what there is.
CHAINS: tuple[tuple[str, ...], ...] = (
    ("neck", "spine3", "spine2", "spine1", "pelvis"),
    ("neck", HEAD_TOP),
    ("neck", "left_shoulder", "left_elbow", "left_wrist"),
    ("neck", "right_shoulder", "right_elbow", "right_wrist"),
    ("pelvis", "left_hip", "left_knee", "left_ankle", "left_foot"),
    ("pelvis", "right_hip", "right_knee", "right_ankle", "right_foot"),
)
# Half the distance between the shoulders of an adult, to tell from the side view how far a flat figure is turned.
SHOULDER_SPAN_M = 0.34
# Where on the way from neck to head top the head's circle has its middle, and its radius.
HEAD_MIDDLE, HEAD_RADIUS_M = 0.6, 0.115


@dataclass(frozen=True)
class Figure:
    """points [T, A, P, 3] (x right, y up), facing [T, A, 3], present [T, A]; `flat` if the points lie in the stick plane (z = 0)."""

    names: tuple[str, ...]
    points: np.ndarray
    facing: np.ndarray
    present: np.ndarray
    flat: bool

    def index(self, name: str) -> int:
        return self.names.index(name)

    @property
    def bones(self) -> list[tuple[int, int, str]]:
        """(start, end, side) with side "left", "right" or "middle"."""
        found = []
        for chain in CHAINS:
            known = [name for name in chain if name in self.names]
            for start, end in zip(known, known[1:], strict=False):
                side = end.split("_")[0] if end.startswith(("left_", "right_")) else "middle"
                found.append((self.index(start), self.index(end), side))
        return found


def figure_of(scene: Scene, three_d: bool, skeleton: SkeletonConfig | None = None) -> Figure:
    """Joints in space if asked for and present, else the stick motion in its plane."""
    if three_d and scene.joints is not None:
        return figure_of_joints(scene.joints, scene.present, skeleton)
    return _figure_of_sticks(scene)


def figure_of_joints(joints: np.ndarray, present: np.ndarray, skeleton: SkeletonConfig | None = None) -> Figure:
    """[T, A, 22, 3] -> the 22 joints and the top of the head."""
    joints = np.asarray(joints, dtype=np.float64)
    at = {name: joints[..., n, :] for n, name in enumerate(JOINT_NAMES)}
    factor = (skeleton or SkeletonConfig()).head_top_factor
    top = at["head"] + factor * (at["head"] - at["neck"])
    across = at["left_shoulder"] - at["right_shoulder"]
    facing = np.cross(across, at["neck"] - at["pelvis"])
    facing /= np.maximum(np.linalg.norm(facing, axis=-1, keepdims=True), 1e-9)
    return Figure((*JOINT_NAMES, HEAD_TOP), np.concatenate([joints, top[..., None, :]], axis=-2), facing, present, flat=False)


def _figure_of_sticks(scene: Scene) -> Figure:
    layout = scene.layout
    flat = scene.motion.astype(np.float64).reshape(scene.frames, scene.actors, len(layout.points), 2)
    names = tuple(dict.fromkeys(layout.points))
    chosen = flat[:, :, [layout.points.index(name) for name in names]]
    points = np.concatenate([chosen, np.zeros((*chosen.shape[:-1], 1))], axis=-1)
    toward = (points[..., names.index("left_shoulder"), 0] - points[..., names.index("right_shoulder"), 0]) / SHOULDER_SPAN_M
    toward = np.clip(toward, -1, 1)
    travel = points[-1, :, names.index("pelvis"), 0] - points[0, :, names.index("pelvis"), 0]
    aside = np.sqrt(1 - toward**2) * np.tanh(travel / max(scene.seconds, 1e-9) / 0.3)
    facing = np.stack([aside, np.zeros_like(aside), toward], axis=-1)
    return Figure(names, points, facing, scene.present, flat=True)
