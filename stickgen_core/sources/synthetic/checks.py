"""What a synthetic clip must satisfy before it is accepted: the same kinds of limits that real data are held to.

Coordinates come first here ([3, J, T, A]), as in the solver: sums over planes are several times faster than over triples.
"""

import numpy as np

from stickgen_core.skeleton.body import JOINT, PARENTS

_BONES = np.arange(1, len(PARENTS))
_PARENTS = np.array(PARENTS[1:])
FEET = (JOINT["left_foot"], JOINT["right_foot"])
_TRUNK = [JOINT[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")]
_SIDES = ("left", "right")

# Least angle at a joint, degrees: full flexion of an adult, and how far spine and neck fold.
_LIMITS: list[tuple[str, str, str, float]] = [
    *((f"{side}_hip", f"{side}_knee", f"{side}_ankle", 24.0) for side in _SIDES),
    *((f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", 24.0) for side in _SIDES),
    ("pelvis", "spine1", "spine2", 110.0),
    ("spine1", "spine2", "spine3", 110.0),
    ("spine3", "neck", "head", 85.0),
]
_ENDS = np.array([[JOINT[a], JOINT[j], JOINT[b]] for a, j, b, _ in _LIMITS]).T
_LEAST_COS = np.cos(np.deg2rad([least for *_, least in _LIMITS]))[:, None, None]
# How far a thigh or an upper arm may point, as sines in the axes of pelvis or chest: backward with the limb down (extension: hip 45,
# shoulder 70 degrees), outward (abduction: hip 70; a shoulder's has no end), across the body (adduction: hip 35, shoulder 62 degrees).
_HIP = {"back": 0.71, "out": 0.94, "across": 0.57}
_SHOULDER = {"back": 0.94, "across": 0.88}
# A frozen clip is one in which nobody moves any joint 1 cm a frame for more than this share of its frames: the documented artefact limit.
_STILL_M, _STILL_SHARE = 0.01, 0.8
# ... and its sister for joints that jump; no joint is faster than real ones may be.
_BURST, _BURST_SPREAD_M_S, _FASTEST_M_S = 3.0, (2.0, 4.0), 15.0
# Metres between the trunks of two people, chest to chest in a hug.
_APART_M = 0.20


def planes_of(joints: np.ndarray) -> np.ndarray:
    """[T, A, 22, 3] -> [3, 22, T, A]."""
    return np.ascontiguousarray(joints.transpose(3, 2, 0, 1))


def _length(v: np.ndarray) -> np.ndarray:
    return np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """[T, A, 22, 3] -> [T, A, 21] metres."""
    j = planes_of(joints)
    return _length(j[:, _BONES] - j[:, _PARENTS]).transpose(1, 2, 0)


def stance_slide(joints: np.ndarray, planted: np.ndarray, fps: float) -> float:
    """Fastest movement (m/s) of a foot over two frames in both of which it is planted."""
    feet = joints[:, :, FEET, :]
    v = np.sqrt(((feet[1:] - feet[:-1]) ** 2).sum(-1)) * fps
    return float((v * (planted[1:] & planted[:-1])).max(initial=0.0))


def folding(j: np.ndarray) -> float:
    """How far the tightest joint is beyond its least angle, as a difference of cosines; 0 or less is within."""
    above, joint, below = (j[:, ends] for ends in _ENDS)
    a, b = above - joint, below - joint
    return float((_dot(a, b) / (_length(a) * _length(b)) - _LEAST_COS).max())


def _axes(left: np.ndarray, right: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors to the left and forward of a part of the trunk, each [3, T, A]."""
    across = left - right
    across = across / _length(across)
    up = high - low
    up = up - _dot(up, across) * across
    up = up / _length(up)
    forward = np.stack(
        [across[1] * up[2] - across[2] * up[1], across[2] * up[0] - across[0] * up[2], across[0] * up[1] - across[1] * up[0]]
    )
    return across, forward


def limb_excess(j: np.ndarray) -> dict[str, float]:
    """How far thighs and upper arms point beyond what hips and shoulders allow, as a difference of sines; 0 or less is within."""
    at = lambda name: j[:, JOINT[name]]  # noqa: E731 - a local shorthand
    hips = _axes(at("left_hip"), at("right_hip"), at("pelvis"), at("spine1"))
    chest = _axes(at("left_collar"), at("right_collar"), at("spine2"), at("neck"))
    found = {"hip_back": -1.0, "hip_out": -1.0, "hip_across": -1.0, "shoulder_back": -1.0, "shoulder_across": -1.0}
    for sign, side in zip((1.0, -1.0), _SIDES, strict=True):
        for part, (across, forward), (a, b), limits in (
            ("hip", hips, ("hip", "knee"), _HIP), ("shoulder", chest, ("shoulder", "elbow"), _SHOULDER),
        ):  # fmt: skip
            bone = at(f"{side}_{b}") - at(f"{side}_{a}")
            bone = bone / _length(bone)
            out, ahead = sign * _dot(bone, across), _dot(bone, forward)
            for name, value in (("back", -ahead), ("out", out), ("across", -out)):
                if name in limits:
                    found[f"{part}_{name}"] = max(found[f"{part}_{name}"], float(value.max()) - limits[name])
    return found


def still_share(step: np.ndarray) -> float:
    """Share of frames in which no joint of the person who moves most goes 1 cm: [22, T - 1, A] metres."""
    return float((step.max(0) < _STILL_M).mean(0).min())


def burst(step: np.ndarray, fps: float) -> float:
    """The largest excess of a joint's speed over its speed two frames before and after, in standard deviations of the person's speeds."""
    speed = step * fps
    excess = (speed[:, 2:-2] - np.maximum(speed[:, :-4], speed[:, 4:])).max((0, 1), initial=0.0)
    return float((excess / np.clip(speed.std((0, 1)), *_BURST_SPREAD_M_S)).max())


def trunks_apart(j: np.ndarray) -> float:
    """Least distance between the trunks of any two people, metres."""
    trunk = j[:, _TRUNK]
    pairs = [(a, b) for a in range(j.shape[3]) for b in range(a)]
    return min((float(_length(trunk[:, :, None, :, a] - trunk[:, None, :, :, b]).min()) for a, b in pairs), default=np.inf)


def faults(joints: np.ndarray, planted: np.ndarray, fps: float) -> list[tuple[str, float, float]]:
    """(name, value, limit) of every rule that the clip breaks."""
    j = planes_of(joints)
    lengths = _length(j[:, _BONES] - j[:, _PARENTS])
    move = j[:, :, 1:] - j[:, :, :-1]
    step = _length(move)
    found = [
        ("bone_length_m", float((lengths.max(1) - lengths.min(1)).max()), 1e-9),
        ("below_ground_m", float(-j[1].min()), 0.01),
        ("stance_slide_m_s", stance_slide(joints, planted, fps), 0.01),
        ("speed_m_s", float(step.max()) * fps, _FASTEST_M_S),
        ("acceleration_m_s2", float(np.abs(move[:, :, 1:] - move[:, :, :-1]).max()) * fps**2, 400.0),
        ("flexion", folding(j), 0.0),
        *((name, value, 0.0) for name, value in limb_excess(j).items()),
        ("still_share", still_share(step), _STILL_SHARE),
        ("burst", burst(step, fps), _BURST),
        ("trunks_apart_m", _APART_M - trunks_apart(j), 0.0),
    ]
    return [row for row in found if not row[1] <= row[2]]
