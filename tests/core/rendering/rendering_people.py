"""People to draw: a walker and a waver whose joints are known, as scenes and as clips."""

import numpy as np

from stickgen_core.corpus.clip import Clip
from stickgen_core.rendering import scene_of_motion
from stickgen_core.skeleton import JOINT, physics, stick_layout, sticks
from stickgen_core.sources.recording import Text

FPS = 25.0
REST = {
    "pelvis": (0, 0.93, 0), "spine1": (0, 1.04, 0), "spine2": (0, 1.17, 0), "spine3": (0, 1.28, 0), "neck": (0, 1.47, 0),
    "head": (0, 1.58, 0.03), "left_hip": (0.09, 0.87, 0), "left_collar": (0.07, 1.40, 0), "left_shoulder": (0.18, 1.40, 0),
    "left_elbow": (0.24, 1.12, 0), "left_wrist": (0.26, 0.87, 0.05), "left_knee": (0.1, 0.47, 0.03), "left_ankle": (0.1, 0.08, 0),
    "left_foot": (0.1, 0.03, 0.13),
}  # fmt: skip


def walker(frames=50, speed=1.2, wave=True):
    """Joints [T, 1, 22, 3]: moves along +Z with swinging limbs; the left hand waves above the head if asked."""
    t = np.arange(frames) / FPS
    joints = np.zeros((frames, 22, 3))
    for name, place in REST.items():
        joints[:, JOINT[name]] = place
        if name.startswith("left_"):
            joints[:, JOINT[name.replace("left_", "right_")]] = np.array(place) * [-1, 1, 1]
    for side, phase in (("left", 0.0), ("right", np.pi)):
        swing = 0.25 * np.sin(2 * np.pi * 0.9 * t + phase)
        for name, share in (("knee", 0.6), ("ankle", 1.0), ("foot", 1.0)):
            joints[:, JOINT[f"{side}_{name}"], 2] += share * swing
        joints[:, JOINT[f"{side}_wrist"], 2] -= swing
    if wave:
        joints[:, JOINT["left_elbow"]] = [0.42, 1.55, 0]
        joints[:, JOINT["left_wrist"]] = [0.45, 1.8, 0]
        joints[:, JOINT["left_wrist"], 0] += 0.12 * np.sin(2 * np.pi * 2 * t)
    joints[..., 2] += speed * t[:, None]
    return joints[:, None]


def scene(frames=50, caption="a person walks and waves", joints=True, azimuth=45.0, **options):
    bodies = walker(frames, **options)
    motion = sticks(bodies, stick_layout("stick20"), azimuth)
    return scene_of_motion(motion, FPS, caption, joints=bodies if joints else None, physics=physics(motion, FPS).astype(np.float32))


def clip(frames=50, id="synthetic/walk#0", bodies=None, joint_source=0):
    bodies = walker(frames) if bodies is None else bodies
    shape = bodies.shape[:2]
    motion = sticks(bodies, stick_layout("stick20"), 45.0)
    return Clip(
        id, "synthetic", id, bodies.astype(np.float32), np.ones(shape, bool), np.full(22, joint_source, np.uint8), motion.astype(np.float32),
        np.full(shape, 1, np.int16), physics(motion, FPS).astype(np.float32), np.tile(np.float32([0, 1, 1]), (len(bodies), 1)),
        (Text("a person walks", 0.0, len(bodies) / FPS, "caption"),), FPS, (0.0, len(bodies) / FPS), (0.0, 0.0), 0.0, "none", "MIT",
    )  # fmt: skip
