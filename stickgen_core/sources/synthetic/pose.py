"""From channels to joints: a spine of rotations, limbs of two bones that reach their targets without changing length.

A hand or an ankle is put where its target is, if the limb can reach it; else at the limb's reach in that direction. The pelvis
comes down as far as planted feet need, so a planted foot stays where it is. Coordinates come first in all arrays here ([3, T], a pair
of limbs [3, 2, T], rotations [3, 3, T]), because operations on whole planes are several times faster than on triples.
"""

from dataclasses import dataclass

import numpy as np

from stickgen_core.skeleton.body import JOINT, JOINT_COUNT
from stickgen_core.sources.synthetic.channels import INDEX, SIDES
from stickgen_core.sources.synthetic.limbs import REACH, reach, rotation, soft_floor, spread_down, times, turn
from stickgen_core.sources.synthetic.shape import Shape

# Metres that a wrist keeps over the ground: half a hand.
_HAND_CLEARANCE = 0.03
# Frames over which the pelvis prepares for a low point, before and after.
_EASE_FRAMES = 3
_SIGN = np.array([[1.0], [-1.0]])
_PAIR = {
    name: [INDEX[f"{name.split('_')[0]}_{side}" + ("_" + name.split("_")[1] if "_" in name else "")] for side in SIDES]
    for name in ("hand_x", "hand_y", "hand_z", "elbow", "shrug", "foot_x", "foot_y", "foot_z", "foot_pitch", "foot_yaw", "knee")
}


def _joints_of(name: str) -> list[int]:
    return [JOINT[f"{side}_{name}"] for side in SIDES]


_LIMB = {name: _joints_of(name) for name in ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")}
_TRUNK = [JOINT[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")]


@dataclass(frozen=True)
class Meeting:
    """Two hands that meet, or a hand that meets a partner's joint, by a weight over time.

    actor, side   whose hand; other, target   whose joint, by name; a wrist is met half-way, anything else where it is
    weight        [T] 0 free, 1 touching       behind, aside   metres from the joint, in the partner's chest axes (aside: to the left)
    """

    actor: int
    side: str
    other: int
    target: str
    weight: np.ndarray
    behind: float = 0.0
    aside: float = 0.0


@dataclass(frozen=True)
class Pins:
    """Knees and hands that are kept at points of the world, as in crawling.

    knees, hands   [T, 2, 3] where each goes, left first     weight   [T] 0 free, 1 pinned
    """

    knees: np.ndarray
    hands: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Controls:
    """Everything that determines one person's joints.

    channels [T, K]   base [T, 3] x, z, heading   footholds [T, 2, 3] ball of each foot in the world
    foot_headings [T, 2]   planted [T, 2] bool   pins   None where only the feet bear
    """

    shape: Shape
    channels: np.ndarray
    base: np.ndarray
    footholds: np.ndarray
    foot_headings: np.ndarray
    planted: np.ndarray
    pins: Pins | None = None


class _Body:
    """One person being put together: joints [3, 22, T] and the rotations that later parts need."""

    def __init__(self, c: Controls) -> None:
        self.c = c
        self.k = np.ascontiguousarray(c.channels.T)
        self.base = np.ascontiguousarray(c.base.T)
        self.joints = np.zeros((3, JOINT_COUNT, len(c.channels)))
        self.sin, self.cos = np.sin(self.base[2]), np.cos(self.base[2])
        self.pelvis, self.chest = self._torso()
        self._legs()
        self.hands, self.poles = self._shoulders()

    def at(self, name: str) -> np.ndarray:
        return self.k[INDEX[name]]

    def pair(self, name: str) -> np.ndarray:
        """[2, T] of a channel that each side has."""
        return self.k[_PAIR[name]]

    def _torso(self) -> tuple[np.ndarray, np.ndarray]:
        """Pelvis, spine and head; gives the pelvis' and the chest's rotation [3, 3, T]."""
        at, shape, j = self.at, self.c.shape, self.joints
        pelvis = rotation(self.base[2] + at("pelvis_yaw"), at("pelvis_pitch"), at("pelvis_roll"))
        third = rotation(at("spine_twist") / 3, at("spine_pitch") / 3, at("spine_roll") / 3)
        s1 = times(pelvis, third)
        s2 = times(s1, third)
        chest = times(s2, third)
        head = times(chest, rotation(at("head_yaw"), at("head_pitch"), at("head_roll")))
        x, z = at("pelvis_x") * shape.leg, at("pelvis_z") * shape.leg
        root = np.stack(
            [self.base[0] + self.cos * x + self.sin * z, at("pelvis_y") * shape.standing, self.base[1] - self.sin * x + self.cos * z]
        )
        bones = ((pelvis, shape.spine[0]), (s1, shape.spine[1]), (s2, shape.spine[2]), (chest, shape.neck), (head, shape.head))
        j[:, _TRUNK[0]] = root
        for joint, (matrix, offset) in zip(_TRUNK[1:], bones, strict=True):
            root = root + turn(matrix, offset)
            j[:, joint] = root
        return pelvis, chest

    def _legs(self) -> None:
        """Feet at their targets; the whole upper body comes down where a planted foot would be out of reach."""
        c, shape, pelvis = self.c, self.c.shape, self.pelvis
        length = shape.leg
        hip = self.joints[:, 0][:, None] + self._sided(pelvis, shape.hip)
        x, z = _SIGN * self.pair("foot_x") * length, self.pair("foot_z") * length
        ball = c.footholds.transpose(2, 1, 0) + np.stack(
            [self.cos * x + self.sin * z, self.pair("foot_y") * length, -self.sin * x + self.cos * z]
        )
        turned = c.foot_headings.T + _SIGN * self.pair("foot_yaw")
        foot = rotation(turned, self.pair("foot_pitch"), 0.0)
        sole = _each(foot, shape.foot)
        ankle = ball - sole
        splay = _SIGN * (self.pair("knee") + 0.10)
        pole = 1.2 * pelvis[:, 2][:, None] + splay * pelvis[:, 0][:, None]
        pole[0] += 0.6 * np.sin(turned)
        pole[2] += 0.6 * np.cos(turned)
        if c.pins is not None:
            ankle, pole = self._pinned_legs(hip, ankle, pole)
        across = (ankle[0] - hip[0]) ** 2 + (ankle[2] - hip[2]) ** 2
        highest = ankle[1] + np.sqrt(np.maximum((REACH - 0.008) ** 2 * length**2 - across, (0.3 * length) ** 2)) - hip[1]
        room = highest + (np.maximum(ball[1] - 0.02, 0.0) * 12.0) ** 3
        if c.pins is not None:
            room = room + c.pins.weight * (self._pinned_room(hip) - room)
        bend = 0.012 * length
        needed = soft_floor(-(room[0] - soft_floor(room[0] - room[1], bend)), bend)
        drop = spread_down(needed, _EASE_FRAMES)
        if c.pins is not None:
            drop = drop + c.pins.weight * (needed - drop)
        self.joints[1, :16] -= drop
        hip[1] -= drop
        knee, ankle = reach(hip, ankle, shape.thigh, shape.shin, pole)
        for name, value in (("hip", hip), ("knee", knee), ("ankle", ankle), ("foot", ankle + sole)):
            self.joints[:, _LIMB[name]] = value

    def _pinned_legs(self, hip: np.ndarray, ankle: np.ndarray, pole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where ankles go, and knees point, so that the knees are at their pins and the shins trail."""
        pins, shape = self.c.pins, self.c.shape
        assert pins is not None
        knee = pins.knees.transpose(2, 1, 0)
        fall = ankle[1] - knee[1]
        back = np.sqrt(np.maximum(shape.shin**2 - fall**2, 0.0))
        trailing = np.stack([knee[0] - self.sin * back, ankle[1], knee[2] - self.cos * back])
        weight = pins.weight
        return ankle + weight * (trailing - ankle), pole + weight * (4.0 * (knee - hip) - pole)

    def _pinned_room(self, hip: np.ndarray) -> np.ndarray:
        """[2, T] how much higher than a hip the top of the thigh over its pinned knee is; a lifted knee bears nothing."""
        pins, shape = self.c.pins, self.c.shape
        assert pins is not None
        knee = pins.knees.transpose(2, 1, 0)
        across = (knee[0] - hip[0]) ** 2 + (knee[2] - hip[2]) ** 2
        lifted = knee[1] - knee[1].min()
        return knee[1] + np.sqrt(np.maximum(shape.thigh**2 - across, (0.5 * shape.thigh) ** 2)) - hip[1] + 2.0 * lifted

    def _shoulders(self) -> tuple[np.ndarray, np.ndarray]:
        """Collars and shoulders; gives where each hand wants to be and where its elbow points, in the world [3, 2, T]."""
        shape, chest = self.c.shape, self.chest
        roll = _SIGN * self.pair("shrug")
        shrug = rotation(np.zeros_like(roll), np.zeros_like(roll), roll)
        root = self.joints[:, JOINT["spine3"]][:, None] + self._sided(chest, shape.collar)
        shoulder = root + turn(chest[:, :, None], _each(shrug, shape.shoulder))
        self.joints[:, _LIMB["collar"]], self.joints[:, _LIMB["shoulder"]] = root, shoulder
        local = np.stack([_SIGN * self.pair("hand_x"), self.pair("hand_y"), self.pair("hand_z")]) * shape.arm
        want = shoulder + turn(chest[:, :, None], local)
        if self.c.pins is not None:
            want = want + self.c.pins.weight * (self.c.pins.hands.transpose(2, 1, 0) - want)
        want[1] = _HAND_CLEARANCE + soft_floor(want[1] - _HAND_CLEARANCE, 0.03)
        # An elbow points backward under a low hand and down to the front under a high one; a fixed way would be the hand's own near the face.
        high = np.clip((local[1] / shape.arm + 0.5) / 0.8, 0.0, 1.0)
        high = high * high * (3.0 - 2.0 * high)
        pole = turn(chest[:, :, None], np.stack([_SIGN * (0.6 + self.pair("elbow")), -0.5 - 0.6 * high, -0.6 + high]))
        return want, pole

    def _sided(self, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """[3, 2, T]: an offset of the left side and its mirror image, turned by one matrix [3, 3, T]."""
        return turn(matrix[:, :, None], np.stack([offset[0] * _SIGN, *(np.full((2, 1), v) for v in offset[1:])]))

    def arms(self) -> np.ndarray:
        """All joints [3, 22, T], once the hands know where they go."""
        shape = self.c.shape
        elbow, wrist = reach(self.joints[:, _LIMB["shoulder"]], self.hands, shape.upper_arm, shape.forearm, self.poles)
        self.joints[:, _LIMB["elbow"]], self.joints[:, _LIMB["wrist"]] = elbow, wrist
        return self.joints


def _each(matrices: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """[3, 2, T]: an offset of the left side and its mirror image, each turned by its own matrix [3, 3, 2, T]."""
    return turn(matrices, np.stack([offset[0] * _SIGN, *(np.full((2, 1), v) for v in offset[1:])]))


def _meet(bodies: list[_Body], m: Meeting) -> None:
    """Bend a hand's way towards what it meets."""
    i, weight = SIDES.index(m.side), m.weight
    hand, partner = bodies[m.actor].hands, bodies[m.other]
    if m.target.endswith("_wrist"):
        other = SIDES.index(m.target.split("_")[0])
        goal = 0.5 * (hand[:, i] + partner.hands[:, other])
        partner.hands[:, other] += weight * (goal - partner.hands[:, other])
    else:
        chest = partner.chest
        goal = partner.joints[:, JOINT[m.target]] - m.behind * chest[:, 2] + m.aside * chest[:, 0]
    hand[:, i] += weight * (goal - hand[:, i])


def solve(people: list[Controls], meetings: tuple[Meeting, ...] = ()) -> np.ndarray:
    """[T, A, 22, 3] joints of all people, world metres, Y up."""
    bodies = [_Body(controls) for controls in people]
    for meeting in meetings:
        _meet(bodies, meeting)
    return np.ascontiguousarray(np.stack([body.arms() for body in bodies]).transpose(3, 0, 2, 1))
