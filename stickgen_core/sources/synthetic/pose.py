"""From channels to joints: a spine of rotations, limbs of two bones that reach their targets without changing length.

A hand or an ankle is put where its target is, if the limb can reach it; else at the limb's reach in that direction. The pelvis
comes down as far as planted feet need, so a planted foot stays where it is.
"""

from dataclasses import dataclass

import numpy as np

from stickgen_core.skeleton.body import JOINT, JOINT_COUNT
from stickgen_core.sources.synthetic.channels import INDEX, SIDES
from stickgen_core.sources.synthetic.shape import Shape

# Longest reach of a limb as a share of its length: short of straight, where the bend would jump.
REACH = 0.995
# Shortest reach: an elbow or knee does not close further (about 25 degrees between the bones).
FOLD = 0.24
# Metres that a wrist keeps over the ground: half a hand.
_HAND_CLEARANCE = 0.03


@dataclass(frozen=True)
class Meeting:
    """Two hands that meet, or a hand that meets a partner's joint, by a weight over time.

    actor, side   whose hand; other, target   whose joint, by name; a wrist is met half-way, anything else where it is
    weight        [T] 0 free, 1 touching
    """

    actor: int
    side: str
    other: int
    target: str
    weight: np.ndarray


@dataclass(frozen=True)
class Controls:
    """Everything that determines one person's joints.

    channels [T, K]   base [T, 3] x, z, heading   footholds [T, 2, 3] ball of each foot in the world
    foot_headings [T, 2]   planted [T, 2] bool
    """

    shape: Shape
    channels: np.ndarray
    base: np.ndarray
    footholds: np.ndarray
    foot_headings: np.ndarray
    planted: np.ndarray


def rotation(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """[..., 3, 3] = Ry(yaw) Rx(pitch) Rz(roll): heading first, then leaning forward, then to the side."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    out = np.empty((*np.shape(yaw), 3, 3))
    out[..., 0, 0] = cy * cr + sy * sp * sr
    out[..., 0, 1] = -cy * sr + sy * sp * cr
    out[..., 0, 2] = sy * cp
    out[..., 1, 0] = cp * sr
    out[..., 1, 1] = cp * cr
    out[..., 1, 2] = -sp
    out[..., 2, 0] = -sy * cr + cy * sp * sr
    out[..., 2, 1] = sy * sr + cy * sp * cr
    out[..., 2, 2] = cy * cp
    return out


def _turn(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """[..., 3, 3] applied to [3] or [..., 3], elementwise so that no library's summation order matters."""
    return matrix[..., 0] * vector[..., 0, None] + matrix[..., 1] * vector[..., 1, None] + matrix[..., 2] * vector[..., 2, None]


def _times(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([_turn(left, right[..., :, column]) for column in range(3)], axis=-1)


def _mirrored(vector: np.ndarray) -> np.ndarray:
    return vector * np.array([-1.0, 1.0, 1.0])


def soft_cap(value: np.ndarray, limit: float, knee: float) -> np.ndarray:
    """`value` below limit - knee, smoothly approaching `limit` above it (continuous to the second derivative)."""
    over = np.maximum(value - (limit - knee), 0.0) / knee
    return np.where(over > 0, limit - knee + knee * np.tanh(over), value)


def soft_floor(value: np.ndarray, knee: float) -> np.ndarray:
    """max(value, 0), smoothed: never below 0, within knee/2 of the value above it."""
    return 0.5 * (value + np.sqrt(value * value + knee * knee))


def reach(start: np.ndarray, target: np.ndarray, first: float, second: float, pole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two bones from `start` towards `target`, bending towards `pole`: [..., 3] each -> middle joint, end joint.

    Both lengths hold to rounding, because each joint is placed at its length along a unit direction.
    """
    length = first + second
    line = target - start
    distance = np.sqrt((line * line).sum(-1) + 1e-12)
    direction = line / distance[..., None]
    d = soft_cap(distance, REACH * length, 0.006 * length)
    d = FOLD * length + soft_floor(d - FOLD * length, 0.02 * length)
    d = np.minimum(d, REACH * length)
    side = pole - (pole * direction).sum(-1, keepdims=True) * direction
    side = side / np.sqrt((side * side).sum(-1, keepdims=True) + 1e-12)
    along = (first * first + d * d - second * second) / (2.0 * d)
    out = np.sqrt(np.maximum(first * first - along * along, 0.0))
    bone = along[..., None] * direction + out[..., None] * side
    middle = start + bone * (first / np.sqrt((bone * bone).sum(-1, keepdims=True)))
    bone = start + d[..., None] * direction - middle
    return middle, middle + bone * (second / np.sqrt((bone * bone).sum(-1, keepdims=True)))


def _torso(c: Controls, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pelvis, spine and head into `joints` [T, 22, 3]; gives the pelvis' and the chest's rotation [T, 3, 3]."""
    k = c.channels
    heading = c.base[:, 2]
    at = lambda name: k[:, INDEX[name]]  # noqa: E731
    pelvis = rotation(heading + at("pelvis_yaw"), at("pelvis_pitch"), at("pelvis_roll"))
    third = rotation(at("spine_twist") / 3, at("spine_pitch") / 3, at("spine_roll") / 3)
    s1 = _times(pelvis, third)
    s2 = _times(s1, third)
    chest = _times(s2, third)
    head = _times(chest, rotation(at("head_yaw"), at("head_pitch"), at("head_roll")))
    sin, cos = np.sin(heading), np.cos(heading)
    leg = c.shape.leg
    x, z = at("pelvis_x") * leg, at("pelvis_z") * leg
    joints[:, 0, 0] = c.base[:, 0] + cos * x + sin * z
    joints[:, 0, 2] = c.base[:, 1] - sin * x + cos * z
    joints[:, 0, 1] = at("pelvis_y") * c.shape.standing
    joints[:, JOINT["spine1"]] = joints[:, 0] + _turn(pelvis, c.shape.spine[0])
    joints[:, JOINT["spine2"]] = joints[:, JOINT["spine1"]] + _turn(s1, c.shape.spine[1])
    joints[:, JOINT["spine3"]] = joints[:, JOINT["spine2"]] + _turn(s2, c.shape.spine[2])
    joints[:, JOINT["neck"]] = joints[:, JOINT["spine3"]] + _turn(chest, c.shape.neck)
    joints[:, JOINT["head"]] = joints[:, JOINT["neck"]] + _turn(head, c.shape.head)
    return pelvis, chest


def _legs(c: Controls, joints: np.ndarray, pelvis: np.ndarray) -> None:
    """Feet at their targets; the whole upper body comes down where a planted foot would be out of reach."""
    shape, k = c.shape, c.channels
    cos, sin = np.cos(c.base[:, 2]), np.sin(c.base[:, 2])
    feet, ankles, hips, poles = [], [], [], []
    rooms: list[np.ndarray] = []
    for i, side in enumerate(SIDES):
        sign = 1.0 - 2.0 * i
        at = lambda name, side=side: k[:, INDEX[name.format(side)]]  # noqa: E731
        hip = joints[:, 0] + _turn(pelvis, shape.hip if i == 0 else _mirrored(shape.hip))
        x, z = sign * at("foot_{}_x") * shape.leg, at("foot_{}_z") * shape.leg
        ball = c.footholds[:, i] + np.stack([cos * x + sin * z, at("foot_{}_y") * shape.leg, -sin * x + cos * z], -1)
        turned = c.foot_headings[:, i] + sign * at("foot_{}_yaw")
        foot = rotation(turned, at("foot_{}_pitch"), np.zeros(len(k)))
        ankle = ball - _turn(foot, shape.foot if i == 0 else _mirrored(shape.foot))
        splay = sign * (at("knee_{}") + 0.10)
        towards = np.stack([np.sin(turned), np.zeros(len(k)), np.cos(turned)], -1)
        poles.append(1.2 * pelvis[..., 2] + 0.6 * towards + splay[:, None] * pelvis[..., 0])
        across = ((ankle - hip)[:, [0, 2]] ** 2).sum(-1)
        highest = ankle[:, 1] + np.sqrt(np.maximum((REACH - 0.008) ** 2 * shape.leg**2 - across, (0.3 * shape.leg) ** 2)) - hip[:, 1]
        high_foot = np.maximum(ball[:, 1] - 0.02, 0.0) * 12.0
        rooms.append(highest + high_foot**3)
        feet.append(foot)
        ankles.append(ankle)
        hips.append(hip)
    knee = 0.012 * shape.leg
    room = rooms[0] - soft_floor(rooms[0] - rooms[1], knee)
    drop = soft_floor(-room, knee)
    joints[:, :16, 1] -= drop[:, None]
    for i, side in enumerate(SIDES):
        hip = hips[i] - np.stack([0 * drop, drop, 0 * drop], -1)
        joints[:, JOINT[f"{side}_hip"]] = hip
        middle, ankle = reach(hip, ankles[i], shape.thigh, shape.shin, poles[i])
        joints[:, JOINT[f"{side}_knee"]], joints[:, JOINT[f"{side}_ankle"]] = middle, ankle
        joints[:, JOINT[f"{side}_foot"]] = ankle + _turn(feet[i], shape.foot if i == 0 else _mirrored(shape.foot))


def _shoulders(c: Controls, joints: np.ndarray, chest: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Collars and shoulders into `joints`; gives where each hand wants to be and where its elbow points, in the world."""
    targets, poles = [], []
    for i, side in enumerate(SIDES):
        sign = 1.0 - 2.0 * i
        at = lambda name, side=side: c.channels[:, INDEX[name.format(side)]]  # noqa: E731
        collar = c.shape.collar if i == 0 else _mirrored(c.shape.collar)
        arm = c.shape.shoulder if i == 0 else _mirrored(c.shape.shoulder)
        shrug = rotation(0 * at("shrug_{}"), 0 * at("shrug_{}"), sign * at("shrug_{}"))
        joints[:, JOINT[f"{side}_collar"]] = joints[:, JOINT["spine3"]] + _turn(chest, collar)
        shoulder = joints[:, JOINT[f"{side}_collar"]] + _turn(_times(chest, shrug), arm)
        joints[:, JOINT[f"{side}_shoulder"]] = shoulder
        local = np.stack([sign * at("hand_{}_x"), at("hand_{}_y"), at("hand_{}_z")], -1) * c.shape.arm
        want = shoulder + _turn(chest, local)
        want[:, 1] = _HAND_CLEARANCE + soft_floor(want[:, 1] - _HAND_CLEARANCE, 0.03)
        targets.append(want)
        pole = np.stack([sign * (0.6 + at("elbow_{}")), np.full(len(chest), -0.5), np.full(len(chest), -0.6)], -1)
        poles.append(_turn(chest, pole))
    return targets, poles


def solve(people: list[Controls], meetings: tuple[Meeting, ...] = ()) -> np.ndarray:
    """[T, A, 22, 3] joints of all people, world metres, Y up."""
    frames = len(people[0].channels)
    joints = np.zeros((frames, len(people), JOINT_COUNT, 3))
    wants = []
    for a, controls in enumerate(people):
        own = np.zeros((frames, JOINT_COUNT, 3))
        pelvis, chest = _torso(controls, own)
        _legs(controls, own, pelvis)
        wants.append(_shoulders(controls, own, chest))
        joints[:, a] = own
    for m in meetings:
        i = SIDES.index(m.side)
        hand, weight = wants[m.actor][0][i], m.weight[:, None]
        if m.target.endswith("_wrist"):
            other = SIDES.index(m.target.split("_")[0])
            theirs = wants[m.other][0][other]
            middle = 0.5 * (hand + theirs)
            wants[m.other][0][other] = theirs + weight * (middle - theirs)
        else:
            middle = joints[:, m.other, JOINT[m.target]]
        wants[m.actor][0][i] = hand + weight * (middle - hand)
    for a, controls in enumerate(people):
        for i, side in enumerate(SIDES):
            shoulder = joints[:, a, JOINT[f"{side}_shoulder"]]
            elbow, wrist = reach(shoulder, wants[a][0][i], controls.shape.upper_arm, controls.shape.forearm, wants[a][1][i])
            joints[:, a, JOINT[f"{side}_elbow"]], joints[:, a, JOINT[f"{side}_wrist"]] = elbow, wrist
    return joints
