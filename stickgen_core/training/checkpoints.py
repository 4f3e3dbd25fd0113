"""Checkpoints: one atomic file that holds all that a resumed run needs, or all that a user of the model needs.

In a checkpoint's folder
    model_checkpoint.pth           the newest state, rolling while training; `model_checkpoint_previous.pth` is the one before
    checkpoint_epoch_{N}.pth       every few epochs
    model_checkpoint_best.pth      the lowest validation loss
    model.safetensors              averaged weights for release, adapters merged, configuration and statistics inside
Every .pth holds plain tensors and values and loads with `weights_only=True`. A LoRA .pth holds adapters alone and names its base
by relative path and digest; the safetensors file beside it stands on its own.
"""

import json
import math
import random
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.model.config import LoraConfig
from stickgen_core.model.denoiser import Denoiser, build_model
from stickgen_core.model.lora import merged_state
from stickgen_core.model.normalise import Statistics
from stickgen_core.records.digests import digest_fields
from stickgen_core.records.publish import publishing
from stickgen_core.training.config import RunConfig, recorded_run

LATEST, PREVIOUS, BEST, RELEASE = "model_checkpoint.pth", "model_checkpoint_previous.pth", "model_checkpoint_best.pth", "model.safetensors"
FORMAT = 1
# Which text encoder the model learned to read; absent where vectors came from elsewhere.
ENCODER = "encoder_digest"
# Where several processes trained, the generators of each: dropout draws differ by process.
RANKS = "ranks"
REQUIRED = ("format", "model_state_dict", "ema", "config", "epoch", "step", "statistics", "parents", "base")


def epoch_name(epoch: int) -> str:
    return f"checkpoint_epoch_{epoch}.pth"


@dataclass(frozen=True)
class Base:
    """The checkpoint that an adapter belongs to: where it lies relative to the adapter's folder, and the digest of its weights."""

    path: str
    digest: str


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """Content digest of named tensors, independent of device, order and file format."""
    return digest_fields("weights.v1", {name: value.detach().cpu().float().numpy() for name, value in state.items()}, {})


def rng_state() -> dict[str, Any]:
    """Every generator's state as plain values."""
    numpy = np.random.get_state(legacy=True)
    assert isinstance(numpy, tuple)  # what legacy=True gives
    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(), "python": [version, list(internal), gauss],
        "numpy": [numpy[0], torch.from_numpy(numpy[1].astype(np.int64)), int(numpy[2]), int(numpy[3]), float(numpy[4])],
    }  # fmt: skip
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_rng(state: Mapping[str, Any], rank: int = 0, world: int = 1) -> None:
    """This process's own generators, where as many processes saved theirs; else those of the first."""
    if len(state.get(RANKS, ())) == world:
        state = state[RANKS][rank]
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    if "cuda" in state and torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """`publishing`, where torch and safetensors report a failed write as errors of their own."""
    try:
        with publishing(path) as temporary:
            yield temporary
    except StickgenError:
        raise
    except Exception as error:
        if not isinstance(error, OSError | RuntimeError) and type(error).__name__ != "SafetensorError":
            raise
        free = shutil.disk_usage(path.parent).free / 1e6
        raise StickgenError(
            f"{path}: could not be written ({str(error).splitlines()[0]}; {free:,.0f} MB free); the old version is untouched; free space and run again"
        ) from None


def save(path: Path, payload: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a reader finds the old one or the new one whole."""
    with _writing(path) as temporary:
        torch.save(dict(payload), temporary)


def roll(path: Path) -> None:
    """Keep the newest checkpoint under the previous' name before it is replaced."""
    if path.exists():
        with publishing(path.with_name(PREVIOUS)) as temporary:
            temporary.hardlink_to(path)


def read(path: Path, *, glance: bool = False) -> dict[str, Any]:
    """A checkpoint's payload; one clear line if it is missing, cut short, changed or not one of ours. A glance leaves the tensors on disk."""
    if not path.is_file():
        raise MissingInput(f"{path}: no such checkpoint")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = None if glance else archive.testzip()
        if damaged:
            raise Corrupt(f"{path}: {damaged} fails its checksum; use an older checkpoint")
        payload = torch.load(path, map_location="cpu", weights_only=True, mmap=glance)
    except zipfile.BadZipFile:
        raise Corrupt(f"{path}: cut short or not a checkpoint ({path.stat().st_size} bytes); use an older one") from None
    except (RuntimeError, EOFError, ValueError) as error:
        raise Corrupt(f"{path}: unreadable: {str(error).splitlines()[0]}") from None
    except Exception as error:  # torch raises its own unpickling error for anything that is not plain tensors and values
        if type(error).__name__ != "UnpicklingError":
            raise
        raise Corrupt(
            f"{path}: holds more than plain tensors and values and is not loaded; expected a checkpoint of this program"
        ) from None
    missing = [key for key in REQUIRED if not isinstance(payload, dict) or key not in payload]
    if missing:
        raise Corrupt(f"{path}: not a checkpoint of this program: lacks {missing[0]!r}")
    if payload["format"] != FORMAT:
        raise Corrupt(f"{path}: checkpoint format {payload['format']}, this program reads {FORMAT}")
    return payload


def newest(folder: Path, warn: Any = None) -> tuple[Path, dict[str, Any]] | None:
    """The whole checkpoint of a folder with the most steps; a damaged one is told to `warn` and the one before is taken."""
    saved = (folder / LATEST, folder / PREVIOUS, *sorted(folder.glob("checkpoint_epoch_*.pth")))
    for path in sorted((path for path in saved if path.exists()), key=_step, reverse=True):
        try:
            return path, read(path)
        except Corrupt as error:
            if warn:
                warn(f"{error}; falling back to the checkpoint before")
    return None


def _step(path: Path) -> float:
    """The step that a checkpoint was saved at; one that cannot say is tried, and told of, first."""
    try:
        return float(read(path, glance=True)["step"])
    except Corrupt:
        return math.inf


def weights_of(folder: Path, payload: Mapping[str, Any], averaged: bool = True) -> dict[str, Tensor]:
    """The full state dict that a checkpoint stands for: averaged weights, adapters merged into their verified base."""
    state = {**payload["model_state_dict"], **(payload["ema"] if averaged else {})}
    if payload["base"] is None:
        return state
    path = (folder / payload["base"]["path"]).resolve()
    try:
        base = _read_release(path)[0] if path.suffix == ".safetensors" else weights_of(path.parent, read(path))
    except MissingInput:
        raise MissingInput(f"{path}: the base of the adapters in {folder} is not there; restore it, or load {folder / RELEASE}") from None
    found = weights_digest(base)
    if found != payload["base"]["digest"]:
        raise Corrupt(
            f"{path}: weights {found[:12]}, but the adapters in {folder} were trained on {payload['base']['digest'][:12]}; train them again"
        )
    return merged_state(base, state, LoraConfig.model_validate(payload["config"]["lora"]))


def checkpoint_file(path: Path) -> Path:
    """The file that a checkpoint's folder (or file) means: the best, else the newest, else the release."""
    if path.is_file():
        return path
    for name in (BEST, LATEST, RELEASE):
        if (path / name).is_file():
            return path / name
    raise MissingInput(f"{path}: no checkpoint here (expected {BEST}); train it with `stickgen build`")


def load_model(
    path: Path, map_location: str | torch.device = "cpu", *, averaged: bool = True
) -> tuple[Denoiser, RunConfig, Statistics, dict[str, Any]]:
    """(model in evaluation mode, its run, its statistics, the rest of the payload). Every weight must be there, none may be left over."""
    file = checkpoint_file(Path(path))
    if file.suffix == ".safetensors":
        state, run, statistics, meta = _read_release(file)
    else:
        payload = read(file)
        state, run = weights_of(file.parent, payload, averaged), recorded_run(payload["config"], file)
        statistics = Statistics.from_dict(payload["statistics"])
        meta = {k: v for k, v in payload.items() if k not in ("model_state_dict", "ema", "optimizer_state_dict", "statistics")}
    model = build_model(run.model, run.data.use_parallax_augmentation)
    load_strictly(model, state, file)
    return model.to(map_location).eval(), run, statistics, {**meta, "file": str(file), "weights_digest": weights_digest(state)}


def load_strictly(model: torch.nn.Module, state: Mapping[str, Tensor], origin: Path) -> None:
    """Load every weight or refuse with the first that does not fit."""
    own = model.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state:
            raise Corrupt(f"{origin}: lacks the weight {name!r}; it is not a checkpoint of this model")
        if name not in own:
            raise Corrupt(f"{origin}: holds the weight {name!r}, which this model does not have")
        if own[name].shape != state[name].shape:
            raise Corrupt(f"{origin}: {name} is {list(state[name].shape)}, this configuration makes it {list(own[name].shape)}")
    model.load_state_dict(state)


def load_strictly_trainable(model: torch.nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load exactly the parameters that train (all of them, or the adapters of a frozen base)."""
    wanted = {name for name, p in model.named_parameters() if p.requires_grad}
    if wanted != set(state):
        odd = sorted(wanted ^ set(state))[0]
        raise Corrupt(f"checkpoint: {odd} is {'missing' if odd in wanted else 'unknown'}; it belongs to another model")
    model.load_state_dict(dict(state), strict=False)


def write_release(folder: Path, payload: Mapping[str, Any]) -> Path:
    """`model.safetensors`: full averaged weights, with the run and the statistics in the header."""
    from safetensors.torch import save_file

    weights = {f"model.{name}": value.float().contiguous() for name, value in weights_of(folder, payload).items()}
    numbers = {f"statistics.{name}": payload["statistics"][name] for name in Statistics.ARRAYS}
    scalars = {k: v for k, v in payload["statistics"].items() if k not in Statistics.ARRAYS}
    header = {
        "config": payload["config"],
        "statistics": scalars,
        "parents": payload["parents"],
        "step": payload["step"],
        "epoch": payload["epoch"],
        ENCODER: payload.get(ENCODER),
    }
    with _writing(folder / RELEASE) as temporary:
        save_file({**weights, **numbers}, temporary, {"stickgen": json.dumps(header, sort_keys=True)})
    return folder / RELEASE


def _read_release(path: Path) -> tuple[dict[str, Tensor], RunConfig, Statistics, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise MissingInput(f"{path}: no such release file")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["stickgen"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, KeyError, ValueError) as error:
        raise Corrupt(f"{path}: not a release file of this program ({error})") from None
    arrays = {name: tensors.pop(f"statistics.{name}").numpy() for name in Statistics.ARRAYS}
    state = {name.removeprefix("model."): value for name, value in tensors.items()}
    statistics = Statistics(**arrays, **header["statistics"])
    return state, recorded_run(header["config"], path), statistics, header
