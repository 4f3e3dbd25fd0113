"""Import `list[dict]` files: what the samples lack is derived by a stated rule or marked absent, what is unusable goes to the ledger."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.corpus.check import BadClip
from stickgen_core.corpus.clip import ARRAY_FIELDS, Clip
from stickgen_core.corpus.ledger import LedgerRow
from stickgen_core.corpus.store import Corpus
from stickgen_core.corpus.writer import CorpusWriter
from stickgen_core.errors import ConfigError, Corrupt, MissingInput
from stickgen_core.records.digests import digest_file, digest_json
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.skeleton.physics import physics
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.recording import JointSource, Text

# What reading a stranger's sample may raise.
ODD = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError)


def import_pt(path: Path, folder: Path, *, shards: Path, name: str, source: str, licence: str, fps: float) -> Corpus:
    """Make a corpus of a .pt file's samples; only `motion` [T, W] or [T, A, W] is required of them.

    source, licence   for samples that do not name their own
    fps               of the canonical space: physics and text spans are in its seconds
    """
    samples = _load(path)
    recipe = digest_json({"import_pt": 1, "source": source, "licence": licence, "fps": fps})
    with CorpusWriter(folder, shards=shards, name=name, recipe=recipe, parents={f"file/{path.name}": digest_file(path)}) as writer:
        for number, sample in enumerate(samples):
            unit = f"{path.name}#{number}"
            try:
                writer.add(clip_of_sample(sample, unit, source, licence, fps))
            except BadClip as error:
                detail = error.detail.encode("utf-8", "backslashreplace").decode()
                writer.drop(LedgerRow(unit, "", "import", error.reason, detail, file=path.name))
        return writer.publish(read=len(samples))


def _load(path: Path) -> list[Any]:
    import pickle

    import torch

    try:
        samples = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except FileNotFoundError:
        raise MissingInput(f"{path}: no such file") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise Corrupt(f"{path}: not a file of plain tensors that can be loaded safely ({_first_line(error)})") from None
    if not isinstance(samples, list):
        raise Corrupt(f"{path}: expected a list of dicts, found {type(samples).__name__}")
    return samples


def clip_of_sample(sample: Any, unit: str, source: str, licence: str, fps: float) -> Clip:
    """One dict as a clip; BadClip names what is wrong with it."""
    try:
        return _clip(sample, unit, source, licence, fps)
    except ODD as error:
        raise BadClip(unit, "bad_metadata", f"{type(error).__name__}: {_first_line(error)}") from None


def _clip(sample: Any, unit: str, source: str, licence: str, fps: float) -> Clip:
    if not isinstance(sample, Mapping) or not hasattr(sample.get("motion"), "numpy"):
        raise BadClip(unit, "no_motion", "expected a dict with a tensor 'motion' of [T, W] or [T, A, W]")
    shape = list(sample["motion"].shape)
    if len(shape) not in (2, 3) or 0 in shape:
        raise BadClip(unit, "wrong_shape", f"motion: expected [T, W] or [T, A, W], found {shape}")
    frames, actors = shape[0], 1 if len(shape) == 2 else shape[1]
    arrays = {name: _array(sample, name, unit, actors) for name in ARRAY_FIELDS}
    motion = arrays["motion"]
    assert motion is not None
    if arrays["physics"] is None:
        arrays["physics"] = _derived_physics(motion, unit, fps)
    no_camera = arrays["camera"] is None
    defaults = {
        "joints": np.zeros((frames, actors, JOINT_COUNT, 3)), "present": np.ones((frames, actors)), "camera": np.tile([0.0, 1.0, 1.0], (frames, 1)),
        "joint_source": np.full(JOINT_COUNT, JointSource.ABSENT), "actions": np.full((frames, actors), -1),
    }  # fmt: skip
    whole = {n: _cast(n, np.asarray(v if (v := arrays[n]) is not None else defaults[n]), unit) for n in ARRAY_FIELDS}
    (start_s, end_s), (x_m, z_m) = sample.get("window_s") or (0.0, frames / fps), sample.get("origin_xz_m") or (0.0, 0.0)
    return Clip(
        id=sample.get("id") or f"{source}/{unit}#0", source=sample.get("source") or source, origin=sample.get("origin") or f"{source}/{unit}",
        **whole, texts=_texts(sample, frames / fps), source_fps=float(sample.get("source_fps") or fps),
        window_s=(float(start_s), float(end_s)), origin_xz_m=(float(x_m), float(z_m)),
        yaw_rad=float(sample.get("yaw_rad") or 0.0), camera_source=sample.get("camera_source") or ("none" if no_camera else "measured"),
        licence=sample.get("licence") or licence, official_split=sample.get("official_split"), protocol=sample.get("protocol"),
        extra=json.loads(sample.get("extra_json") or "{}"),
    )  # fmt: skip


def _array(sample: Mapping[str, Any], name: str, unit: str, actors: int) -> np.ndarray | None:
    value = sample.get(name)
    if value is None:
        return None
    if not hasattr(value, "numpy"):
        raise BadClip(unit, "wrong_dtype", f"{name}: expected a tensor, found {type(value).__name__}")
    try:
        array = value.detach().numpy()
    except ODD as error:  # bfloat16, sparse, without data
        raise BadClip(
            unit, "wrong_dtype", f"{name}: expected a plain tensor of numbers, found {value.dtype} ({_first_line(error)})"
        ) from None
    if array.dtype.kind not in "fiub":
        raise BadClip(unit, "wrong_dtype", f"{name}: expected numbers, found {array.dtype}")
    rank = {"joints": 4, "motion": 3, "physics": 3, "actions": 2, "present": 2}.get(name)
    return array[:, None] if actors == 1 and rank == array.ndim + 1 else array


def _cast(name: str, values: np.ndarray, unit: str) -> np.ndarray:
    """The array in its stored dtype; a code that means nothing is refused, never bent into one that does."""
    codes = {"actions": range(-1, len(load_actions())), "joint_source": range(len(JointSource)), "present": range(2)}.get(name)
    if codes is not None and (wrong := values[~np.isin(values, codes)]).size:
        raise BadClip(unit, "out_of_range", f"{name}: expected whole numbers from {codes[0]} to {codes[-1]}, found {wrong[0]}")
    with np.errstate(over="ignore"):  # what becomes infinite is refused as such
        return values.astype(ARRAY_FIELDS[name])


def _derived_physics(motion: np.ndarray, unit: str, fps: float) -> np.ndarray:
    try:
        return physics(motion.astype(np.float64), fps)
    except (ConfigError, ValueError) as error:
        raise BadClip(unit, "wrong_shape", f"motion of width {motion.shape[-1]}: {error}") from None


def _texts(sample: Mapping[str, Any], seconds: float) -> tuple[Text, ...]:
    if sample.get("texts"):
        return tuple(Text(t["text"], float(t["start_s"]), float(t["end_s"]), t["kind"], t.get("actor")) for t in sample["texts"])
    description = sample.get("description")
    return (Text(description, 0.0, seconds, "caption"),) if description else ()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
