"""One known motion at any rate: an upright person walks 3 m forward, raises the left hand, turns right, sits; and what must be true of it."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.canonical.space import heading
from stickgen_core.corpus.clip import Clip
from stickgen_core.skeleton.body import JOINT, JOINT_COUNT, PARENTS
from stickgen_core.skeleton.kinematics import forward_kinematics
from stickgen_core.skeleton.rotations import rotation_about

SECONDS = 8.0
# A frame of the slowest format, 12.5 Hz.
CONTACT_S = 0.08
WALK_S, RAISE_S, TURN_S = 3.0, 4.5, 6.0
# A T-pose of plain numbers: Y up, facing +Z, left along +X; the pelvis is off the origin as in the SMPL family.
REST = np.array([
    [0, 0, 0], [.08, -.08, 0], [-.08, -.08, 0], [0, .11, -.02], [.10, -.47, 0], [-.10, -.47, 0], [0, .24, -.01], [.09, -.87, -.03],
    [-.09, -.87, -.03], [0, .30, 0], [.11, -.93, .10], [-.11, -.93, .10], [0, .50, -.01], [.07, .41, -.01], [-.07, .41, -.01],
    [0, .60, .03], [.18, .43, -.01], [-.18, .43, -.01], [.44, .43, -.02], [-.44, .43, -.02], [.70, .43, -.02], [-.70, .43, -.02],
]) + np.array([0.0, -0.22, 0.03])  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """rotations [T, 22, 3, 3] local, pelvis [T, 3], joints [T, 22, 3]; Y up, metres."""

    fps: float
    rotations: np.ndarray
    pelvis: np.ndarray
    joints: np.ndarray


def offsets() -> np.ndarray:
    found = REST.copy()
    found[1:] -= REST[list(PARENTS[1:])]
    return found


def known_motion(fps: float, seconds: float = SECONDS) -> Motion:
    t = np.arange(int(np.floor(seconds * fps)) + 1) / fps
    walking, raised, turned, seated = (
        ramp(t, *span) for span in ((WALK_S, WALK_S + 0.3), (WALK_S, RAISE_S), (RAISE_S, TURN_S), (TURN_S, 8.0))
    )
    stride = np.deg2rad(25) * np.sin(2 * np.pi * t) * (1 - walking)
    rotations = np.tile(np.eye(3), (len(t), JOINT_COUNT, 1, 1))
    rotations[:, JOINT["pelvis"]] = rotation_about("Y", -np.pi / 2 * turned)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        lift = np.deg2rad(35) * np.clip(np.sin(2 * np.pi * t + sign * np.pi / 2), 0, 1) * (1 - walking)
        rotations[:, JOINT[f"{side}_hip"]] = rotation_about("X", -sign * stride - np.pi / 2 * seated)
        rotations[:, JOINT[f"{side}_knee"]] = rotation_about("X", lift + np.pi / 2 * seated)
        arm = np.deg2rad(-80) + (np.deg2rad(160) * raised * (1 - seated) if side == "left" else 0.0)
        rotations[:, JOINT[f"{side}_shoulder"]] = rotation_about("Z", sign * arm * np.ones(len(t)))
    pelvis = np.stack([np.zeros(len(t)), 0.93 - 0.45 * seated, np.minimum(t, WALK_S)], axis=-1)
    return Motion(fps, rotations, pelvis, forward_kinematics(rotations, offsets(), PARENTS, pelvis))


def contact_times(height: np.ndarray) -> np.ndarray:
    """Seconds at which a foot leaves the ground or comes back: where its height crosses the middle of its range. [T] at 25 fps."""
    above = height - (height.min() + height.max()) / 2
    before = np.flatnonzero(above[:-1] * above[1:] < 0)
    return (before + above[before] / (above[before] - above[before + 1])) / 25


def ramp(t: np.ndarray, start: float, stop: float) -> np.ndarray:
    x = np.clip((t - start) / (stop - start), 0, 1)
    return x * x * (3 - 2 * x)


def assert_known(clip: Clip, tolerance_m: float, scale: float = 1.0) -> None:
    """Height, speed, facing, left and right, contact times, sitting; then every measured joint within a tolerance.

    scale   where a format loses the unit of length: how much larger its reader makes an average body than this one
    """
    truth = known_motion(25.0)
    want, frames = scale * (truth.joints - truth.joints[0, 0] * [1, 0, 1]), min(clip.frames, len(truth.joints))
    assert abs(clip.frames - len(truth.joints)) <= 3
    got = clip.joints[:frames, 0].astype(np.float64)
    want = want[:frames]
    lowest = np.percentile(want[..., 1].min(-1), 2)
    want = want - [0, lowest, 0]
    at = {
        name: min(frames - 1, round(second * 25)) for name, second in (("walked", WALK_S), ("raised", RAISE_S - 0.04), ("turned", TURN_S))
    }
    head, pelvis, left, right = (got[:, JOINT[name]] for name in ("head", "pelvis", "left_wrist", "right_wrist"))
    assert abs(np.median(head[: at["walked"], 1]) - np.median(want[: at["walked"], JOINT["head"], 1])) < max(0.06, tolerance_m)
    travel = pelvis[at["walked"]] - pelvis[0]
    assert abs(travel[2] - 3.0 * scale) < 0.1 and abs(travel[0]) < 0.1, travel
    assert left[at["raised"], 1] > head[at["raised"], 1] > right[at["raised"], 1]
    assert got[0, JOINT["left_hip"], 0] > 0.05 > -0.05 > got[0, JOINT["right_hip"], 0]
    valid = np.ones(frames, bool)
    assert abs(heading(got, 0, valid, 0.2)) < 0.1
    assert abs(heading(got, at["turned"], valid, 0.2) + np.pi / 2) < 0.2
    assert pelvis[0, 1] - pelvis[-1, 1] > 0.35
    for foot in ("left_foot", "right_foot"):
        mine, theirs = got[: at["walked"], JOINT[foot], 1], want[: at["walked"], JOINT[foot], 1]
        assert np.corrcoef(mine, theirs)[0, 1] > 0.9, foot
        lifted, expected = contact_times(mine), contact_times(theirs)
        assert len(lifted) == len(expected) and np.abs(lifted - expected).max() < CONTACT_S, (foot, lifted, expected)
    joints = clip.joint_source == 0
    error = np.linalg.norm(got[:, joints] - want[:, joints], axis=-1)
    assert error.max() < tolerance_m, f"{error.max():.4f} m"
