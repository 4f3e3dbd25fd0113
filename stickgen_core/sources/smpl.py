"""SMPL-family joints without a mesh: joints depend on shape, not on pose blend shapes or skinning, so a few numbers a model suffice.

J0 = J_regressor v_template and JS = J_regressor shapedirs come from the user's own licensed files under `body_models/`.
A data set's `options.joints_via: smplx` asks the `smplx` package for the same joints by way of its mesh, some fifty times slower.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import BadRecording, ConfigError, MissingInput
from stickgen_core.skeleton.body import JOINT_COUNT, PARENTS
from stickgen_core.skeleton.kinematics import forward_kinematics
from stickgen_core.skeleton.rotations import axis_angle_to_matrix
from stickgen_core.sources.files import Npz, walk
from stickgen_core.sources.pickles import load_pickle
from stickgen_core.sources.registry import SourceSpec

FOLDER = "body_models"
GENDERS = {"male": "m", "female": "f", "neutral": "neutral"}
# Both naming families of each model, matched against the end of the path in lower case; {g} male, {s} m.
PATTERNS = {
    "smpl": (r"smpl_{g}\.(pkl|npz)", r"basicmodel_{s}_lbs_10_207_0_v1\.[01]\.0\.pkl"),
    "smplh": (r"smplh/{g}/model\.npz", r"smplh_{g}\.(npz|pkl)", r"(^|/){g}/model\.npz"),
    "smplx": (r"smplx_{g}(_2020)?\.(npz|pkl)", r"smplx/{g}/model\.npz"),
}
# The same two families as people know them, for messages; {G} MALE, {g} male, {s} m.
NAMES = {
    "smpl": ("smpl/SMPL_{G}.pkl", "basicmodel_{s}_lbs_10_207_0_v1.1.0.pkl"),
    "smplh": ("smplh/{g}/model.npz", "SMPLH_{G}.pkl"),
    "smplx": ("smplx/SMPLX_{G}.npz", "smplx/{g}/model.npz"),
}
# Frames whose rotations are worked out together, so that an hour of poses needs no gigabytes.
CHUNK_FRAMES = 4096
# How much of a model's file says whether it has changed.
SAMPLES, SAMPLE_BYTES = 64, 1 << 14
SITES = {"smpl": "https://smpl.is.tue.mpg.de", "smplh": "https://mano.is.tue.mpg.de", "smplx": "https://smpl-x.is.tue.mpg.de"}


# (raw folder, family, gender, betas [B], poses [T, 66], trans [T, 3]) -> joints [T, 22, 3]
JointsVia = Callable[[Path, str, str, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


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
    looked = " or ".join(file_names(family, gender))
    raise MissingInput(f"{folder}: no {family.upper()} model for {gender}; expected {looked}; register at {SITES[family]}")


def file_names(family: str, gender: str) -> list[str]:
    """Both names under which a model is distributed or kept."""
    return [name.format(G=gender.upper(), g=gender, s=GENDERS[gender]) for name in NAMES[family]]


def found_models(folder: Path) -> dict[str, dict[str, str]]:
    """Family -> gender -> file below the folder, of the models that are there."""
    found: dict[str, dict[str, str]] = {family: {} for family in PATTERNS}
    for family, genders in found.items():
        for gender in GENDERS:
            try:
                genders[gender] = find_model(folder, family, gender)
            except MissingInput:
                continue
    return found


def load_model(raw: Path, family: str, gender: str) -> BodyModel:
    folder = body_models(raw)
    name = find_model(folder, family, gender)
    return _load(folder, name, family, changed_ns(folder / name))


def changed_ns(path: Path) -> int:
    """When a file was changed: what is remembered of it holds no longer than that, as a daemon outlives a download."""
    return path.stat().st_mtime_ns


@lru_cache(maxsize=12)
def _load(folder: Path, name: str, family: str, changed: int) -> BodyModel:
    try:
        return joints_of_model(model_values(folder, name, ("v_template", "shapedirs", "J_regressor", "kintree_table")))
    except (BadRecording, KeyError, ValueError, TypeError) as error:
        raise MissingInput(f"{folder / name}: not a body model ({error}); download it again from {SITES[family]}") from None


def model_values(folder: Path, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Arrays of a model's file, without running anything that the file names."""
    if name.lower().endswith(".npz"):
        archive = Npz(folder, name)
        return {key: archive.get(key) for key in keys}
    values = load_pickle(folder, name)
    return {key: values[key] for key in keys}


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
    joints = np.empty((len(poses), JOINT_COUNT, 3))
    for start in range(0, len(poses), CHUNK_FRAMES):
        piece = slice(start, start + CHUNK_FRAMES)
        rotations = axis_angle_to_matrix(poses[piece, : 3 * JOINT_COUNT].reshape(-1, JOINT_COUNT, 3))
        joints[piece] = forward_kinematics(rotations, offsets, PARENTS, rest[0] + trans[piece])
    return joints


def own_joints(raw: Path, family: str, gender: str, betas: np.ndarray, poses: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """Joints by the model's few numbers."""
    return smpl_joints(load_model(raw, family, gender), betas, poses, trans)


def joints_via(spec: SourceSpec) -> JointsVia:
    """How a data set's joints are worked out: `options.joints_via`, own (no mesh) or smplx (the package's own)."""
    chosen = str(spec.options.get("joints_via", "own"))
    if chosen == "smplx":
        from stickgen_core.sources.smplx_joints import package_joints

        return package_joints
    if chosen != "own":
        raise ConfigError(f"configs/datasets/{spec.name}.yaml: options.joints_via {chosen!r}: expected own or smplx")
    return own_joints


def via_fingerprint(via: JointsVia) -> str:
    """What else decides the joints: nothing of ours, the version of the package."""
    if via is own_joints:
        return ""
    from stickgen_core.sources.smplx_joints import package_version

    return f"smplx {package_version()}"


def models_fingerprint(raw: Path, family: str, gender: str | None = None) -> str:
    """Of a family's models by name, size, both ends and samples between: enough to see a changed one without reading gigabytes.

    The end of an `.npz` holds a checksum of every array.
    """
    folder = body_models(raw)
    hasher = hashlib.sha256()
    found = found_models(folder)[family] if folder.is_dir() else {}
    for name in sorted({file for kind, file in found.items() if gender in (None, kind)}):
        path = folder / name
        size = path.stat().st_size
        with path.open("rb") as file:
            hasher.update(f"{name}\0{size}\0".encode())
            for place in range(SAMPLES + 1):
                file.seek(max(0, size - SAMPLE_BYTES) * place // SAMPLES)
                hasher.update(file.read(SAMPLE_BYTES))
    return hasher.hexdigest()
