"""AIST++: dance at 60 Hz, Y up. World centimetres = scaling x FK(poses) + trans, so a body of standard size in metres is
FK(poses) + trans / scaling. `keypoints3d_optim` (17 COCO points, centimetres) where there is no SMPL model or it is asked for.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording, MissingInput
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.skeleton.rotations import axis_angle_to_matrix
from stickgen_core.sources.actions import labels_for
from stickgen_core.sources.assemble import assemble
from stickgen_core.sources.files import expect, matching, read_text, walk
from stickgen_core.sources.pickles import load_pickle
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Label, Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.smpl import body_models, find_model, joints_via, models_fingerprint, via_fingerprint
from stickgen_core.sources.splits import ignored, lines, listed
from stickgen_core.sources.templates import template

FPS = 60.0
NAME = re.compile(r"g([A-Z]{2})_(s[A-Z]{2})_c\w+_(d\d+)_(m[A-Z]+\d+)_(ch\d+)$")
COCO = {"left_shoulder": 5, "right_shoulder": 6, "left_elbow": 7, "right_elbow": 8, "left_wrist": 9, "right_wrist": 10, "left_hip": 11,
        "right_hip": 12, "left_knee": 13, "right_knee": 14, "left_ankle": 15, "right_ankle": 16}  # fmt: skip
COCO_EARS = [3, 4]
COCO_POINTS = 17
CENTIMETRE = 0.01


class AistReader:
    version = 1

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.prefer = str(spec.options.get("joints_from", "auto"))
        self.protocol = str(spec.options.get("protocol", "crossmodal"))
        self.labels = labels_for("aistpp")
        self.via = joints_via(spec)

    def fingerprint(self, raw: Path) -> str:
        return models_fingerprint(raw, "smpl", "male") + via_fingerprint(self.via) + self.labels.digest()

    def discover(self, raw: Path) -> Discovery:
        paths = list(walk(raw))
        smpl = {Path(file).stem: file for file in matching(paths, "motions/*.pkl")}
        points = {Path(file).stem: file for file in matching(paths, "keypoints3d/*.pkl")}
        use_points = self.prefer == "keypoints" or (self.prefer == "auto" and points and not self._has_model(raw))
        chosen = points if use_points or not smpl else smpl
        split_of, bad = listed(raw, paths, self.spec.splits), ignored(raw, paths, "ignore_list.txt")
        rigs = {Path(file).stem: file for file in matching(paths, "cameras/*.json")}
        rig_of = {row.split()[0]: row.split()[-1] for file in matching(paths, "mapping.txt") for row in lines(raw, file)}
        units, skipped = [], []
        for key, file in sorted(chosen.items()):
            if key in bad:
                skipped.append(LeftOut(file, "ignore_list"))
                continue
            rig = rig_of.get(key, "")
            beside = (rigs[rig],) if rig in rigs else ()
            units.append(Unit(key, (file, *beside), {"split": split_of.get(key), "rig": rig}))
        return Discovery(tuple(units), tuple(skipped))

    def _has_model(self, raw: Path) -> bool:
        try:
            find_model(body_models(raw), "smpl", "male")
        except MissingInput:
            return False
        return True

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        found = NAME.search(unit.key)
        if not found:
            raise BadRecording("bad_name", f"{unit.files[0]}: expected gXX_sXX_cXXX_dNN_mXXN_chNN")
        values = load_pickle(raw, unit.files[0])
        if "smpl_poses" in values:
            joints, source, unit_m = self._from_smpl(raw, values, unit.files[0])
        else:
            joints, source, unit_m = _from_points(values, unit.files[0])
        genre, situation, dancer, music, choreography = found.groups()
        duration = len(joints) / FPS
        action, unmapped = self.labels.lookup([genre])
        phrase = self.labels.phrases.get(genre.lower())
        texts = [Text(f"{phrase or genre}", 0.0, duration, "label")]
        if phrase:
            texts.append(template(phrase, 0.0, duration))
        yield Recording(
            key=unit.key, file=unit.files[0],
            origin=self.spec.origin_of(key=unit.key, genre=genre, situation=situation, choreography=choreography), fps=FPS, joints=joints[:, None],
            present=np.ones((len(joints), 1), bool), joint_source=source, texts=tuple(texts),
            labels=(Label(action, 0.0, duration),) if action >= 0 else (), official_split=unit.detail["split"],
            protocol=self.protocol if unit.detail["split"] else None,
            extra={"genre": genre, "dancer": dancer, "music": music, **({"unmapped": unmapped} if unmapped else {}),
                   **({"camera_rig": unit.detail["rig"]} if unit.detail["rig"] else {}),
                   **({"cameras": _cameras(raw, unit.files[1], unit_m)} if len(unit.files) > 1 else {})},
        )  # fmt: skip

    def _from_smpl(self, raw: Path, values: dict[str, object], name: str) -> tuple[np.ndarray, np.ndarray, float]:
        missing = [key for key in ("smpl_scaling", "smpl_trans") if key not in values]
        if missing:
            raise BadRecording("missing_key", f"{name}: no {missing[0]}")
        poses = np.asarray(values["smpl_poses"])
        poses = expect(f"{name}: smpl_poses", poses.reshape(len(poses), -1) if poses.ndim == 3 else poses, (None, 72))
        trans = expect(f"{name}: smpl_trans", np.asarray(values["smpl_trans"]), (len(poses), 3))
        scaling = float(np.asarray(values["smpl_scaling"], np.float64).reshape(-1)[0])
        if not scaling > 0 or not np.isfinite(poses).all() or not np.isfinite(trans).all():
            raise BadRecording("non_finite", f"{name}: scaling {scaling:g}; poses and trans must be finite")
        joints = self.via(raw, "smpl", "male", np.zeros(0), poses[:, : 3 * JOINT_COUNT], trans / scaling)
        return joints, np.zeros(JOINT_COUNT, np.uint8), 1.0 / scaling


def _cameras(raw: Path, file: str, unit_m: float) -> list[dict[str, object]]:
    """The rig's cameras in the axes of the recording, metres of its body: name, size and focal length (px), rotation (Rodrigues), centre.

    Nine fixed views at once are nobody's view of the stick plane, so they are kept beside the clip and move nothing in it.
    """
    try:
        found: list[dict[str, object]] = []
        for camera in json.loads(read_text(raw, file)):
            rotation, translation = (np.asarray(camera[key], np.float64).reshape(3) for key in ("rotation", "translation"))
            matrix = np.asarray(camera["matrix"], np.float64).reshape(3, 3)
            centre = -axis_angle_to_matrix(rotation).T @ translation * unit_m
            if not np.isfinite([*rotation, *centre, *matrix.ravel()]).all():
                raise ValueError("not finite")
            found.append({"name": str(camera["name"]), "size_px": [int(side) for side in camera["size"]],
                          "focal_px": [round(float(matrix[0, 0]), 2), round(float(matrix[1, 1]), 2)],
                          "rotation_rad": [round(float(v), 6) for v in rotation], "centre_m": [round(float(v), 4) for v in centre]})  # fmt: skip
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise BadRecording("bad_cameras", f"{file}: expected a list of name, size, matrix, rotation, translation ({error})") from None
    return found


def _from_points(values: dict[str, object], name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """17 COCO points in centimetres."""
    if "keypoints3d_optim" not in values:
        raise BadRecording(
            "missing_key", f"{name}: expected smpl_poses or keypoints3d_optim, found {', '.join(sorted(values)) or 'nothing'}"
        )
    points = expect(f"{name}: keypoints3d_optim", np.asarray(values["keypoints3d_optim"]), (None, COCO_POINTS, 3)) * CENTIMETRE
    if not np.isfinite(points).all():
        raise BadRecording("non_finite", f"{name}: keypoints3d_optim holds NaN")
    named = {ours: points[:, index] for ours, index in COCO.items()}
    named["head"] = points[:, COCO_EARS].mean(axis=1)
    return *assemble(named, derived={"head"}), CENTIMETRE
