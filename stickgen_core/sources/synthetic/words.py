"""English from acts: conjugation, sides, counts, manner; everything said comes from a parameter of the motion."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from stickgen_core.config import Section, load
from stickgen_core.sources.synthetic.acts import Act
from stickgen_core.sources.synthetic.catalogue import FOLDER, Catalogue

_THIRD = {"do": "does", "go": "goes", "have": "has"}
_GERUND = {"lie": "lying", "dip": "dipping"}
_DOUBLED = frozenset(["sit", "nod", "clap", "shrug", "hop", "skip", "run", "jog", "swat", "tap", "rub", "spin", "step", "sidestep", "stop", "put", "get", "dip", "trip", "jab", "tug", "pat", "grab", "cut", "slip", "squat", "set", "bob", "trot", "chat", "hit", "stir"])  # fmt: skip


class Grammar(Section):
    """configs/synthetic/grammar.yaml."""

    subjects: tuple[str, ...]
    pronouns: Mapping[str, str]
    tempo: Mapping[str, tuple[str, ...]]
    counts: Mapping[int, tuple[str, ...]]
    numbers: Mapping[int, str]
    paths: Mapping[str, tuple[str, ...]]
    unturned: tuple[str, ...]
    degrees: Mapping[int, tuple[str, ...]]
    single: tuple[str, ...]
    sequence2: tuple[str, ...]
    sequence3: tuple[str, ...]
    overlap: tuple[str, ...]
    pair_other: tuple[str, ...]
    pair_same: tuple[str, ...]
    pair_mirror: tuple[str, ...]
    pair_fight: tuple[str, ...]
    stop_go: tuple[str, ...]
    trio_same: tuple[str, ...]
    together: Mapping[str, tuple[str, ...]]
    camera: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=4)
def grammar(folder: Path = FOLDER) -> Grammar:
    return load(Grammar, [folder / "grammar.yaml"])


def third(verb: str) -> str:
    """wave -> waves, punch -> punches, carry -> carries."""
    if verb in _THIRD:
        return _THIRD[verb]
    if verb.endswith(("s", "sh", "ch", "x", "z", "ss")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("y") and verb[-2] not in "aeiou" else verb + "s"


def gerund(verb: str) -> str:
    """wave -> waving, sit -> sitting, lie -> lying."""
    if verb in _GERUND:
        return _GERUND[verb]
    if verb in _DOUBLED:
        return verb + verb[-1] + "ing"
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    return verb[:-1] + "ing" if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) else verb + "ing"


def conjugated(phrase: str, form: str) -> str:
    """The phrase with its verbs (the first word, and a verb after "and") in the form: b bare, 3 third person, g gerund."""
    if form == "b":
        return phrase
    change = third if form == "3" else gerund
    words = phrase.split(" ")
    words[0] = change(words[0])
    for i, word in enumerate(words[:-1]):
        if word == "and" and words[i + 1] in _SECOND_VERBS:
            words[i + 1] = change(words[i + 1])
    return " ".join(words)


_SECOND_VERBS = frozenset(
    [
        "point",
        "wave",
        "rise",
        "come",
        "bob",
        "explain",
        "tap",
        "read",
        "fall",
        "trip",
        "stand",
        "sink",
        "lift",
        "turn",
        "dance",
        "kick",
        "wait",
        "balance",
        "stretch",
    ]
)


class Speaker:
    """Words chosen by one generator."""

    def __init__(self, rng: np.random.Generator, moves: Catalogue, words: Grammar) -> None:
        self.rng, self.moves, self.words = rng, moves, words

    def pick(self, values: tuple[str, ...]) -> str:
        return values[int(self.rng.integers(len(values)))]

    def phrase(self, act: Act, full: bool, manner: str = "") -> str:
        """A bare verb phrase; `full` leaves nothing out that determines the motion, else parts are dropped at random."""
        say = lambda: full or self.rng.random() < 0.5  # noqa: E731
        text = self._sided(self.pick(self._ways(act)), act.side if say() else None)
        parts = [text]
        gesture = self.moves.gestures.get(act.move) if act.kind == "gesture" else None
        gait = self.moves.gaits.get(act.move) if act.kind == "gait" else None
        if gait is not None and gait.turns:
            if say():
                parts.append(f"to the {act.side}")
            parts.append(self.pick(self.words.degrees[act.degrees]) if say() else "")
        elif gait is not None and gait.paths:
            ways = self.words.paths[act.path] if gait.toward == "forward" else self.words.unturned
            parts.append(self.pick(ways) if say() else "")
        if (
            gesture is not None
            and gesture.counts
            and not gesture.free
            and len(gesture.counts) > 1
            and (act.count > 1 or self.rng.random() < 0.5)
            and say()
        ):
            parts.append(self.pick(self.words.counts[act.count]))
        if gait is not None and gait.countable:
            parts.append(self.pick(self.words.counts[act.count]) if say() else "")
        elif (
            gait is not None
            and gait.stride
            and act.path == "straight"
            and act.count in self.words.numbers
            and not gait.figure
            and self.rng.random() < 0.35
        ):
            parts.append(f"for {self.words.numbers[act.count]} steps")
        timed = (gesture is not None and gesture.period_s > 0) or (gait is not None and not gait.tumble) or act.kind in ("into", "outof")
        if timed and act.move not in ("fall_back", "fall_front", "sprint") and say():
            parts.append(self.pick(self.words.tempo[act.tempo]))
        if manner:
            parts.append(manner)
        return " ".join(part for part in parts if part)

    def _ways(self, act: Act) -> tuple[str, ...]:
        if act.kind == "gait":
            return self.moves.gaits[act.move].say
        if act.kind == "gesture":
            return self.moves.gestures[act.move].say
        return tuple(getattr(self.moves.postures[act.move], f"say_{act.kind}"))

    def _sided(self, phrase: str, side: str | None) -> str:
        """Fill {hand}, {arm}, {leg} … with a side, with both, or without saying which."""
        for part, many in (("hand", "hands"), ("arm", "arms"), ("foot", "feet"), ("leg", "legs"), ("knee", "knees"), ("fist", "fists")):
            if side == "both":
                said = self.pick((f"both {many}", f"both of the {many}", f"the two {many}"))
            elif side is None:
                said = f"one {part}"
            else:
                said = self.pick((f"the {side} {part}", f"the {side} {part}", f"one's {side} {part}"))
            phrase = phrase.replace("{" + part + "}", said)
        phrase = phrase.replace("a sore {side} leg", f"a sore {side} leg" if side else "a sore leg")
        return phrase.replace("{side}", f"the {side}" if side else "one side").replace("one's", "their")
