"""What a scene is: who does which acts when and where; and what scenes are drawn from, as configs/synthetic/scenes.yaml declares it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stickgen_core.config import Section, load
from stickgen_core.sources.synthetic.acts import Act
from stickgen_core.sources.synthetic.catalogue import FOLDER, Catalogue, Value, catalogue


class Style(Section):
    """A mood: pose channels added throughout, the size of strokes, its adverbs."""

    pose: Mapping[str, Value]
    size: float
    words: tuple[str, ...]


class HeldOut(Section):
    """A composition that is kept for the test; `flip` names what its minimal twin changes."""

    act: Mapping[str, Any]
    then: str | None = None
    below: str | None = None
    flip: str


class SceneConfig(Section):
    """configs/synthetic/scenes.yaml. actions: what ordinary scenes are drawn from; none means every action."""

    kinds: Mapping[str, float]
    pair_every: int
    tempos: Mapping[str, float]
    styled: float
    camera: float
    fps: float
    styles: Mapping[str, Style]
    held_out: tuple[HeldOut, ...]
    actions: tuple[str, ...] = ()


@lru_cache(maxsize=4)
def scene_config(folder: Path = FOLDER) -> SceneConfig:
    return load(SceneConfig, [folder / "scenes.yaml"])


@dataclass(frozen=True)
class Person:
    """One person's part: where they stand (x, z, heading) and what they do, in order."""

    place: tuple[float, float, float]
    acts: tuple[Act, ...]
    style: str | None = None


@dataclass(frozen=True)
class Scene:
    """A whole clip before it is written. kind: single | sequence | overlap | pair | trio; script: name of what is done together, or stop_go."""

    kind: str
    people: tuple[Person, ...]
    seconds: float
    script: str | None = None
    held: bool = False
    rule: int = -1
    twin: str | None = None


def moves_of(folder: Path = FOLDER) -> tuple[Catalogue, SceneConfig]:
    return catalogue(folder), scene_config(folder)
