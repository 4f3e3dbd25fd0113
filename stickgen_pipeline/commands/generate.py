"""`stickgen generate`: motion from words, and which checkpoint answers when none is named."""

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.records.manifest import find_manifest
from stickgen_core.settings import Settings
from stickgen_core.sources.actions import load_actions
from stickgen_pipeline.commands.common import answer, settings_of

SPAN = re.compile(r"^(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*:\s*(\w+)$")


def checkpoint_of(settings: Settings, name: str | None) -> Path:
    """A checkpoint's folder by name; without one the release's choice, else whichever is there."""
    if name:
        variant, _, stage = name.partition("_")
        folder = settings.places.checkpoint(variant, stage) if stage and "/" not in name else Path(name)
        if not folder.exists():
            raise MissingInput(f"{name}: no such checkpoint ({folder}); `stickgen status` lists what is there, `stickgen train` makes one")
        return folder
    chosen = find_manifest(settings.places.report("model_selection"))
    candidates = [str(chosen.notes["selected"])] if chosen else []
    candidates += [f"{variant}_{stage}" for stage in ("sft", "pretrain") for variant in ("medium", "small", "large")]
    for candidate in candidates:
        folder = settings.places.checkpoint(*candidate.split("_", 1))
        if (folder / "manifest.json").exists():
            return folder
    raise MissingInput(
        f"{settings.places.checkpoints}: no trained model here yet; make one with `make demo` or `stickgen build`, "
        "or name the folder of one that you were given with --model"
    )


def load_generator(settings: Settings, name: str | None, device: str = "cpu") -> Any:
    from stickgen_core.generation.generator import Generator

    config = settings.config
    folder = checkpoint_of(settings, name)
    return Generator.from_checkpoint(folder, config.generation, config.text, config.curation.safety, device=device)


def action_names() -> list[str]:
    return [action.name for action in load_actions().rows]


def generate(options: argparse.Namespace) -> int:
    """Motion from words; what the safety gate says of it is printed with it."""
    from stickgen_core.generation.generator import Generated

    settings = settings_of(options)
    generator = load_generator(settings, options.model, options.device)
    request = request_of(options, settings, generator.fps)
    results: list[Generated] = generator.generate(request)
    names = action_names()
    paths = _written([generator.scene(result, names) for result in results], options, settings)
    values = [
        {
            "path": str(path), "model": generator.run.name, "prompt": result.prompt, "seed": result.seed, "frames": len(result.motion),
            "accepted": result.accepted, "reason": result.reason, "attempts": result.attempts, "preview": result.preview,
        }
        for path, result in zip(paths, results, strict=True)
    ]  # fmt: skip
    lines = []
    for path, result in zip(paths, results, strict=True):
        gate = "accepted" if result.accepted else f"rejected by the safety gate {result.attempts} times: {result.reason}"
        lines.append(f"{path}: {len(result.motion) / result.fps:g} s by {generator.run.name}, seed {result.seed}, {gate}")
    return answer(options, values[0] if len(values) == 1 else values, "\n".join(lines))


def request_of(options: argparse.Namespace, settings: Settings, fps: float) -> Any:
    """The command line's words as a request."""
    from stickgen_core.generation.picture import Picture, picture_from
    from stickgen_core.generation.request import Request
    from stickgen_core.generation.timed import timed_parts

    prompts = tuple(options.prompt)
    seconds = options.seconds if options.frames is None else options.frames / fps
    timed = timed_parts(prompts[0])
    length = timed[-1].end_s if timed else seconds or settings.config.generation.default_seconds
    actions = None if options.action is None else action_track(options.action, max(2, round(length * fps)), fps)
    picture = None if options.image is None else picture_from(Path(options.image))
    if picture is not None and options.viewpoint is not None:
        picture = Picture(picture.data, tuple(options.viewpoint))
    return Request(
        prompts, seconds, settings.config.seed if options.seed is None else options.seed, options.guidance, False if options.preview else None,
        options.steps, actions, options.camera, options.actors, options.negative, picture, options.on_rejection,
    )  # fmt: skip


def action_track(text: str, frames: int, fps: float) -> int | np.ndarray:
    """An action's name for the whole motion, or spans such as "0-2:walk,2-4:wave"; moments in no span stay open."""
    ids = {name: number for number, name in enumerate(action_names())}

    def id_of(name: str) -> int:
        if name not in ids:
            raise StickgenError(f"action {name!r}: unknown; expected one of {', '.join(ids)}")
        return ids[name]

    spans = [SPAN.match(piece.strip()) for piece in text.split(",")]
    if not all(spans):
        return id_of(text.strip())
    track = np.full(frames, -1)
    for span in spans:
        assert span is not None
        track[round(float(span[1]) * fps) : round(float(span[2]) * fps)] = id_of(span[3])
    return track


def _written(scenes: list[Any], options: argparse.Namespace, settings: Settings) -> list[Path]:
    """One file, or one a prompt in a folder when there are several."""
    from stickgen_pipeline.commands.pictures import write_scene

    names = [slug(str(scene.meta["prompt"])) for scene in scenes]
    if len(scenes) == 1:
        return [write_scene(scenes[0], Path(options.output or f"{names[0]}.motion"), settings, style=options.style)]
    folder = Path(options.output or ".")
    if folder.suffix:
        raise StickgenError(f"{folder}: {len(scenes)} prompts need a folder to write to, not a file")
    return [
        write_scene(scene, folder / f"{number:02d}_{name}.{options.format}", settings, style=options.style)
        for number, (scene, name) in enumerate(zip(scenes, names, strict=True))
    ]


def slug(text: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in text.lower()).split())[:60] or "motion"
