"""SMPL-family joints without a mesh: joints depend on shape, not on pose blend shapes or skinning, so a few numbers a model suffice.

J0 = J_regressor v_template and JS = J_regressor shapedirs come from the user's own licensed files under `body_models/`.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import BadRecording, MissingInput
from stickgen_core.skeleton.body import JOINT_COUNT, PARENTS
from stickgen_core.skeleton.kinematics import forward_kinematics
from stickgen_core.skeleton.rotations import axis_angle_to_matrix
from stickgen_core.sources.files import Npz, walk
from stickgen_core.sources.pickles import load_pickle

FOLDER = "body_models"
GENDERS = {"male": "m", "female": "f", "neutral": "neutral"}
# Both naming families of each model, matched against the end of the path in lower case; {g} male, {s} m.
PATTERNS = {
    "smpl": (r"smpl_{g}\.(pkl|npz)", r"basicmodel_{s}_lbs_10_207_0_v1\.[01]\.0\.pkl"),
    "smplh": (r"smplh/{g}/model\.npz", r"smplh_{g}\.(npz|pkl)", r"(^|/){g}/model\.npz"),
    "smplx": (r"smplx_{g}(_2020)?\.(npz|pkl)", r"smplx/{g}/model\.npz"),
}
SITES = {"smpl": "https://smpl.is.tue.mpg.de", "smplh": "https://mano.is.tue.mpg.de", "smplx": "https://smpl-x.is.tue.mpg.de"}


@dataclass(frozen=True)
class BodyModel:
    """Rest joints [22, 3] and their shape directions [22, 3, B]; Y up, facing +Z."""

    joints: np.ndarray
    directions: np.ndarray

    def rest(self, betas: np.ndarray) -> np.ndarray:
        """[22, 3] for a subject; components that the model does not have are left out."""
        count = min(len(betas), self.directions.shape[-1])
        return self.joints + self.directions[..., :count] @ np.asarray(betas, np.float64)[:count]


def body_models(raw: Path) -> Path:
    """The folder of body models beside a data set's raw folder."""
    return raw.parent / FOLDER


def find_model(folder: Path, family: str, gender: str) -> str:
    """The model's path below the folder, or MissingInput that names both file-name families."""
    if gender not in GENDERS:
        raise BadRecording("wrong_gender", f"expected {', '.join(GENDERS)}, found {gender!r}")
    patterns = [p.format(g=gender, s=GENDERS[gender]) for p in PATTERNS[family]]
    names = list(walk(folder)) if folder.is_dir() else []
    for pattern in patterns:
        for name in names:
            if re.search(rf"(^|/){pattern}$" if not pattern.startswith("(^") else f"{pattern}$", name.lower()):
                return name
    looked = " or ".join(re.sub(r"[\\()^|]|\(pkl\|npz\)", "", p) for p in patterns[:2])
    raise MissingInput(f"{folder}: no {family.upper()} model for {gender}; expected {looked}; register at {SITES[family]}")


def load_model(raw: Path, family: str, gender: str) -> BodyModel:
    return _load(body_models(raw), family, gender)


@lru_cache(maxsize=12)
def _load(folder: Path, family: str, gender: str) -> BodyModel:
    name = find_model(folder, family, gender)
    try:
        if name.lower().endswith(".npz"):
            archive = Npz(folder, name)
            values: dict[str, Any] = {key: archive.get(key) for key in ("v_template", "shapedirs", "J_regressor", "kintree_table")}
        else:
            values = load_pickle(folder, name)
        return joints_of_model(values)
    except (BadRecording, KeyError, ValueError, TypeError) as error:
        raise MissingInput(f"{folder / name}: not a body model ({error}); download it again from {SITES[family]}") from None


def joints_of_model(values: dict[str, Any]) -> BodyModel:
    """The few numbers that joints need, from a model's own arrays."""
    template, directions = np.asarray(values["v_template"], np.float64), np.asarray(values["shapedirs"], np.float64)
    regressor = np.asarray(values["J_regressor"], np.float64)[:JOINT_COUNT]
    parents = np.asarray(values["kintree_table"]).astype(np.int64)[0, 1:JOINT_COUNT]
    if tuple(parents) != PARENTS[1:]:
        raise ValueError(f"its first {JOINT_COUNT} joints hang together as {parents.tolist()}")
    # SMPL-X: shape directions first, expression after them; 20 = 10 + 10, 400 = 300 + 100.
    shape = {20: 10, 400: 300}.get(directions.shape[-1], directions.shape[-1])
    return BodyModel(regressor @ template, np.einsum("jv,vck->jck", regressor, directions[..., :shape]))


def smpl_joints(model: BodyModel, betas: np.ndarray, poses: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """Axis-angle poses [T, >=66] (root, then 21 body joints), trans [T, 3] -> joints [T, 22, 3].

    `trans` is not the pelvis: pelvis = J(beta)[0] + trans.
    """
    rest = model.rest(betas)
    offsets = rest.copy()
    offsets[1:] -= rest[list(PARENTS[1:])]
    rotations = axis_angle_to_matrix(poses[:, : 3 * JOINT_COUNT].reshape(len(poses), JOINT_COUNT, 3))
    return forward_kinematics(rotations, offsets, PARENTS, rest[0] + trans)


def models_fingerprint(raw: Path) -> str:
    """Of the body models by name, size and both ends of each file: enough to see a changed one without reading gigabytes."""
    folder = body_models(raw)
    hasher = hashlib.sha256()
    for name in walk(folder) if folder.is_dir() else ():
        path = folder / name
        if path.suffix.lower() not in (".npz", ".pkl") or not path.is_file():
            continue
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(1 << 16)
            file.seek(max(0, size - (1 << 16)))
            hasher.update(f"{name}\0{size}\0".encode() + head + file.read())
    return hasher.hexdigest()
