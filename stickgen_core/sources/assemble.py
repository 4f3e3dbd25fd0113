"""The 22 joints from the joints that a source has: what is measured is kept, what is missing is derived by one stated rule each."""

from collections.abc import Collection, Mapping

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.skeleton.body import JOINT_COUNT, JOINT_NAMES
from stickgen_core.skeleton.rotations import normalised
from stickgen_core.sources.recording import JointSource

# Lengths (m) of an average adult, used only where a source has no such joint.
NECK_TO_HEAD_M = 0.115
ANKLE_TO_TOE_M = 0.13
ANKLE_HEIGHT_M = 0.06
SIDES = ("left", "right")


def assemble(points: Mapping[str, np.ndarray], derived: Collection[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Named points [..., 3] -> joints [..., 22, 3] and joint_source [22].

    Required: knees, ankles, shoulders, elbows, wrists, hips. Rules for the rest:
    pelvis = middle of the hips; neck = middle of the shoulders; spine3 = 0.7 of the way from pelvis to neck; spine1 and
    spine2 = thirds from pelvis to spine3; collars = 0.35 of the way from neck to shoulder; head = 0.115 m beyond the neck
    along spine3 -> neck; foot = 0.13 m in front of the ankle and 0.06 m below it, in the frame of shin and hips.

    derived   names among `points` that the reader itself computed by a rule
    """
    known = {name: np.asarray(values, np.float64) for name, values in points.items()}
    lacking = [f"{side}_{part}" for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist") for side in SIDES
               if f"{side}_{part}" not in known]  # fmt: skip
    if lacking:
        raise BadRecording("wrong_skeleton", f"no joint for {', '.join(lacking)}")
    measured = set(known) - set(derived)
    _derive_trunk(known)
    for side in SIDES:
        known.setdefault(f"{side}_collar", _between(known["neck"], known[f"{side}_shoulder"], 0.35))
        if f"{side}_foot" not in known:
            known[f"{side}_foot"] = _toe(known, side)
    joints = np.stack([known[name] for name in JOINT_NAMES], axis=-2)
    source = np.full(JOINT_COUNT, JointSource.DERIVED, np.uint8)
    source[[index for index, name in enumerate(JOINT_NAMES) if name in measured]] = JointSource.MEASURED
    return joints, source


def _between(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    return start + share * (end - start)


def _derive_trunk(known: dict[str, np.ndarray]) -> None:
    known.setdefault("pelvis", _between(known["left_hip"], known["right_hip"], 0.5))
    known.setdefault("neck", _between(known["left_shoulder"], known["right_shoulder"], 0.5))
    known.setdefault("spine3", _between(known["pelvis"], known["neck"], 0.7))
    known.setdefault("spine1", _between(known["pelvis"], known["spine3"], 1 / 3))
    known.setdefault("spine2", _between(known["pelvis"], known["spine3"], 2 / 3))
    known.setdefault("head", known["neck"] + NECK_TO_HEAD_M * normalised(known["neck"] - known["spine3"]))


def _toe(known: Mapping[str, np.ndarray], side: str) -> np.ndarray:
    up = normalised(known[f"{side}_knee"] - known[f"{side}_ankle"])
    forward = normalised(np.cross(known["left_hip"] - known["right_hip"], up))
    return known[f"{side}_ankle"] + ANKLE_TO_TOE_M * forward - ANKLE_HEIGHT_M * up
