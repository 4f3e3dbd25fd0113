"""Motions whose faults are known: a plausible walker, wave and stand, and one planted fault of each kind."""

import numpy as np

from stickgen_core.skeleton import JOINT, JOINT_COUNT, PARENTS, forward_kinematics
from stickgen_core.skeleton.rotations import axis_angle_to_matrix

FPS = 25
OFFSETS = np.zeros((JOINT_COUNT, 3))
for _name, _offset in {
    "hip": (0.09, -0.09, 0), "knee": (0, -0.38, 0), "ankle": (0, -0.4, 0), "foot": (0.01, -0.06, 0.12),
    "collar": (0.07, 0.12, 0), "shoulder": (0.11, 0.03, 0), "elbow": (0.26, 0, 0), "wrist": (0.25, 0, 0),
}.items():  # fmt: skip
    OFFSETS[JOINT[f"left_{_name}"]] = _offset
    OFFSETS[JOINT[f"right_{_name}"]] = np.multiply(_offset, (-1, 1, 1))
for _name, _height in {"spine1": 0.12, "spine2": 0.13, "spine3": 0.06, "neck": 0.21, "head": 0.1}.items():
    OFFSETS[JOINT[_name]] = (0, _height, 0)


def pose(frames, root, **angles):
    """Joints [T, 22, 3] of axis-angle tracks by joint name; arms hang unless told otherwise; the lowest point touches the ground."""
    turns = np.zeros((frames, JOINT_COUNT, 3))
    turns[:, JOINT["left_shoulder"], 2], turns[:, JOINT["right_shoulder"], 2] = -1.3, 1.3
    for name, value in angles.items():
        turns[:, JOINT[name]] += value
    joints = forward_kinematics(axis_angle_to_matrix(turns), OFFSETS, PARENTS, root)
    return joints - [0, np.percentile(joints[..., 1].min(1), 2), 0]


def axis(values, direction):
    return np.asarray(values)[:, None] * np.asarray(direction, float)


def walk(frames=150, stride_hz=0.95, swing_rad=0.45, vary=0.05, seed=0, in_place=False):
    """Legs and arms swing against each other, the lower foot stays where it is; cycles vary a little, as people's do."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames) / FPS
    phase = 2 * np.pi * stride_hz * t + np.cumsum(rng.normal(0, vary, frames)) / 5
    swing = swing_rad * np.sin(phase)
    joints = pose(
        frames, np.zeros((frames, 3)), left_hip=axis(-swing, (1, 0, 0)), right_hip=axis(swing, (1, 0, 0)),
        left_knee=axis(0.8 * np.clip(np.cos(phase), 0, None) ** 2, (1, 0, 0)),
        right_knee=axis(0.8 * np.clip(-np.cos(phase), 0, None) ** 2, (1, 0, 0)),
        left_shoulder=axis(0.7 * swing, (1, 0, 0)), right_shoulder=axis(-0.7 * swing, (1, 0, 0)),
    )  # fmt: skip
    feet = joints[:, [JOINT["left_foot"], JOINT["right_foot"]]]
    # Which foot stands changes over some frames, and so do the speed and the height it gives the body: nothing jumps.
    left = 1 / (1 + np.exp((feet[:, 0, 1] - feet[:, 1, 1]) / 0.03))
    ground = smooth(left * feet[:, 0, 1] + (1 - left) * feet[:, 1, 1])
    backwards = smooth(left * np.gradient(feet[:, 0, 2]) + (1 - left) * np.gradient(feet[:, 1, 2]))
    travel = 0 * backwards if in_place else -np.cumsum(backwards)
    return joints + np.stack([0 * travel, -ground, travel], 1)[:, None]


def smooth(values):
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    return np.convolve(np.pad(values, 2, mode="edge"), kernel, "valid")


def wave(frames=150, rate_hz=1.8):
    """The left forearm waves, the rest sways."""
    t = np.arange(frames) / FPS
    root = np.stack([0.01 * np.sin(t), np.full(frames, 0.93), 0.01 * np.cos(0.7 * t)], 1)
    return pose(frames, root, left_shoulder=axis(np.full(frames, 1.5), (0, 0, 1)),
                left_elbow=axis(0.9 + 0.6 * np.sin(2 * np.pi * rate_hz * t), (0, 0, 1)))  # fmt: skip


def stand(frames=150, sway_m=0.005):
    """Nobody moves on purpose: the body leans to and fro by millimetres, slowly and never twice alike."""
    t = np.arange(frames) / FPS
    lean = sway_m / 0.93 * (np.sin(1.7 * t) + 0.4 * np.sin(4.1 * t + 1) + 0.2 * np.sin(0.6 * t + 2))
    root = np.stack([0.5 * sway_m * np.sin(1.3 * t), np.full(frames, 0.93), 0 * t], 1)
    return pose(frames, root, spine1=axis(lean, (1, 0, 0)))


def kick(frames=100):
    """A fast kick: the right foot reaches some 10 m/s for a few frames."""
    t = np.arange(frames) / FPS
    burst = np.exp(-(((t - 2) / 0.12) ** 2))
    root = np.stack([0.05 * np.sin(t), np.full(frames, 0.93), 0.2 * t], 1)
    return pose(frames, root, right_hip=axis(-1.6 * burst, (1, 0, 0)), right_knee=axis(0.3 * burst, (1, 0, 0)),
                left_elbow=axis(0.5 + 0.4 * np.sin(3 * t), (0, 0, 1)))  # fmt: skip


def frozen(frames=150):
    return np.repeat(walk(frames)[:1], frames, 0)


def jittery(frames=150, noise_m=0.02, seed=1):
    joints = walk(frames)
    return joints + np.random.default_rng(seed).normal(0, noise_m, joints.shape)


def teleport(frames=150, metres=0.6):
    joints = walk(frames)
    joints[frames // 2 :] += [metres, 0, 0]
    return joints


def one_joint_jumps(frames=150, metres=0.5):
    joints = walk(frames)
    joints[frames // 3, JOINT["left_wrist"]] += [0, metres, 0]
    return joints


def stuck_loop(frames=150, period=12):
    """The same twelve frames of a whole-body motion in place, over and over."""
    joints = walk(frames, stride_hz=FPS / period, vary=0.0, in_place=True)
    return joints[np.arange(frames) % period]


def stretching(frames=150, share=0.5):
    joints = walk(frames)
    wrist, elbow = JOINT["right_wrist"], JOINT["right_elbow"]
    factor = 1 + share * np.sin(np.linspace(0, 9, frames))[:, None]
    joints[:, wrist] = joints[:, elbow] + factor * (joints[:, wrist] - joints[:, elbow])
    return joints


def skating(frames=150, speed_m_s=2.0):
    joints = np.repeat(walk(frames)[:1], frames, 0)
    return joints + np.arange(frames)[:, None, None] / FPS * np.array([0, 0, speed_m_s])


GOOD = {"walk": walk, "slow walk": lambda: walk(stride_hz=0.6, swing_rad=0.3), "run": lambda: walk(stride_hz=1.4, swing_rad=0.6),
        "wave": wave, "kick": kick}  # fmt: skip


def alone(joints):
    """(joints [T, 1, 22, 3], present, joint_source) of one person."""
    return joints[:, None], np.ones((len(joints), 1), bool), np.zeros(JOINT_COUNT, np.uint8)
