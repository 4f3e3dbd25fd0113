"""Joints as the `smplx` package works them out, by way of its mesh: for those who want its own numbers, and what ours are held against.

The model's file is read by our restricted reader, never by the package, whose own loader unpickles whatever a file names.
"""

from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import BadRecording, MissingInput
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.sources.smpl import SITES, body_models, changed_ns, find_model, model_values

KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights")
# A frame's skinning takes a megabyte.
CHUNK_FRAMES = 64


def package_version() -> str:
    try:
        return metadata.version("smplx")
    except metadata.PackageNotFoundError:
        raise MissingInput("joints_via: smplx needs the packages smplx and torch; install them, or use joints_via: own") from None


def package_joints(raw: Path, family: str, gender: str, betas: np.ndarray, poses: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """betas [B], poses [T, 66] (root, then 21 body joints), trans [T, 3] -> joints [T, 22, 3]; hands and face at rest."""
    package_version()
    import torch
    from smplx.lbs import lbs

    folder = body_models(raw)
    name = find_model(folder, family, gender)
    model = _model(folder, name, family, changed_ns(folder / name))
    shape = torch.zeros(1, model["shapedirs"].shape[-1], dtype=torch.float64)
    count = min(len(betas), shape.shape[1])
    shape[0, :count] = torch.tensor(np.array(betas, np.float64)[:count])
    joints = np.empty((len(poses), JOINT_COUNT, 3))
    for start in range(0, len(poses), CHUNK_FRAMES):
        piece = poses[start : start + CHUNK_FRAMES, : 3 * JOINT_COUNT]
        full = torch.zeros(len(piece), 3 * len(model["parents"]), dtype=torch.float64)
        full[:, : piece.shape[1]] = torch.tensor(np.array(piece, np.float64))
        with torch.no_grad():
            _, found = lbs(shape.expand(len(piece), -1), full, model["v_template"], model["shapedirs"], model["posedirs"],
                           model["J_regressor"], model["parents"], model["weights"])  # fmt: skip
        joints[start : start + len(piece)] = found[:, :JOINT_COUNT].numpy() + trans[start : start + len(piece), None]
    return joints


@lru_cache(maxsize=6)
def _model(folder: Path, name: str, family: str, changed: int) -> dict[str, Any]:
    """A model's tensors in the forms that the package gives them."""
    import torch

    try:
        values = {key: np.asarray(array) for key, array in model_values(folder, name, KEYS).items()}
        directions = values["shapedirs"]
        shape = {20: 10, 400: 300}.get(directions.shape[-1], directions.shape[-1])
        parents = values["kintree_table"].astype(np.int64)[0]
        parents[0] = -1
        vertices = len(values["v_template"])
        arrays = {
            "v_template": values["v_template"], "shapedirs": directions[..., :shape], "J_regressor": values["J_regressor"],
            "posedirs": values["posedirs"].reshape(3 * vertices, -1).T, "weights": values["weights"],
        }  # fmt: skip
        tensors = {key: torch.tensor(np.ascontiguousarray(array, np.float64)) for key, array in arrays.items()}
    except (BadRecording, KeyError, ValueError, TypeError, IndexError) as error:
        raise MissingInput(f"{folder / name}: not a whole body model ({error}); download it again from {SITES[family]}") from None
    return {**tensors, "parents": torch.tensor(parents)}
