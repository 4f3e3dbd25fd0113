"""A request, checked against its bounds before anything is computed."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.generation.camera import CAMERA_FIELDS, camera_track
from stickgen_core.generation.config import GenerationConfig
from stickgen_core.model.config import SamplerConfig


@dataclass(frozen=True)
class Request:
    """What to generate; None means the configured or the checkpoint's own value. An empty prompt asks for any motion.

    actions   an id for the whole motion, or one a frame [T] or a frame and person [T, A]; −1 leaves it open
    camera    words (see generation/camera.py) or a track [T, 3]
    """

    prompts: tuple[str, ...]
    seconds: float | None = None
    seed: int = 0
    guidance: float | None = None
    use_diffusion: bool | None = None
    diffusion_steps: int | None = None
    actions: int | np.ndarray | None = None
    camera: str | np.ndarray | None = None
    actors: int = 1


@dataclass(frozen=True)
class Plan:
    """The request with every value settled: actions [T, A] int64, camera [T, 3] float32."""

    prompts: tuple[str, ...]
    frames: int
    actors: int
    seed: int
    sampler: SamplerConfig
    actions: np.ndarray
    camera: np.ndarray


def settle(
    request: Request, config: GenerationConfig, sampler: SamplerConfig, fps: float, most_actors: int, most_frames: int, actions: int
) -> Plan:
    """Every bound held against the request; the first that is broken is named with its limit."""
    prompts = tuple(request.prompts)
    _within("prompts", len(prompts), 1, config.max_batch, "generation.max_batch")
    for prompt in prompts:
        if not isinstance(prompt, str):
            raise StickgenError(f"prompt: expected text, found {type(prompt).__name__}")
        _within("characters of a prompt", len(prompt), 0, config.max_text_chars, "generation.max_text_chars")
    seconds = config.default_seconds if request.seconds is None else request.seconds
    longest = min(config.max_seconds, most_frames / fps)
    _within("seconds", seconds, config.min_seconds, longest, "generation.max_seconds and the clips that the model was trained on")
    _within("actors", request.actors, 1, min(config.max_actors, most_actors), "generation.max_actors and the model")
    frames = max(2, round(seconds * fps))
    changes = {
        "guidance": request.guidance, "use_diffusion": request.use_diffusion, "diffusion_steps": request.diffusion_steps,
    }  # fmt: skip
    chosen = sampler.model_copy(update={key: value for key, value in changes.items() if value is not None})
    _within("diffusion_steps", chosen.diffusion_steps, 1, config.max_diffusion_steps, "generation.max_diffusion_steps")
    _within("guidance", chosen.guidance, 0, config.max_guidance, "generation.max_guidance")
    return Plan(
        prompts, frames, request.actors, int(request.seed), chosen, _actions(request.actions, frames, request.actors, actions),
        _camera(request.camera, frames, config),
    )  # fmt: skip


def _within(what: str, value: float, low: float, high: float, where: str) -> None:
    if not low <= value <= high:
        raise StickgenError(f"{what}: expected {low:g} to {high:g} ({where}), found {value:g}")


def _actions(wanted: int | np.ndarray | None, frames: int, actors: int, count: int) -> np.ndarray:
    track = np.asarray(-1 if wanted is None else wanted)
    if track.dtype.kind not in "iu" or (track.size and not (track.min() >= -1 and track.max() < count)):
        raise StickgenError(f"actions: expected ids from -1 to {count - 1}")
    track = track[:, None] if track.ndim == 1 else track
    if track.ndim and track.shape not in ((frames, 1), (frames, actors)):
        raise StickgenError(f"actions: expected one id, or a track of {frames} frames, found shape {list(track.shape)}")
    return np.broadcast_to(track, (frames, actors)).astype(np.int64)


def _camera(wanted: str | np.ndarray | None, frames: int, config: GenerationConfig) -> np.ndarray:
    if wanted is None or isinstance(wanted, str):
        return camera_track(wanted or "static", frames, config.camera_reach)
    track = np.asarray(wanted, dtype=np.float32)
    if track.shape != (frames, len(CAMERA_FIELDS)) or not np.isfinite(track).all() or (track[:, 2] <= 0).any():
        raise StickgenError(f"camera: expected [{frames}, 3] finite numbers (x, y, zoom above 0), found shape {list(track.shape)}")
    return track
