"""NTU RGB+D 60/120: Kinect v2 skeletons as text. 30 Hz, metres, camera space with Y up, up to several bodies a frame.

A body id lasts as long as the sensor keeps track of it; reflections and furniture come as bodies that hardly move or lie
flat. The three cameras see one performance: they share its origin.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.records.digests import digest_json
from stickgen_core.skeleton.rotations import axis_angle_to_matrix, normalised
from stickgen_core.sources.actions import UNKNOWN, labels_for, load_actions
from stickgen_core.sources.assemble import assemble
from stickgen_core.sources.files import matching, numbers_of, read_text, walk
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Label, Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.templates import template

FPS = 30.0
JOINTS, NUMBERS, HEADER = 25, 12, 10
NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
KINECT = {
    "pelvis": 0, "spine2": 1, "neck": 2, "head": 3, "spine3": 20, "left_shoulder": 4, "left_elbow": 5, "left_wrist": 6,
    "right_shoulder": 8, "right_elbow": 9, "right_wrist": 10, "left_hip": 12, "left_knee": 13, "left_ankle": 14, "left_foot": 15,
    "right_hip": 16, "right_knee": 17, "right_ankle": 18, "right_foot": 19,
}  # fmt: skip
TRAIN_PERFORMERS = frozenset({
    1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89,
    *range(91, 96), 97, 98, 100, 103,
})  # fmt: skip
# Classes that involve two people.
PAIRS = frozenset({*range(50, 61), *range(106, 121)})
# Spine within this of the vertical counts as upright when the camera's tilt is measured.
UPRIGHT_RAD = np.deg2rad(25.0)


@dataclass(frozen=True)
class Rules:
    """The cleaning that the field practises (CTR-GCN): see the YAML's options.

    min_frames         a body seen in fewer is a flicker
    max_flat_share     of frames in which a body is wider than 0.8 of its height: furniture
    flat_ratio         that 0.8
    min_motion_m2      sum over time of the coordinate variances of a body that is no ghost, where the class has one person; in a class of
                       two the one who is pointed at may stand still
    max_people         the most that a class involves
    join_m, join_s     a body that appears so near and so soon after another vanished is the same person
    """

    min_frames: int = 12
    max_flat_share: float = 0.69754
    flat_ratio: float = 0.8
    min_motion_m2: float = 0.0899
    max_people: int = 2
    join_m: float = 0.5
    join_s: float = 1.0


@dataclass
class Body:
    """One tracked person: joints [T, 25, 3] and presence [T] over the whole clip."""

    name: str
    joints: np.ndarray
    present: np.ndarray

    def motion(self) -> float:
        return float(self.joints[self.present].var(axis=0).sum())

    def flat_share(self, ratio: float) -> float:
        size = np.ptp(self.joints[self.present], axis=1)
        return float((size[:, 0] > ratio * size[:, 1]).mean())

    def edges(self) -> tuple[int, int]:
        frames = np.flatnonzero(self.present)
        return int(frames[0]), int(frames[-1])


def parse(text: str, name: str) -> list[Body]:
    """Bodies of a `.skeleton` file by id, in order of appearance. Ids have 17 digits and are kept as text."""
    words, numbers = numbers_of(text, name)
    if not len(numbers):
        raise BadRecording("empty", f"{name} holds nothing")
    bodies: dict[str, Body] = {}
    frames, at = int(numbers[0]), 1
    if not 0 < frames < 1_000_000:
        raise BadRecording("empty" if frames == 0 else "not_ntu", f"{name}: {frames} frames declared")
    block = JOINTS * NUMBERS
    try:
        for frame in range(frames):
            count = int(numbers[at])
            at += 1
            for _ in range(count):
                key = words[at].as_py()
                if int(numbers[at + HEADER]) != JOINTS:
                    raise BadRecording("wrong_skeleton", f"{name}: expected {JOINTS} joints, found {numbers[at + HEADER]:g}")
                start = at + HEADER + 1
                values = numbers[start : start + block].reshape(JOINTS, NUMBERS)
                if key not in bodies:
                    bodies[key] = Body(key, np.zeros((frames, JOINTS, 3)), np.zeros(frames, bool))
                bodies[key].joints[frame] = values[:, :3]
                bodies[key].present[frame] = np.isfinite(values[:, :3]).all()
                at = start + block
    except (IndexError, ValueError):
        raise BadRecording("truncated", f"{name}: ends in frame {frame + 1} of {frames}") from None
    return [body for body in bodies.values() if body.present.any()]


def people_of(bodies: Sequence[Body], rules: Rules, *, pair: bool = False) -> list[Body]:
    """Bodies that are people: joined after a tracking loss, flickers and furniture dropped, the liveliest kept."""
    joined = _joined(sorted(bodies, key=lambda body: (body.edges(), body.name)), rules)
    whole = [body for body in joined if body.present.sum() >= min(rules.min_frames, len(body.present))]
    solid = [body for body in whole if body.flat_share(rules.flat_ratio) <= rules.max_flat_share] or whole
    if len(solid) > 1:
        ranked = sorted(solid, key=lambda body: (-body.motion(), body.name))
        solid = [ranked[0], *(body for body in ranked[1 : rules.max_people] if pair or body.motion() >= rules.min_motion_m2)]
    return sorted(solid, key=lambda body: (body.edges()[0], body.name))


def _joined(bodies: Sequence[Body], rules: Rules) -> list[Body]:
    done: list[Body] = []
    for body in bodies:
        first = body.edges()[0]
        for earlier in done:
            last = earlier.edges()[1]
            soon = 0 < first - last <= rules.join_s * FPS
            if soon and np.linalg.norm(earlier.joints[last, 0] - body.joints[first, 0]) <= rules.join_m:
                earlier.joints[body.present] = body.joints[body.present]
                earlier.present |= body.present
                break
        else:
            done.append(Body(body.name, body.joints.copy(), body.present.copy()))
    return done


def level(people: Sequence[Body]) -> np.ndarray:
    """Rotation [3, 3] that brings the mean spine of upright frames to +Y: the camera's tilt, undone."""
    spines = np.concatenate([(body.joints[:, 20] - body.joints[:, 0])[body.present] for body in people])
    spines = normalised(spines)
    upright = spines[spines[:, 1] > np.cos(UPRIGHT_RAD)]
    if not len(upright):
        return np.eye(3)
    mean = normalised(upright.mean(axis=0))
    axis = np.cross(mean, [0.0, 1.0, 0.0])
    angle = float(np.arctan2(np.linalg.norm(axis), mean[1]))
    return axis_angle_to_matrix(normalised(axis) * angle)


def body22(people: Sequence[Body]) -> tuple[np.ndarray, np.ndarray]:
    """Levelled joints [T, A, 22, 3] and joint_source."""
    points = np.stack([body.joints for body in people], axis=1) @ level(people).T
    return assemble({ours: points[:, :, index] for ours, index in KINECT.items()})


class NtuReader:
    version = 2

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.rules = Rules(**spec.options.get("bodies", {}))
        self.actions = load_actions().ntu
        self.labels = labels_for("ntu_rgbd")

    def fingerprint(self, raw: Path) -> str:
        return self.labels.digest() + digest_json(sorted(self.actions.items()))

    def discover(self, raw: Path) -> Discovery:
        paths = list(walk(raw))
        missing = {found[0] for file in matching(paths, "*missing_skeleton*.txt") for found in NAME.finditer(read_text(raw, file))}
        units, skipped = [], []
        for file in matching(paths, "*.skeleton", "S*C*P*R*A*.skeleton.npy"):
            found = NAME.search(Path(file).name)
            if not found:
                skipped.append(LeftOut(file, "no_ntu_name"))
            elif file.endswith(".npy"):
                skipped.append(LeftOut(file, "npy_conversion_holds_pickled_objects", "get the .skeleton files"))
            elif found[0] in missing:
                skipped.append(LeftOut(file, "official_missing_list"))
            else:
                units.append(Unit(found[0], (file,)))
        return Discovery(tuple(units), tuple(skipped))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        bodies = parse(read_text(raw, unit.files[0], ("utf-8-sig", "latin-1")), unit.files[0])
        people = people_of(bodies, self.rules, pair=int(unit.key[-3:]) in PAIRS)
        if not people:
            raise BadRecording("nobody", f"{unit.files[0]}: no body that is a person")
        yield self.recording(unit.key, unit.files[0], people)

    def recording(self, name: str, file: str, people: Sequence[Body]) -> Recording:
        """People of the NTU clip `name` as a recording with its class, splits and origin."""
        found = NAME.search(name)
        if not found:
            raise BadRecording("bad_name", f"{file}: {name} does not read SsssCcccPpppRrrrAaaa")
        setup, camera, performer, _, number = map(int, found.groups())
        joints, source = body22(people)
        duration = len(joints) / FPS
        action = self.actions.get(number, UNKNOWN)
        phrase = self.labels.phrases.get(f"a{number:03d}", "")
        texts = (Text(phrase, 0.0, duration, "label"), template(phrase, 0.0, duration)) if phrase else ()
        splits = {
            "xsub": "train" if performer in TRAIN_PERFORMERS else "test", "xview": "test" if camera == 1 else "train",
            "xset": "train" if setup % 2 == 0 else "test",
        }  # fmt: skip
        protocol = str(self.spec.options.get("protocol", "xsub"))
        return Recording(
            key=name, origin=self.spec.origin_of(key=name, performance=re.sub(r"C\d{3}", "", found[0])), file=file, fps=FPS, joints=joints,
            present=np.stack([body.present for body in people], axis=1), people=tuple(body.name for body in people), joint_source=source,
            texts=texts, labels=tuple(Label(action, 0.0, duration, actor) for actor in range(len(people))) if action != UNKNOWN else (),
            official_split=splits[protocol], protocol=protocol,
            extra={"class": f"A{number:03d}", "splits": splits, **({} if action != UNKNOWN else {"unmapped": [f"A{number:03d}"]})},
        )  # fmt: skip
