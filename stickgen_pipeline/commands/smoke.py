"""`stickgen smoke`: the documented end-to-end checks of an installation: imports, the critic, a prompt, a file, a picture."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import answer, settings_of
from stickgen_pipeline.commands.generate import action_names, load_generator

PROMPT = "a person walks forward and waves"
WALK_FRAMES, WALK_STEP_M = 100, 0.01


def smoke(options: argparse.Namespace) -> int:
    """Every check runs, whatever the others said; the exit code is 1 if one failed."""
    settings = settings_of(options)
    rows = []
    for name, check in checks(settings, options.model):
        try:
            rows.append({"check": name, "passed": True, "found": check()})
        except StickgenError as error:
            rows.append({"check": name, "passed": False, "found": str(error)})
    text = "\n".join(f"{'ok    ' if row['passed'] else 'FAILED'}  {row['check']:22} {row['found']}" for row in rows)
    answer(options, rows, text)
    return 0 if all(row["passed"] for row in rows) else 1


def checks(settings: Settings, model: str | None) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "imports", imports
    yield "critic on a random walk", lambda: random_walk(settings)
    yield "prompt to motion", lambda: prompt_to_motion(settings, model)


def imports() -> str:
    """Every module of both packages."""
    count = 0
    for package in ("stickgen_core", "stickgen_pipeline"):
        for module in walk_packages(import_module(package).__path__, f"{package}."):
            try:
                import_module(module.name)
            except ImportError as error:
                raise StickgenError(f"{module.name} cannot be imported: {error}") from None
            count += 1
    return f"{count} modules"


def random_walk(settings: Settings) -> str:
    """The documented random walk must not pass for a motion."""
    from stickgen_core.curation.safety import evaluate_motion_safety
    from stickgen_core.records.seeds import generator
    from stickgen_core.skeleton import stick_layout

    steps = generator(settings.config.seed, "smoke").normal(size=(WALK_FRAMES, stick_layout().width)) * WALK_STEP_M
    result = evaluate_motion_safety(np.cumsum(steps, axis=0), settings.config.curation.safety)
    if result.is_safe:
        raise StickgenError(f"the critic let a random walk pass with score {result.overall_score:.2f}")
    return f"is_safe={result.is_safe}, score={result.overall_score:.2f}: {', '.join(issue.check for issue in result.issues)}"


def prompt_to_motion(settings: Settings, model: str | None) -> str:
    """A prompt through the checkpoint, the gate, a `.motion` file and back, and a picture."""
    from stickgen_core.rendering.media import write_mp4
    from stickgen_core.rendering.motionfile import read_motion, write_motion
    from stickgen_core.rendering.pictures import frames_of

    generator = load_generator(settings, model)
    seconds = min(1.0, generator.limits.frames / generator.fps)
    (result,) = generator.generate(PROMPT, seconds=seconds, seed=settings.config.seed)
    again = generator.generate(PROMPT, seconds=seconds, seed=settings.config.seed)[0]
    if not np.array_equal(result.motion, again.motion):
        raise StickgenError("the same prompt and seed gave two different motions")
    verdict = generator.check_motion_safety(result.motion)
    with tempfile.TemporaryDirectory(prefix="stickgen-smoke-") as folder:
        size = write_motion(Path(folder) / "a.motion", generator.scene(result, action_names()), settings.config.rendering)
        scene = read_motion(Path(folder) / "a.motion")
        frames = write_mp4(Path(folder) / "a.mp4", frames_of(scene, settings.config.rendering), scene.fps, settings.config.rendering.video)
    gate = "accepted" if result.accepted else "rejected by the gate"
    return f"{generator.run.name}: {len(result.motion)} frames, {gate} (score {verdict.overall_score:.2f}), .motion {size} B, MP4 {frames} frames"
