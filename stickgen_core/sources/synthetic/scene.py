"""What happens in a clip, drawn from its own generator: who does which acts when, and which compositions are held out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.config import Section, load
from stickgen_core.sources.synthetic.acts import LEAD_S, TEMPO, Act, natural_duration
from stickgen_core.sources.synthetic.catalogue import FOLDER, Catalogue, Value, catalogue
from stickgen_core.sources.synthetic.channels import SIDES

_OTHER = {"left": "right", "right": "left"}
_FLIPPED_PATH = {"left": "right", "right": "left", "circle_left": "circle_right", "circle_right": "circle_left"}
# Gaits below which the arms are free for something else.
_CARRIERS = ("walk", "walk_backward", "jog", "sidestep", "tiptoe", "march", "run")
# What two people do together, and the action that it shows.
TOGETHER = {"shake_hands": "shake_hands", "high_five": "shake_hands", "hug": "hug", "give": "give",
            "push": "push", "follow": "walk", "circle": "walk", "meet": "walk"}  # fmt: skip


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
    """A whole clip before it is written. kind: single | sequence | overlap | pair | trio; script: name of what is done together."""

    kind: str
    people: tuple[Person, ...]
    seconds: float
    script: str | None = None
    held: bool = False
    rule: int = -1
    twin: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


class Drawer:
    """Draws acts and scenes from one generator; nothing else is random. With `config.actions` it draws moves of these actions only."""

    def __init__(self, rng: np.random.Generator, moves: Catalogue, config: SceneConfig, seconds: tuple[float, float]) -> None:
        self.rng, self.moves, self.config, self.seconds = rng, moves, config, seconds
        self.actions = frozenset(config.actions or moves.action_names)
        self.by_action: dict[str, list[tuple[str, str]]] = {}
        for kind, table in (("gesture", moves.gestures), ("gait", moves.gaits)):
            for name, move in table.items():
                self.by_action.setdefault(move.action, []).append((kind, name))
        for name, posture in moves.postures.items():
            for kind in ("into", "hold", "outof"):
                self.by_action.setdefault(getattr(posture, kind), []).append((kind, name))
        self.by_action["shake_hands"] = [("together", "shake_hands"), ("together", "high_five")]
        self.by_action["hug"] = [("together", "hug")]
        self.by_action = {action: ways for action, ways in self.by_action.items() if action in self.actions}

    def wanted(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those moves whose action is drawn; what has several actions, as a posture, must have them all."""
        return tuple(name for name in names if self.moves.actions_of(name) <= self.actions)

    def pick(self, values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def tempo(self, allowed: tuple[str, ...] = ("slow", "normal", "fast")) -> tuple[str, float]:
        weights = np.array([self.config.tempos[name] for name in allowed])
        name = allowed[int(np.searchsorted(np.cumsum(weights / weights.sum()), self.rng.random(), side="right"))]
        return name, float(self.rng.uniform(*TEMPO[name]))

    def act(self, kind: str, name: str, **fixed: Any) -> Act:
        """One act with everything drawn that is not fixed."""
        side, count, path, degrees = None, 0, "straight", 0
        tempo, factor = "normal", float(self.rng.uniform(*TEMPO["normal"]))
        if kind == "gesture":
            gesture = self.moves.gestures[name]
            side = self.pick(gesture.sides) if gesture.sides else None
            if gesture.period_s:
                tempo, factor = self.tempo()
                fits = [c for c in gesture.counts if c * gesture.period_s * factor <= self.seconds[1] - 2 * LEAD_S - 0.8]
                count = self.pick(fits or gesture.counts[:1])
        elif kind == "gait":
            gait = self.moves.gaits[name]
            side = self.pick(gait.sides) if gait.sides else None
            degrees = self.pick(gait.turns) if gait.turns else 0
            tempo, factor = ("normal", factor) if gait.tumble else self.tempo(gait.tempo)
            path = self.pick(gait.paths) if gait.paths and not fixed.get("plain") else "straight"
            count = self.steps(gait, degrees, path, factor)
        else:
            posture = self.moves.postures[name]
            side = self.pick(posture.sides) if posture.sides else None
            if kind != "hold":
                tempo, factor = self.tempo()
        fixed = {key: value for key, value in fixed.items() if key != "plain"}
        act = Act(kind, name, side, count, tempo, factor, float(self.rng.uniform(0.92, 1.08)), path, degrees)
        if "tempo" in fixed:
            factor = float(self.rng.uniform(*TEMPO[fixed["tempo"]]))
        act = replace(act, factor=factor, **fixed)
        if kind == "gait" and not {"count"} & set(fixed) and {"path", "degrees", "tempo"} & set(fixed):
            act = replace(act, count=self.steps(self.moves.gaits[name], act.degrees, act.path, act.factor))
        return act

    def steps(self, gait: Any, degrees: int, path: str, factor: float) -> int:
        if gait.tumble:
            return 0
        if gait.countable:
            return int(self.pick(gait.countable))
        if gait.turns:
            return max(3, round(degrees / 50))
        if path.startswith("circle"):
            return int(min(self.rng.integers(10, 16), max(8, (self.seconds[1] - 1) / (gait.step_s * factor))))
        most = max(4, int((self.seconds[1] - 1.0) / (gait.step_s * factor)))
        return int(self.rng.integers(3 if path == "straight" else 6, max(min(most, 12), 7) + 1))

    def length(self, act: Act) -> float:
        """Seconds for an act, drawn where the act does not say."""
        natural = natural_duration(act, self.moves)
        return natural if natural is not None else float(self.rng.uniform(1.6, 3.2))

    def line_up(self, acts: list[Act]) -> tuple[tuple[Act, ...], float]:
        """Acts one after the other with short gaps; gives them with their times, and the clip's length."""
        clock = float(self.rng.uniform(0.1, 0.5))
        placed = []
        for act in acts:
            stop = clock + self.length(act)
            placed.append(act.at(clock, stop))
            clock = stop + float(self.rng.uniform(0.0, 0.2))
        return tuple(placed), clock + float(self.rng.uniform(0.1, 0.5))

    def alone(self, action: str) -> tuple[Act, ...]:
        """One action on its own; a posture's holding or leaving starts in the posture."""
        kind, name = self.pick(self.by_action[action])
        return (self.act(kind, name),)

    def overlap(self, gesture: str | None = None, gait: str | None = None, **fixed: Any) -> tuple[tuple[Act, ...], float]:
        """A gesture of the arms on top of a gait, or in a posture that is kept."""
        names = self.wanted(n for n, g in self.moves.gestures.items() if g.uses == "arms")
        top = self.act("gesture", gesture or self.pick(names), **fixed)
        kept = self.wanted(("sit", "sit_floor", "kneel"))
        if gait is None and kept and self.rng.random() < 0.2:
            low = self.act("hold", self.pick(kept))
            seconds = self.length(top) + 0.8
            return (replace(low.at(0.0, seconds), below=True), top.at(0.3, seconds - 0.4)), seconds
        low = self.act("gait", gait or self.pick(self.wanted(_CARRIERS)), plain=True)
        way = self.moves.gaits[low.move]
        need = self.length(top) + 0.5
        low = replace(low, count=max(4, int(np.ceil(need / (way.step_s * low.factor)))), below=True)
        seconds = self.length(low)
        return (low.at(0.25, 0.25 + seconds), top.at(0.45, 0.45 + max(self.length_fixed(top, seconds), 1.0))), seconds + 0.5

    def length_fixed(self, act: Act, room: float) -> float:
        natural = natural_duration(act, self.moves)
        return natural if natural is not None else room - 0.3

    def sequence(self) -> list[Act]:
        """Two or three different acts that can follow each other on foot, now and then ending in a posture."""
        count = 2 if self.rng.random() < 0.75 else 3
        acts: list[Act] = []
        gestures = [n for n, g in self.moves.gestures.items() if g.uses != "none" and g.profile != "climb" and n != "put_down"]
        pool = [("gesture", n) for n in self.wanted(gestures)]
        pool += [("gait", n) for n in self.wanted(n for n, g in self.moves.gaits.items() if not g.tumble and not g.crawl)] * 2
        postures = self.wanted(self.moves.postures)
        while len(acts) < count:
            kind, name = self.pick(pool)
            if name not in [a.move for a in acts]:
                act = self.act(kind, name, plain=True)
                if kind == "gesture" and act.count > 3:
                    act = replace(act, count=self.pick((1, 2, 3))) if not self.moves.gestures[name].free else act
                if kind == "gait" and act.count > 6:
                    act = replace(act, count=int(self.rng.integers(4, 7)))
                acts.append(act)
        if postures and self.rng.random() < 0.22:
            acts[-1] = self.act("into", self.pick(postures))
        elif postures and self.rng.random() < 0.12:
            acts[0] = self.act("outof", self.pick(postures))
        return acts

    def style(self) -> str | None:
        return str(self.pick(tuple(self.config.styles))) if self.rng.random() < self.config.styled else None

    def place(self) -> tuple[float, float, float]:
        x, z = self.rng.uniform(-0.5, 0.5, 2)
        return float(x), float(z), float(self.rng.uniform(-np.pi, np.pi))


def draw_scene(rng: np.random.Generator, moves: Catalogue, config: SceneConfig, seconds: tuple[float, float]) -> Scene:
    """An ordinary scene: the action first, evenly over the vocabulary, then what it is combined with."""
    draw = Drawer(rng, moves, config, seconds)
    kinds = tuple(config.kinds)
    kind = kinds[int(np.searchsorted(np.cumsum([config.kinds[k] for k in kinds]), rng.random() * 0.999999, side="right"))]
    if kind == "single":
        action = draw.pick(tuple(sorted(draw.by_action)))
        if action in ("shake_hands", "hug"):
            kind, script = "pair", str(draw.pick(draw.by_action[action])[1])
            return _pair(draw, script)
        acts, length = draw.line_up(list(draw.alone(action)))
        return Scene(kind, (Person(draw.place(), acts, draw.style()),), length)
    if kind == "sequence":
        acts, length = draw.line_up(draw.sequence())
        return Scene(kind, (Person(draw.place(), acts, draw.style()),), length)
    if kind == "overlap":
        acts, length = draw.overlap()
        return Scene(kind, (Person(draw.place(), acts, draw.style()),), length)
    return _pair(draw) if kind == "pair" else _trio(draw)


def _facing(draw: Drawer, distance: float) -> list[tuple[float, float, float]]:
    """Two places that look at each other."""
    x, z, h = draw.place()
    return [(x, z, h), (x + distance * np.sin(h), z + distance * np.cos(h), h + np.pi)]


def _standing_gesture(draw: Drawer) -> Act:
    names = [n for n, g in draw.moves.gestures.items() if g.uses != "none" and g.profile != "climb"]
    return draw.act("gesture", draw.pick(draw.wanted(names)))


def _pair(draw: Drawer, script: str | None = None) -> Scene:
    script = script or draw.pick((*(s for s, action in TOGETHER.items() if action in draw.actions), "same", "other", "other"))
    if script in ("same", "other"):
        places = _facing(draw, float(draw.rng.uniform(1.4, 2.2)))
        first = _standing_gesture(draw)
        second = first if script == "same" else _standing_gesture(draw)
        a, length = draw.line_up([first])
        other = draw.length(second)
        b = (second.at(a[0].start, a[0].stop if script == "same" else a[0].start + other),)
        end = max(a[-1].stop, b[-1].stop) + 0.3
        return Scene("pair", (Person(places[0], a), Person(places[1], b)), max(end, length), script)
    return _scripted(draw, script)


def _scripted(draw: Drawer, script: str) -> Scene:
    """Things done together: each is two parts that fit in time and place."""
    rng = draw.rng
    tempo, factor = draw.tempo()
    count = int(rng.integers(1, 4))
    if script in ("shake_hands", "high_five", "hug", "give"):
        distance = {"shake_hands": 0.95, "high_five": 0.80, "hug": 0.48, "give": 1.0}[script]
        seconds = {"shake_hands": 1.2 + 0.5 * count * factor, "high_five": 1.5, "hug": 2.2 + factor, "give": 1.9}[script]
        acts = (Act("together", script, "right", count, tempo, factor, start=0.4, stop=0.4 + seconds),)
        return Scene("pair", tuple(Person(p, acts) for p in _facing(draw, distance)), seconds + 0.8, script)
    if script == "push":
        shove = draw.act("gesture", "push", count=1, tempo=tempo)
        back = draw.act("gait", "walk_backward", count=3, tempo="fast")
        a = shove.at(0.3, 0.3 + draw.length(shove))
        hit = a.start + LEAD_S + 0.35 * (a.stop - a.start - 2 * LEAD_S)
        b = back.at(hit, hit + draw.length(back))
        places = _facing(draw, 0.85)
        return Scene("pair", (Person(places[0], (a,)), Person(places[1], (b,))), max(a.stop, b.stop) + 0.4, script)
    if script in ("follow", "meet"):
        walk = draw.act("gait", "walk", path="straight", tempo=tempo, count=int(rng.integers(4, 8)))
        x, z, h = draw.place()
        seconds = draw.length(walk)
        gap = 1.2 if script == "follow" else -(walk.count * 0.62 + 0.9)
        behind = (x - gap * np.sin(h), z - gap * np.cos(h), h if script == "follow" else h + np.pi)
        first = (walk.at(0.3, 0.3 + seconds),)
        wait = Act("gesture", "stand", start=0.0, stop=seconds + 0.6)
        second = (walk.at(0.55, 0.55 + seconds),) if script == "follow" else (wait,)
        return Scene("pair", (Person((x, z, h), first), Person(behind, second)), seconds + 1.0, script)
    walk = draw.act("gait", "walk", path=draw.pick(("circle_left", "circle_right")), tempo=tempo)
    x, z, h = draw.place()
    walk = replace(walk, size=1.0)
    seconds = draw.length(walk)
    sign = 1.0 if walk.path == "circle_left" else -1.0
    radius = walk.count * 0.6 / (2 * np.pi)
    other = (x + sign * 2 * radius * np.cos(h), z - sign * 2 * radius * np.sin(h), h + np.pi)
    acts = (walk.at(0.25, 0.25 + seconds),)
    return Scene("pair", (Person((x, z, h), acts), Person(other, acts)), seconds + 0.5, "circle")


def _trio(draw: Drawer) -> Scene:
    x, z, h = draw.place()
    if "walk" in draw.actions and draw.rng.random() < 0.4:
        walk = draw.act("gait", "walk", path="straight", count=int(draw.rng.integers(4, 8)))
        seconds = draw.length(walk)
        people = [
            Person((x - 1.1 * n * np.sin(h), z - 1.1 * n * np.cos(h), h), (walk.at(0.3 + 0.12 * n, 0.3 + 0.12 * n + seconds),))
            for n in range(3)
        ]
        return Scene("trio", tuple(people), seconds + 0.9, "trio_follow")
    acts, length = draw.line_up([_standing_gesture(draw)])
    people = [Person((x + 1.3 * n * np.cos(h), z - 1.3 * n * np.sin(h), h), acts) for n in (0, 1, -1)]
    return Scene("trio", tuple(people), length, "same")


def matching_rule(scene: Scene, config: SceneConfig) -> int:
    """The first held-out rule that the scene falls under, or -1."""
    for number, rule in enumerate(config.held_out):
        for person in scene.people:
            if _matches(person.acts, rule):
                return number
    return -1


def _matches(acts: tuple[Act, ...], rule: HeldOut) -> bool:
    for i, act in enumerate(acts):
        if any(getattr(act, key) != value for key, value in rule.act.items()):
            continue
        if rule.below and not any(a.below and a.move == rule.below for a in acts):
            continue
        if rule.then and not (i + 1 < len(acts) and acts[i + 1].move == rule.then):
            continue
        return True
    return False


def draw_minimal_pair(rng: np.random.Generator, moves: Catalogue, config: SceneConfig, seconds: tuple[float, float], second: bool) -> Scene:
    """A scene under a held-out rule, or its twin that differs in the one thing the rule names."""
    draw = Drawer(rng, moves, config, seconds)
    number = int(rng.integers(len(config.held_out)))
    rule = config.held_out[number]
    fixed = {k: v for k, v in rule.act.items() if k != "move"}
    name = str(rule.act["move"])
    place = draw.place()
    if rule.below:
        acts, length = draw.overlap(name, rule.below, **fixed)
        acts = tuple(_flipped(a, "side") if second and not a.below else a for a in acts)
        return Scene("overlap", (Person(place, acts),), length, held=True, rule=number, twin=rule.flip)
    kind = "gait" if name in moves.gaits else "gesture"
    chain = [draw.act(kind, name, plain=True, **fixed)]
    if rule.then:
        after = "gait" if rule.then in moves.gaits else "gesture"
        extra = {"count": 4} if after == "gait" else {}
        chain.append(draw.act(after, rule.then, plain=True, **extra))
        if kind == "gait" and not moves.gaits[name].turns:
            chain[0] = replace(chain[0], count=min(chain[0].count, 5))
    if second:
        if rule.flip == "order":
            chain.reverse()
        else:
            chain[0] = _flipped(chain[0], rule.flip)
    acts, length = draw.line_up(chain)
    return Scene("sequence" if rule.then else "single", (Person(place, acts),), length, held=True, rule=number, twin=rule.flip)


def _flipped(act: Act, what: str) -> Act:
    if what == "side":
        return replace(act, side=_OTHER[act.side or SIDES[0]])
    if what == "count":
        return replace(act, count=act.count + 1 if act.count < 3 else act.count - 1)
    return replace(act, path=_FLIPPED_PATH[act.path])


def moves_of(folder: Path = FOLDER) -> tuple[Catalogue, SceneConfig]:
    return catalogue(folder), scene_config(folder)
