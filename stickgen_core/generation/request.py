"""A request, checked against its bounds before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.generation.camera import CAMERA_FIELDS, camera_track
from stickgen_core.generation.config import GenerationConfig
from stickgen_core.generation.picture import Picture
from stickgen_core.generation.timed import Window, timed_parts, windows_of
from stickgen_core.model.config import SamplerConfig


@dataclass(frozen=True)
class Request:
    """What to generate; None means the configured or the checkpoint's own value. An empty prompt asks for any motion.

    prompts      each may be timed, "0–3 s walk, 3–5 s wave", and then says its own length
    negative     what to move away from; needs a guidance above 1
    actions      an id for the whole motion, or one a frame [T] or a frame and person [T, A]; −1 leaves it open
    camera       words (see generation/camera.py) or a track [T, 3]
    picture      for a multimodal checkpoint: what the figure looks like from where
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
    negative: str = ""
    picture: Picture | None = None
    on_rejection: Literal["return", "refuse"] | None = None


@dataclass(frozen=True)
class Limits:
    """What the loaded model can do."""

    fps: float
    frames: int
    actors: int
    actions: int
    multimodal: bool


@dataclass(frozen=True)
class Plan:
    """Prompts that are drawn together, every value settled: actions [T, A] int64, camera [T, 3] float32.

    places     where the prompts stand in the request
    windows    of the one timed prompt of this plan; () for ordinary ones
    """

    prompts: tuple[str, ...]
    places: tuple[int, ...]
    frames: int
    actors: int
    seed: int
    sampler: SamplerConfig
    actions: np.ndarray
    camera: np.ndarray
    negative: str
    picture: Picture | None
    refuse: bool
    windows: tuple[Window, ...] = ()


def settle(request: Request, config: GenerationConfig, sampler: SamplerConfig, limits: Limits) -> list[Plan]:
    """Every bound held against the request; the first that is broken is named with its limit."""
    prompts = tuple(request.prompts)
    _within("prompts", len(prompts), 1, config.max_batch, "generation.max_batch")
    for text in (*prompts, request.negative):
        if not isinstance(text, str):
            raise StickgenError(f"prompt: expected text, found {type(text).__name__}")
        _within("characters of a prompt", len(text), 0, config.max_text_chars, "generation.max_text_chars")
    _within("actors", request.actors, 1, min(config.max_actors, limits.actors), "generation.max_actors and the model")
    chosen = _sampler(request, config, sampler)
    if request.picture is not None and not limits.multimodal:
        raise StickgenError("image: this checkpoint was trained without pictures (data.use_parallax_augmentation); leave the image out")
    timed = {place: parts for place, prompt in enumerate(prompts) if (parts := timed_parts(prompt))}
    plain = tuple(place for place in range(len(prompts)) if place not in timed)
    plans = []
    if plain:
        seconds = min(config.default_seconds, limits.frames / limits.fps) if request.seconds is None else request.seconds
        longest = min(config.max_seconds, limits.frames / limits.fps)
        _within("seconds", seconds, config.min_seconds, longest, "generation.max_seconds and the clips that the model was trained on")
        plans.append(_plan(request, config, chosen, limits, plain, max(2, round(seconds * limits.fps)), ()))
    for place, parts in timed.items():
        if request.seconds is not None and request.seconds != parts[-1].end_s:
            raise StickgenError(f"seconds: the timed prompt lasts {parts[-1].end_s:g} s, found {request.seconds:g}; leave seconds out")
        _within("seconds of a timed prompt", parts[-1].end_s, config.min_seconds, config.max_seconds, "generation.max_seconds")
        _within("parts of a timed prompt", len(parts), 1, config.max_batch, "generation.max_batch")
        windows = windows_of(parts, limits.fps, config.join_s, limits.frames)
        plans.append(_plan(request, config, chosen, limits, (place,), windows[-1].stop, windows))
    return plans


def _plan(request: Request, config: GenerationConfig, sampler: SamplerConfig, limits: Limits, places: Sequence[int], frames: int,
          windows: tuple[Window, ...]) -> Plan:  # fmt: skip
    return Plan(
        tuple(request.prompts[place] for place in places), tuple(places), frames, request.actors, int(request.seed), sampler,
        _actions(request.actions, frames, request.actors, limits.actions), _camera(request.camera, frames, config), request.negative.strip(),
        request.picture, (request.on_rejection or config.on_rejection) == "refuse", windows,
    )  # fmt: skip


def _sampler(request: Request, config: GenerationConfig, sampler: SamplerConfig) -> SamplerConfig:
    changes = {
        "guidance": request.guidance, "use_diffusion": request.use_diffusion, "diffusion_steps": request.diffusion_steps,
    }  # fmt: skip
    chosen = sampler.model_copy(update={key: value for key, value in changes.items() if value is not None})
    _within("diffusion_steps", chosen.diffusion_steps, 1, config.max_diffusion_steps, "generation.max_diffusion_steps")
    _within("guidance", chosen.guidance, 0, config.max_guidance, "generation.max_guidance")
    if request.negative.strip() and not chosen.guidance > 1:
        raise StickgenError(f"negative prompt: needs a guidance above 1 to have an effect, found {chosen.guidance:g}; raise guidance")
    return chosen


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
