"""What two or three people do together: each is parts that fit in time and place."""

from dataclasses import replace

import numpy as np

from stickgen_core.sources.synthetic.acts import Act, lead_s
from stickgen_core.sources.synthetic.channels import OTHER
from stickgen_core.sources.synthetic.drawing import Drawer
from stickgen_core.sources.synthetic.scene import Person, Scene

# What two people do together, and the actions that it shows.
TOGETHER = {"shake_hands": ("shake_hands",), "high_five": ("shake_hands",), "hug": ("hug",), "give": ("give",), "push": ("push", "walk_backward"),
            "follow": ("walk",), "circle": ("walk",), "meet": ("walk",), "talk": ("gesture",), "fight": ("punch", "kick", "dodge")}  # fmt: skip


def _facing(draw: Drawer, distance: float) -> list[tuple[float, float, float]]:
    """Two places that look at each other."""
    x, z, h = draw.place()
    return [(x, z, h), (x + distance * np.sin(h), z + distance * np.cos(h), h + np.pi)]


def _standing_gesture(draw: Drawer) -> Act:
    names = [n for n, g in draw.moves.gestures.items() if g.uses != "none" and g.profile != "climb"]
    return draw.act("gesture", draw.pick(draw.wanted(names)))


def _mirrored(draw: Drawer) -> Scene:
    """One person's gesture with one side, and a partner opposite who does it as a mirror would, with the other."""
    names = [n for n, g in draw.moves.gestures.items() if "right" in g.sides and g.profile != "climb"]
    wanted = draw.wanted(names)
    if not wanted:
        return pair(draw, "same")
    first = draw.act("gesture", draw.pick(wanted))
    a, length = draw.line_up([first])
    late = float(draw.rng.uniform(0.0, 0.15))
    b = replace(a[0], side=OTHER.get(first.side or "", first.side)).at(a[0].start + late, a[0].stop + late)
    places = _facing(draw, float(draw.rng.uniform(1.3, 1.9)))
    return Scene("pair", (Person(places[0], a), Person(places[1], (b,))), length + late, "mirror")


def _talk(draw: Drawer) -> Scene:
    """Two people who gesture in turn."""
    turns: tuple[list[Act], list[Act]] = ([], [])
    clock = 0.3
    for n in range(int(draw.rng.integers(2, 4))):
        said = draw.act("gesture", "talk", tempo="normal", count=int(draw.rng.integers(1, 4)))
        stop = clock + draw.length(said)
        turns[n % 2].append(said.at(clock, stop))
        clock = stop + float(draw.rng.uniform(-0.3, 0.1))
    places = _facing(draw, float(draw.rng.uniform(0.9, 1.4)))
    return Scene("pair", tuple(Person(place, tuple(acts)) for place, acts in zip(places, turns, strict=True)), clock + 0.6, "talk")


def _fight(draw: Drawer) -> Scene:
    """One strikes, the other defends at the same beat, out of reach."""
    attack = draw.act("gesture", draw.pick(("punch", "kick", "slap", "box")), tempo=draw.pick(("normal", "fast")))
    defend = draw.act("gesture", draw.pick(("duck", "dodge", "block")), tempo=attack.tempo)
    a, _ = draw.line_up([attack])
    late = float(draw.rng.uniform(0.0, 0.2))
    b = defend.at(a[0].start + late, a[0].start + late + draw.length(defend))
    places = _facing(draw, float(draw.rng.uniform(1.25, 1.5)))
    return Scene("pair", (Person(places[0], a), Person(places[1], (b,))), max(a[0].stop, b.stop) + 0.4, "fight")


def pair(draw: Drawer, script: str | None = None) -> Scene:
    """Two people: one of the things done together, or each a gesture, the same one, its mirror image or another."""
    known = (s for s, actions in TOGETHER.items() if draw.actions.issuperset(actions))
    script = script or draw.pick((*known, "same", "mirror", "other", "other"))
    if script == "mirror":
        return _mirrored(draw)
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
    if script in ("talk", "fight"):
        return _talk(draw) if script == "talk" else _fight(draw)
    rng = draw.rng
    tempo, factor = draw.tempo()
    count = int(rng.integers(1, 4))
    if script in ("shake_hands", "high_five", "hug", "give"):
        distance = {"shake_hands": 0.80, "high_five": 0.72, "hug": 0.34, "give": 1.0}[script]
        seconds = {"shake_hands": 1.2 + 0.5 * count * factor, "high_five": 1.5, "hug": 2.4 + factor, "give": 1.9}[script]
        acts = (Act("together", script, "right", count, tempo, factor, start=0.4, stop=0.4 + seconds),)
        return Scene("pair", tuple(Person(p, acts) for p in _facing(draw, distance)), seconds + 0.8, script)
    if script == "push":
        shove = draw.act("gesture", "push", count=1, tempo=tempo)
        back = draw.act("gait", "walk_backward", count=3, tempo="fast")
        a = shove.at(0.3, 0.3 + draw.length(shove))
        lead = lead_s(shove, draw.moves)
        hit = a.start + lead + 0.35 * (a.stop - a.start - 2 * lead)
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


def trio(draw: Drawer) -> Scene:
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
