"""Clips of the synthetic source, made once for all tests that look at them."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from stickgen_core.records.seeds import generator
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import load_registry
from stickgen_core.sources.synthetic import SyntheticReader
from stickgen_core.sources.synthetic.company import pair
from stickgen_core.sources.synthetic.drawing import Drawer
from stickgen_core.sources.synthetic.scene import Person, Scene, moves_of
from stickgen_core.sources.synthetic.stage import Played, play

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
MOVES, SCENES = moves_of()


def reader(**options: object) -> SyntheticReader:
    spec = load_registry(CONFIGS / "datasets")["synthetic"]
    return SyntheticReader(spec.model_copy(update={"options": {**spec.options, **options}}))


SOURCE = reader()


@lru_cache(maxsize=512)
def made(index: int) -> Recording:
    return SOURCE.clip(index)


def performed(kind: str, move: str, seed: int = 0, **fixed: object) -> tuple[Scene, Played]:
    """One act by one person who faces +Z, or what two people do together."""
    rng = generator(seed, "performed", kind, move)
    draw = Drawer(rng, MOVES, SCENES, (2.0, 6.0))
    if kind == "together":
        scene = pair(draw, move)
    else:
        acts, seconds = draw.line_up([draw.act(kind, move, **fixed)])
        scene = Scene("single", (Person((0.0, 0.0, 0.0), acts),), seconds)
    return scene, play(scene, MOVES, SCENES, rng, load_actions().ids)


def speeds(joints: np.ndarray) -> np.ndarray:
    """[T, 22, 3] -> [T - 1, 22] m/s."""
    return np.linalg.norm(np.diff(joints, axis=0), axis=-1) * SCENES.fps
