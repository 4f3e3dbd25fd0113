"""InterHuman: two people in one world frame, Z up, metres. `motions_processed` (492 numbers, 30 Hz) first, `.pkl` second.

The two forms come from different body fits and are never mixed within one clip. Pairs are kept in one frame of reference.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.sources.files import expect, load_npy, matching, rate_hz, read_text, walk
from stickgen_core.sources.pickles import load_pickle
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.smpl import joints_via, models_fingerprint, via_fingerprint
from stickgen_core.sources.splits import ignored, listed

PROCESSED_FPS = 30.0
PROCESSED_WIDTH = 492
PEOPLE = ("person1", "person2")


class InterHumanReader:
    version = 1

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.family = str(spec.options.get("pkl_body_model", "smplh"))
        self.via = joints_via(spec)

    def fingerprint(self, raw: Path) -> str:
        return models_fingerprint(raw, self.family) + via_fingerprint(self.via)

    def discover(self, raw: Path) -> Discovery:
        paths = list(walk(raw))
        texts = {Path(file).stem: file for file in matching(paths, "annots/*.txt", "annotations/*.txt", "texts/*.txt")}
        split_of, bad = listed(raw, paths, self.spec.splits), ignored(raw, paths, "ignore_list.txt")
        first = {Path(file).stem: file for file in matching(paths, "person1/*.npy")}
        second = {Path(file).stem: file for file in matching(paths, "person2/*.npy")}
        pickles = {Path(file).stem: file for file in matching(paths, "motions/*.pkl")}
        units, skipped = [], []
        for key in sorted({*first, *second, *pickles}):
            if key in first and key in second:
                files: tuple[str, ...] = (first[key], second[key])
            elif key in pickles:
                files = (pickles[key],)
            else:
                skipped.append(LeftOut(first.get(key) or second[key], "partner_missing"))
                continue
            if key in bad:
                skipped.append(LeftOut(files[0], "ignore_list"))
                continue
            detail = {"split": split_of.get(key), "text": texts.get(key)}
            units.append(Unit(key, (*files, *filter(None, [texts.get(key)])), detail))
        return Discovery(tuple(units), tuple(skipped))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        if unit.files[0].lower().endswith(".pkl"):
            tracks, fps = self._pickled(raw, unit.files[0])
        else:
            tracks = [_processed(load_npy(raw, file), file) for file in unit.files[:2]]
            fps = PROCESSED_FPS
        if abs(len(tracks[0]) - len(tracks[1])) > fps:
            raise BadRecording("wrong_shape", f"{unit.files[0]}: the two people have {len(tracks[0])} and {len(tracks[1])} frames")
        frames = min(map(len, tracks))
        joints = np.stack([track[:frames] for track in tracks], axis=1)
        duration = frames / fps
        lines = read_text(raw, unit.detail["text"]).splitlines() if unit.detail["text"] else []
        yield Recording(
            key=unit.key, origin=self.spec.origin_of(key=unit.key), file=unit.files[0], fps=fps, joints=joints, present=np.ones(joints.shape[:2], bool),
            people=PEOPLE, texts=tuple(Text(" ".join(line.split()), 0.0, duration, "caption") for line in lines if line.strip()),
            official_split=unit.detail["split"], protocol="interhuman" if unit.detail["split"] else None,
        )  # fmt: skip

    def _pickled(self, raw: Path, file: str) -> tuple[list[np.ndarray], float]:
        found = load_pickle(raw, file)
        try:
            fps = rate_hz(file, float(np.asarray(found["mocap_framerate"]).reshape(-1)[0]))
            tracks = [self._person(raw, found[name], f"{file}: {name}") for name in PEOPLE]
        except KeyError as error:
            raise BadRecording("missing_key", f"{file}: no {error}") from None
        return tracks, fps

    def _person(self, raw: Path, person: dict[str, Any], name: str) -> np.ndarray:
        trans = expect(f"{name} trans", np.asarray(person["trans"]), (None, 3))
        root = expect(f"{name} root_orient", np.asarray(person["root_orient"]), (len(trans), 3))
        body = expect(f"{name} pose_body", np.asarray(person["pose_body"]), (len(trans), 3 * (JOINT_COUNT - 1)))
        betas, gender = np.asarray(person["betas"], np.float64).reshape(-1), str(person.get("gender", "neutral"))
        return self.via(raw, self.family, gender, betas, np.concatenate([root, body], axis=1), trans)


def _processed(values: np.ndarray, name: str) -> np.ndarray:
    """[T, 492] -> [T, 22, 3]: positions of 62 joints come first, and of those the SMPL body."""
    values = expect(name, values, (None, PROCESSED_WIDTH))
    return values[:, : 3 * JOINT_COUNT].reshape(len(values), JOINT_COUNT, 3)
