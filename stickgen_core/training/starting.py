"""What a run begins with: a fresh or a parent's model, its own interrupted state, and the digests of everything that it was made from."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, Corrupt, MissingInput
from stickgen_core.model.denoiser import Denoiser, build_model
from stickgen_core.model.lora import inject
from stickgen_core.model.normalise import Statistics
from stickgen_core.records.manifest import find_manifest
from stickgen_core.training import checkpoints
from stickgen_core.training.config import RunConfig

RESUME_VARIABLE = "RESUME_FROM_CHECKPOINT"
AUTO = "auto"


@dataclass(frozen=True)
class Origin:
    """What the manifest will say: the asset's name, the recipe and the digests of what was read."""

    name: str
    recipe: str
    parents: dict[str, str]
    images: str | None = None

    def refuses(self, payload: Mapping[str, Any]) -> str:
        """Why a checkpoint is not a state of this run, or nothing."""
        if payload.get("recipe") != self.recipe:
            return "it was made with another configuration or version"
        for name, digest in self.parents.items():
            if payload["parents"].get(name) != digest:
                return f"it was made from another {name} ({str(payload['parents'].get(name))[:12]}, now {digest[:12]})"
        if payload.get("images") != self.images:
            return "it was made with other parallax pictures"
        return ""


@dataclass(frozen=True)
class Start:
    """The model, the scale of its numbers, and the frozen base of its adapters if it has any."""

    model: Denoiser
    statistics: Statistics
    base: checkpoints.Base | None = None


def checkpoint_parents(corpus: Corpus, statistics: Statistics | None, init_from: Path | None) -> dict[str, str]:
    """What a checkpoint is made from: the corpus, the statistics it was scaled by, the checkpoint it started from."""
    parents = {corpus.manifest.name: corpus.digest}
    if init_from is not None:
        folder = init_from if init_from.is_dir() else init_from.parent
        manifest = find_manifest(folder)
        if manifest is not None and manifest.kind == "checkpoint":
            return parents | {manifest.name: manifest.digest}
        *_, meta = checkpoints.load_model(init_from)
        return parents | {f"checkpoint/{folder.name}": meta["weights_digest"]}
    if statistics is None:
        raise ConfigError("training from scratch needs the statistics of its corpus (motion_statistics); only init_from brings its own")
    return parents | {"statistics": statistics.digest}


def starting_model(run: RunConfig, work: Path, init_from: Path | None, statistics: Statistics | None, encoder: str | None) -> Start:
    """A fresh model, or the averaged weights of a parent (weights only); LoRA freezes them and adds adapters."""
    multimodal = run.data.use_parallax_augmentation
    if init_from is None:
        if run.lora.enabled:
            raise MissingInput(f"{run.name}: adapters need a trained base; give init_from")
        assert statistics is not None  # checkpoint_parents refused it otherwise
        return Start(build_model(run.model, multimodal), statistics)
    parent, parent_run, own, meta = checkpoints.load_model(init_from)
    _same_encoder(init_from, meta.get(checkpoints.ENCODER), encoder)
    if statistics is not None and statistics.digest != own.digest:
        raise ConfigError(
            f"{run.name}: statistics differ from those of {init_from}; pass None, a fine-tuned model keeps its parent's scale"
        )
    adds_images = multimodal and not parent_run.data.use_parallax_augmentation
    if adds_images and run.lora.enabled:
        raise ConfigError(
            f"{run.name}: adapters cannot train the image layers that {init_from} lacks; set data.use_parallax_augmentation to false, "
            "or train the sft stage with images first and give it as init_from"
        )
    model = build_model(run.model, multimodal)
    state = _parent_state(parent, model, adds_images)
    checkpoints.load_strictly(model, state, init_from)
    if not run.lora.enabled:
        return Start(model, own)
    file = checkpoints.checkpoint_file(init_from)
    base = checkpoints.Base(os.path.relpath(file.resolve(), work.resolve()), checkpoints.weights_digest(model.state_dict()))
    inject(model, run.lora)
    return Start(model, own, base)


def _same_encoder(origin: Path, trained: str | None, embedded: str | None) -> None:
    """A fine-tuned model reads the text vectors that its parent learned to read."""
    if trained and embedded and trained != embedded:
        raise ConfigError(
            f"{origin}: trained with text encoder {trained[:12]}, the corpus is embedded with {embedded[:12]}; embed it with text.encoder of the parent"
        )


def _parent_state(parent: Denoiser, model: Denoiser, adds_images: bool) -> dict[str, Tensor]:
    """The parent's weights; a multimodal model that starts from a motion-only one keeps its own fresh image layers."""
    state = parent.state_dict()
    if adds_images:
        fresh = model.state_dict()
        state |= {name: fresh[name] for name in fresh if name.startswith(("image_encoder.", "fusion."))}
    return state


def resume_source(argument: str | None, run: RunConfig) -> str | None:
    """Where to resume from: the argument, else RESUME_FROM_CHECKPOINT, else training.resume_from."""
    return argument or os.environ.get(RESUME_VARIABLE) or run.training.resume_from


def run_in(path: Path) -> str:
    """The run that a checkpoint file, or the newest one of a folder, is a state of: small_sft."""
    found = checkpoints.newest(path) if path.is_dir() else (path, checkpoints.read(path))
    if found is None:
        raise MissingInput(f"{path}: no checkpoint to resume from")
    config = found[1]["config"]
    return f"{config['variant']}_{config['stage']}"


def state_to_resume(
    resume: str | Path | None, work: Path, origin: Origin, warn: Callable[[str], None]
) -> tuple[Path, dict[str, Any]] | None:  # fmt: skip
    """The state to go on from. AUTO takes what this very run left in its folder, if it fits; a path must fit or is refused."""
    if resume is None:
        return None
    if resume == AUTO:
        found = checkpoints.newest(work, warn) if work.is_dir() else None
        if found and (reason := origin.refuses(found[1])):
            warn(f"{found[0]}: {reason}; starting afresh")
            return None
        return found
    path = Path(resume)
    found = (path, checkpoints.read(path)) if path.is_file() else checkpoints.newest(path, warn)
    if found is None:
        raise MissingInput(f"{resume}: no checkpoint to resume from")
    if reason := origin.refuses(found[1]):
        raise ConfigError(f"{found[0]}: cannot be resumed: {reason}")
    return found


def keep_best(resumed: Path, payload: Mapping[str, Any], work: Path, origin: Origin) -> bool:
    """Does the working folder hold this run's best checkpoint so far? At need it comes from beside the resumed one; another's goes."""
    for path in (work / checkpoints.BEST, resumed.parent / checkpoints.BEST):
        try:
            best = checkpoints.read(path)
        except (MissingInput, Corrupt):
            continue
        if origin.refuses(best):
            continue
        if path.parent == work:
            return True
        if best["best"] == payload["best"] and best["step"] <= payload["step"]:
            checkpoints.save(work / checkpoints.BEST, best)
            return True
    (work / checkpoints.BEST).unlink(missing_ok=True)
    return False
