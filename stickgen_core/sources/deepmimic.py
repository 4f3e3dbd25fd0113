"""DeepMimic clips: JSON rows of 44 numbers, quaternions w,x,y,z and hinges about local Z; Y up, forward +X, right +Z, metres.

Looped clips are unrolled by their cycle's own travel (and turn) until they last long enough to learn from; a clip and its
unrolled form are one recording with one origin. A cycle that does not end as it began is first closed: its last moments turn,
joint by joint, into the pose that it begins with.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.skeleton.kinematics import forward_kinematics, world_rotations
from stickgen_core.skeleton.rotations import (
    axis_angle_to_quaternion,
    normalised,
    quaternion_multiply,
    quaternion_to_matrix,
    rotation_about,
    slerp,
)
from stickgen_core.sources.actions import labels_for
from stickgen_core.sources.assemble import NECK_TO_HEAD_M, assemble
from stickgen_core.sources.files import matching, read_text, walk
from stickgen_core.sources.reader import Discovery, Unit
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.templates import labelled

ROW_WIDTH = 44
# Joint, parent, offset from the parent (m): the humanoid.urdf of the same package, times 0.25.
SKELETON: tuple[tuple[str, int, tuple[float, float, float]], ...] = (
    ("pelvis", -1, (0, 0, 0)), ("spine3", 0, (0, 0.2362, 0)), ("neck", 1, (0, 0.2239, 0)),
    ("right_hip", 0, (0, 0, 0.0849)), ("right_knee", 3, (0, -0.4215, 0)), ("right_ankle", 4, (0, -0.4099, 0)),
    ("right_shoulder", 1, (-0.0241, 0.2435, 0.1831)), ("right_elbow", 6, (0, -0.2748, 0)), ("right_wrist", 7, (0, -0.2589, 0)),
    ("left_hip", 0, (0, 0, -0.0849)), ("left_knee", 9, (0, -0.4215, 0)), ("left_ankle", 10, (0, -0.4099, 0)),
    ("left_shoulder", 1, (-0.0241, 0.2435, -0.1831)), ("left_elbow", 12, (0, -0.2748, 0)), ("left_wrist", 13, (0, -0.2589, 0)),
)  # fmt: skip
NAMES = tuple(name for name, _, _ in SKELETON)
PARENTS = tuple(parent for _, parent, _ in SKELETON)
OFFSETS = np.array([offset for _, _, offset in SKELETON], np.float64)
# Where each joint's rotation begins in a row, and how many numbers it has; wrists have none.
ROTATIONS = {"pelvis": (4, 4), "spine3": (8, 4), "neck": (12, 4), "right_hip": (16, 4), "right_knee": (20, 1), "right_ankle": (21, 4),
             "right_shoulder": (25, 4), "right_elbow": (29, 1), "left_hip": (30, 4), "left_knee": (34, 1), "left_ankle": (35, 4),
             "left_shoulder": (39, 4), "left_elbow": (43, 1)}  # fmt: skip
# Ankle to toe base in the foot's own frame; the foot has no joint of its own here.
TOE_OFFSET = np.array([0.13, -0.05, 0.0])
# A cycle that turns less than this closes on itself: the rest is capture noise that must not bend the path.
STRAIGHT_RAD = np.deg2rad(15.0)


class DeepMimicReader:
    version = 2

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.min_duration_s = float(spec.options.get("min_duration_s", 0.0))
        self.close_s = float(spec.options.get("close_s", 0.5))
        self.labels = labels_for("deepmimic")

    def fingerprint(self, raw: Path) -> str:
        return self.labels.digest()

    def discover(self, raw: Path) -> Discovery:
        files = matching(walk(raw), "humanoid3d_*.txt", "walker/*.txt", "*.json")
        units = [Unit(Path(file).stem.removeprefix("humanoid3d_"), (file,)) for file in files]
        return Discovery(tuple(units))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        rows, loop = parse(read_text(raw, unit.files[0]), unit.files[0])
        dt = float(np.median(rows[:-1, 0]))
        if not dt > 0:
            raise BadRecording("bad_rate", f"{unit.files[0]}: time step {dt:g} s")
        cycles = max(1, int(np.ceil(self.min_duration_s / dt / (len(rows) - 1)))) if loop else 1
        yaw_rad = cycle_turn(rows)
        if cycles > 1:
            rows = closed(rows, yaw_rad, round(self.close_s / dt))
        joints, source = _joints(rows)
        if cycles > 1:
            joints = unroll(joints, rows[:, 1:4], yaw_rad, cycles)
        joints = np.stack([-joints[..., 2], joints[..., 1], joints[..., 0]], axis=-1)[:, None]
        duration = len(joints) * dt
        labels, texts, extra = labelled(self.labels, [_word(unit.key), unit.key], duration)
        yield Recording(
            key=unit.key, origin=self.spec.origin_of(key=unit.key), file=unit.files[0], fps=1.0 / dt, joints=joints,
            present=np.ones(joints.shape[:2], bool), joint_source=source, texts=texts, labels=labels,
            extra={"cycles": cycles, "loop": loop, **extra},
        )  # fmt: skip


def parse(text: str, name: str) -> tuple[np.ndarray, bool]:
    """Rows [T, 44] and whether the clip is a loop."""
    try:
        found: Any = json.loads(text)
        rows = np.array(found["Frames"], np.float64)
        loop = str(found.get("Loop", "none")).lower() == "wrap"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadRecording("not_deepmimic", f"{name}: expected JSON with Loop and Frames ({type(error).__name__})") from None
    if rows.ndim != 2 or rows.shape[1] != ROW_WIDTH:
        raise BadRecording("wrong_skeleton", f"{name}: expected rows of {ROW_WIDTH} numbers, found {list(rows.shape)}; not a humanoid clip")
    if len(rows) < 2 or not np.isfinite(rows).all():
        raise BadRecording("non_finite" if len(rows) >= 2 else "empty", f"{name}: {len(rows)} rows, all must be finite")
    return rows, loop


def _joints(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rotations = np.tile(np.eye(3), (len(rows), len(NAMES), 1, 1))
    for name, (start, width) in ROTATIONS.items():
        values = rows[:, start : start + width]
        rotations[:, NAMES.index(name)] = quaternion_to_matrix(values) if width == 4 else rotation_about("Z", values[:, 0])
    positions = forward_kinematics(rotations, OFFSETS, PARENTS, rows[:, 1:4])
    world = world_rotations(rotations, PARENTS)
    points = {name: positions[:, index] for index, name in enumerate(NAMES)}
    points["head"] = points["neck"] + NECK_TO_HEAD_M * world[:, NAMES.index("neck"), :, 1]
    for side in ("left", "right"):
        ankle = NAMES.index(f"{side}_ankle")
        points[f"{side}_foot"] = positions[:, ankle] + world[:, ankle] @ TOE_OFFSET
    return assemble(points, derived={"head", "left_foot", "right_foot"})


def cycle_turn(rows: np.ndarray) -> float:
    """How far (rad) a cycle turns about the vertical; 0 for one that goes straight."""
    turn = quaternion_to_matrix(rows[[0, -1], 4:8])
    headings = np.arctan2(-turn[:, 2, 0], turn[:, 0, 0])
    yaw = float(np.angle(np.exp(1j * (headings[1] - headings[0]))))
    return yaw if abs(yaw) > STRAIGHT_RAD else 0.0


def closed(rows: np.ndarray, yaw_rad: float, frames: int) -> np.ndarray:
    """Rows [T, 44] whose last pose is the first one, turned by the cycle: what is amiss is made up for over the last frames.

    Rotations are turned, never positions, so bones keep their lengths; the root keeps its travel and comes to its first height.
    """
    frames = min(frames, len(rows) - 1)
    share = np.zeros(len(rows))
    ramp = np.arange(frames + 1) / frames
    share[-frames - 1 :] = ramp * ramp * (3 - 2 * ramp)
    done = rows.copy()
    done[:, 2] += share * (rows[0, 2] - rows[-1, 2])
    for name, (start, width) in ROTATIONS.items():
        columns = slice(start, start + width)
        if width == 1:
            done[:, columns] += share[:, None] * (rows[0, columns] - rows[-1, columns])
            continue
        first = normalised(rows[0, columns])
        if name == "pelvis":
            first = quaternion_multiply(axis_angle_to_quaternion([0.0, yaw_rad, 0.0]), first)
        amiss = quaternion_multiply(first, normalised(rows[-1, columns]) * [1.0, -1.0, -1.0, -1.0])
        done[:, columns] = quaternion_multiply(slerp([1.0, 0.0, 0.0, 0.0], amiss, share), normalised(rows[:, columns]))
    return done


def unroll(joints: np.ndarray, position: np.ndarray, yaw_rad: float, cycles: int) -> np.ndarray:
    """Repeat a cycle [T, 22, 3], each moved by the travel and turn of the one before; the doubled border frame goes once."""
    step = rotation_about("Y", yaw_rad)
    flat = np.array([1.0, 0.0, 1.0])
    start, end = position[0] * flat, position[-1] * flat
    parts, rotation, origin = [joints[:1]], np.eye(3), start
    for _ in range(cycles):
        parts.append((joints[1:] - start) @ rotation.T + origin)
        origin = origin + rotation @ (end - start)
        rotation = step @ rotation
    return np.concatenate(parts)


def _word(key: str) -> str:
    return key.rstrip("0123456789")
