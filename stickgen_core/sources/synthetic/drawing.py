"""Acts drawn from one generator: sides, counts, tempos, paths, and how acts follow or lie over each other."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from stickgen_core.sources.synthetic.acts import LEAD_S, TEMPO, Act, natural_duration
from stickgen_core.sources.synthetic.catalogue import Catalogue
from stickgen_core.sources.synthetic.scene import SceneConfig

# Gaits below which the arms are free for something else.
_CARRIERS = ("walk", "walk_backward", "jog", "sidestep", "tiptoe", "march", "run")
# Gaits that are stopped and taken up again, and how often a sequence is such a one.
_STOPPABLE = ("walk", "jog", "run", "march", "tiptoe", "sneak")
_STOP_SHARE = 0.08


class Drawer:
    """Draws acts and scenes from one generator; nothing else is random. With `config.actions` it draws moves of these actions only."""

    def __init__(self, rng: np.random.Generator, moves: Catalogue, config: SceneConfig, seconds: tuple[float, float]) -> None:
        self.rng, self.moves, self.config, self.seconds = rng, moves, config, seconds
        self.actions = frozenset(config.actions or moves.action_names)
        self.by_action = {action: ways for action, ways in moves.ways.items() if action in self.actions}

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
                tempo, factor = self.tempo(gesture.tempo)
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
            return max(3, round(degrees / gait.step_deg))
        if path.startswith("circle"):
            return int(min(self.rng.integers(10, 16), max(8, (self.seconds[1] - 1) / (gait.step_s * factor))))
        most = max(4, int((self.seconds[1] - 1.0) / (gait.step_s * factor)))
        least = 4 if gait.crawl else 6 if gait.swing > 1.0 else 3 if path == "straight" else 6
        return int(self.rng.integers(least, max(min(most, 12), 7) + 1))

    def length(self, act: Act) -> float:
        """Seconds for an act, drawn where the act does not say."""
        natural = natural_duration(act, self.moves)
        return natural if natural is not None else float(self.rng.uniform(1.6, 3.2))

    def line_up(self, acts: list[Act]) -> tuple[tuple[Act, ...], float]:
        """Acts one after the other with short gaps; gives them with their times, and the clip's length."""
        clock = float(self.rng.uniform(0.1, 0.5))
        placed = []
        for act in acts:
            stop = clock + (act.stop - act.start if act.stop > act.start else self.length(act))
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

    def stop_and_go(self) -> list[Act]:
        """The same way of going twice, with a stop between."""
        gait = self.pick(self.wanted(_STOPPABLE))
        go = self.act("gait", gait, plain=True, path="straight", count=int(self.rng.integers(4, 6)))
        pause = Act("gesture", "stand", stop=float(self.rng.uniform(0.9, 1.4)))
        return [go, pause, replace(go, count=int(self.rng.integers(4, 6)))]

    def stops(self) -> bool:
        """Whether a sequence is a stop and go."""
        return bool(self.rng.random() < _STOP_SHARE and self.wanted(_STOPPABLE) and "stand" in self.actions)

    def style(self) -> str | None:
        return str(self.pick(tuple(self.config.styles))) if self.rng.random() < self.config.styled else None

    def place(self) -> tuple[float, float, float]:
        x, z = self.rng.uniform(-0.5, 0.5, 2)
        return float(x), float(z), float(self.rng.uniform(-np.pi, np.pi))
