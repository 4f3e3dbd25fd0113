"""Scenes drawn from the vocabulary, and those that are kept for the test: held-out compositions with their minimal twins."""

from dataclasses import replace

import numpy as np

from stickgen_core.sources.synthetic.acts import Act
from stickgen_core.sources.synthetic.catalogue import Catalogue
from stickgen_core.sources.synthetic.channels import OTHER, SIDES
from stickgen_core.sources.synthetic.company import pair, trio
from stickgen_core.sources.synthetic.drawing import Drawer
from stickgen_core.sources.synthetic.scene import HeldOut, Person, Scene, SceneConfig

_FLIPPED_PATH = {"left": "right", "right": "left", "circle_left": "circle_right", "circle_right": "circle_left"}


def draw_scene(rng: np.random.Generator, moves: Catalogue, config: SceneConfig, seconds: tuple[float, float]) -> Scene:
    """An ordinary scene: the action first, evenly over the vocabulary, then what it is combined with."""
    draw = Drawer(rng, moves, config, seconds)
    kinds = tuple(config.kinds)
    kind = kinds[int(np.searchsorted(np.cumsum([config.kinds[k] for k in kinds]), rng.random() * 0.999999, side="right"))]
    if kind == "single":
        action = draw.pick(tuple(sorted(draw.by_action)))
        if action in ("shake_hands", "hug"):
            kind, script = "pair", str(draw.pick(draw.by_action[action])[1])
            return pair(draw, script)
        acts, length = draw.line_up(list(draw.alone(action)))
        return Scene(kind, (Person(draw.place(), acts, draw.style()),), length)
    if kind == "sequence" and draw.stops():
        acts, length = draw.line_up(draw.stop_and_go())
        return Scene(kind, (Person(draw.place(), acts, draw.style()),), length, "stop_go")
    if kind == "sequence":
        acts, length = draw.line_up(draw.sequence())
        return Scene(kind, (Person(draw.place(), acts, draw.style()),), length)
    if kind == "overlap":
        acts, length = draw.overlap()
        return Scene(kind, (Person(draw.place(), acts, draw.style()),), length)
    return pair(draw) if kind == "pair" else trio(draw)


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
        return replace(act, side=OTHER[act.side or SIDES[0]])
    if what == "count":
        return replace(act, count=act.count + 1 if act.count < 3 else act.count - 1)
    return replace(act, path=_FLIPPED_PATH[act.path])
