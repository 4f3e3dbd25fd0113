"""The moves that a scene is made of, as they are declared in configs/synthetic: frozen, checked, known by name."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from stickgen_core.config import Section, load
from stickgen_core.config.loader import read_yaml
from stickgen_core.errors import ConfigError
from stickgen_core.sources.actions import CONFIGS, load_actions
from stickgen_core.sources.synthetic.channels import INDEX, LATERAL, SIDES

Side = Literal["left", "right", "both"]
Value = float | tuple[float, float, float]
FOLDER = CONFIGS / "synthetic"


class Footwork(Section):
    """What the feet do under strokes, where there is room: leg lengths and degrees.

    advance   forward with each stroke      approach   forward before the first, half of it back after the last      hop   on the leg that does not kick
    aside     to a side and back again, two strokes each way      turn_deg   with each stroke      lift   of a stepping foot      bounce   up and down, in standing heights
    """

    advance: float = 0.0
    approach: float = 0.0
    hop: bool = False
    aside: float = 0.0
    turn_deg: float = 0.0
    lift: float = 0.06
    bounce: float = 0.0
    bounce_s: float = 0.40


class Gesture(Section):
    """A move on the spot: a held pose and strokes on top of it, feet that may go along."""

    action: str
    uses: Literal["none", "arms", "legs"]
    sides: tuple[Side, ...] = ()
    hold: Mapping[str, Value] = Field(default_factory=dict)
    stroke: Mapping[str, Value] = Field(default_factory=dict)
    windup: Mapping[str, Value] = Field(default_factory=dict)
    before: Mapping[str, Value] = Field(default_factory=dict)
    after: Mapping[str, Value] = Field(default_factory=dict)
    profile: Literal["pulse", "snap", "alternate", "swing", "circle", "jump", "jack", "throw", "climb"] = "pulse"
    period_s: float
    width: float = 1.0
    rise: float = 0.0
    low: bool = False
    footwork: Footwork | None = None
    lead: float = 1.0
    tempo: tuple[str, ...] = ("slow", "normal", "fast")
    counts: tuple[int, ...] = ()
    free: bool = False
    say: tuple[str, ...]


class Posture(Section):
    """A pose that is got into, kept and got out of."""

    into: str
    hold: str
    outof: str
    sides: tuple[Side, ...] = ()
    rise_s: float
    turn_pitch: float = 0.0
    pose: Mapping[str, Value]
    lean: Mapping[str, Value] = Field(default_factory=dict)
    say_into: tuple[str, ...]
    say_hold: tuple[str, ...]
    say_outof: tuple[str, ...]


class Gait(Section):
    """A way of going, turning or tumbling."""

    action: str
    toward: Literal["forward", "backward", "side"] = "forward"
    sides: tuple[Side, ...] = ()
    step_s: float = 0.5
    stride: float = 0.0
    swing: float = 0.8
    height: float = 0.0
    arm: float = 0.0
    pump: float = 0.0
    lean: float = 0.0
    low: float = 0.0
    bob: float = 0.0
    strike: float = 0.0
    drift: float = 0.0
    step_deg: float = 50.0
    spread: float = 1.0
    tiptoe: float = 0.0
    limp: float = 0.0
    wobble: float = 0.0
    together: bool = False
    crawl: bool = False
    figure: bool = False
    styles: bool = False
    turns: tuple[int, ...] = ()
    tumble: Literal["roll", "cartwheel", "backflip", "frontflip"] | None = None
    countable: tuple[int, ...] = ()
    tempo: tuple[str, ...] = ("slow", "normal", "fast")
    paths: tuple[str, ...] = ()
    hold: Mapping[str, Value] = Field(default_factory=dict)
    say: tuple[str, ...]


class Catalogue(Section):
    """All moves by name."""

    gestures: Mapping[str, Gesture]
    postures: Mapping[str, Posture]
    gaits: Mapping[str, Gait]

    @cached_property
    def action_names(self) -> frozenset[str]:
        """Every action that some move can show; the last two take two people."""
        return frozenset().union(*(self.actions_of(n) for n in (*self.gestures, *self.gaits, *self.postures)), {"shake_hands", "hug"})

    @cached_property
    def ways(self) -> dict[str, list[tuple[str, str]]]:
        """Action -> (kind, move) of everything that shows it; what takes two people is of kind "together"."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, gesture in self.gestures.items():
            found.setdefault(gesture.action, []).append(("gesture", name))
        for name, gait in self.gaits.items():
            found.setdefault(gait.action, []).append(("gait", name))
        for name, posture in self.postures.items():
            for kind in ("into", "hold", "outof"):
                found.setdefault(getattr(posture, kind), []).append((kind, name))
        return {**found, "shake_hands": [("together", "shake_hands"), ("together", "high_five")], "hug": [("together", "hug")]}

    def actions_of(self, move: str) -> frozenset[str]:
        """What a move shows: one action, or a posture's three."""
        posture = self.postures.get(move)
        if posture:
            return frozenset((posture.into, posture.hold, posture.outof))
        return frozenset({(self.gestures.get(move) or self.gaits[move]).action})


@lru_cache(maxsize=4)
def catalogue(folder: Path = FOLDER) -> Catalogue:
    """The catalogue of a folder, its action names checked against configs/actions.yaml."""
    tables = {name: read_yaml(folder / f"{name}.yaml") for name in ("gestures", "postures", "gaits")}
    found = load(Catalogue, base=tables)
    unknown = sorted(found.action_names - set(load_actions().ids))
    if unknown:
        raise ConfigError(f"{folder}: {', '.join(unknown)}: no such action in configs/actions.yaml")
    return found


def channels_of(values: Mapping[str, Value], side: str | None) -> dict[str, float]:
    """Names of the acting side resolved to channels: `hand` -> hand_left_x, _y, _z; lateral channels get the side's sign.

    Both sides act alike; a move without a side acts with the left.
    """
    acting = SIDES if side == "both" else (side or "left",)
    sign = -1.0 if side == "right" else 1.0
    out: dict[str, float] = {}
    for name, value in values.items():
        if name in INDEX:
            out[name] = float(value) * (sign if name in LATERAL else 1.0)  # type: ignore[arg-type]
            continue
        where, _, rest = name.partition("_") if name.startswith(("both_", "other_")) else ("own", "", name)
        part, _, axis = rest.partition("_")
        sides = SIDES if where == "both" else [s for s in SIDES if s not in acting] if where == "other" else acting
        for one in sides:
            if isinstance(value, tuple | list):
                out.update({f"{part}_{one}_{a}": float(v) for a, v in zip("xyz", value, strict=True)})
            else:
                out[f"{part}_{one}_{axis}" if axis else f"{part}_{one}"] = float(value)
    for name in out:
        if name not in INDEX:
            raise ConfigError(f"configs/synthetic: {name!r} is no channel")
    return out
