"""What a caption claims, read from its words alone: which moves in which order, each with its side, count, speed, way and turn.

The lexicon knows the vocabulary's phrases in all their forms; nothing here knows a scene or a motion.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stickgen_core.sources.synthetic.catalogue import Catalogue
from stickgen_core.sources.synthetic.words import Grammar, conjugated

_PARTS = {"hands": "hand", "arms": "arm", "feet": "foot", "legs": "leg", "knees": "knee", "fists": "fist"}
_PART = "|".join((*_PARTS, *_PARTS.values()))
# In this order: "both of the hands" before "both hands", a named part before a bare side.
_SIDED = (
    (re.compile(rf"\b(?:both of the|both|the two) ({_PART})\b"), "both"),
    (re.compile(rf"\b(?:the|their|one's|a sore) (left|right) ({_PART})\b"), None),
    (re.compile(rf"\b(?:one|a sore) ({_PART})\b"), "one"),
    (re.compile(r"\bthe (left|right)\b"), None),
    (re.compile(r"\bone side\b"), "one"),
)
_SLOT = re.compile(rf"\{{({'|'.join(_PARTS.values())}|side)\}}")
_TOKEN = re.compile(r"<[a-z]+:(left|right|both|one)>")


@dataclass(frozen=True)
class Clause:
    """moves: (kind, name) of every move that the words may mean; claims: side, count, tempo, path, toward, degrees, steps."""

    moves: frozenset[tuple[str, str]]
    claims: dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """clauses in the order of time; relation: then | while | alone; camera: (move, word) or None."""

    text: str
    clauses: tuple[Clause, ...]
    relation: str
    camera: tuple[str, str] | None = None
    people: int = 1
    whole: dict[str, Any] = field(default_factory=dict)


def tokens(text: str) -> str:
    """Lower case, with every sided part of the body as <part:side> and every bare side as <side:side>."""
    text = " ".join(text.lower().rstrip(".").split())
    for pattern, side in _SIDED:

        def put(match: re.Match[str], side: str | None = side) -> str:
            found = match.groups()
            part = next((g for g in found if g and g not in ("left", "right")), "side")
            return f"<{_PARTS.get(part, part)}:{side or found[0]}>"

        text = pattern.sub(put, text)
    return text


class Lexicon:
    """The vocabulary's phrases, to be found in captions."""

    def __init__(self, moves: Catalogue, words: Grammar) -> None:
        self.moves, self.words = moves, words
        self.camera_words = [
            (move, template.replace("{dir}", way).replace("{inout}", way).replace("{updown}", way), way)
            for move, templates in words.camera.items()
            for template in templates
            for way in _ways_of(template)
        ]

    def _phrases(self) -> Iterable[tuple[str, tuple[str, str]]]:
        for kind, table in (("gesture", self.moves.gestures), ("gait", self.moves.gaits)):
            for name, move in table.items():
                yield from ((phrase, (kind, name)) for phrase in move.say)
        for name, posture in self.moves.postures.items():
            for kind in ("into", "hold", "outof"):
                yield from ((phrase, (kind, name)) for phrase in getattr(posture, f"say_{kind}"))

    @cached_property
    def known(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Phrase, conjugated and with its sides left open -> moves."""
        found: dict[str, set[tuple[str, str]]] = {}
        for phrase, move in self._phrases():
            phrase = phrase.replace("a sore {side} leg", "{leg}")
            for form in "b3g":
                key = _SLOT.sub(lambda m: f"<{m[1]}:one>", conjugated(phrase, form))
                found.setdefault(_open(tokens(key)), set()).add(move)
        return {key: frozenset(moves) for key, moves in found.items()}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        longest = sorted(self.known, key=len, reverse=True)
        body = "|".join(re.escape(key).replace(":one>", ":(?:left|right|both|one)>") for key in longest)
        return re.compile(rf"(?<![a-z])(?:{body})(?![a-z])")

    def read(self, text: str) -> Reading:
        """What a caption of one person's acts, or of people who act each for themselves, claims."""
        said = tokens(text)
        camera, said = self.camera(said)
        found = list(self.pattern.finditer(self._masked(said)))
        starts = [m.start() for m in found] + [len(said)]
        clauses = []
        for n, match in enumerate(found):
            # What follows the phrase up to the next one is said of it; "while" and "and" before a phrase belong to neither.
            moves = self.known[_open(match.group())]
            clauses.append(Clause(moves, self.claims(match.group(), said[match.end() : starts[n + 1]], any(map(self._sided, moves)))))
        relation = "while" if re.search(r"\bwhile\b|\bat the same time\b|^as ", said) else "then" if len(clauses) > 1 else "alone"
        between = [said[a.end() : b.start()] for a, b in zip(found, found[1:], strict=False)]
        if len(between) == 1 and between[0].endswith(" after "):
            clauses.reverse()
        return Reading(text, tuple(clauses), relation, camera)

    def _masked(self, said: str) -> str:
        """The text with ways and turns blotted out, whose words also name moves ("a full turn", "bending to the left")."""
        for table in (self.words.paths, self.words.degrees):
            for way in sorted((tokens(w) for ways in table.values() for w in ways if w), key=len, reverse=True):
                said = said.replace(way, "_" * len(way))
        return said

    def _sided(self, move: tuple[str, str]) -> bool:
        kind, name = move
        if kind == "gesture":
            return bool(self.moves.gestures[name].sides)
        return bool(self.moves.gaits[name].sides if kind == "gait" else self.moves.postures[name].sides)

    def camera(self, said: str) -> tuple[tuple[str, str] | None, str]:
        """The camera move that the text ends with, with its word for the way, and the text without it."""
        for move, words, way in sorted(self.camera_words, key=lambda row: -len(row[1])):
            for ending in (f", {words}", f", {tokens(words)}"):
                if said.endswith(ending):
                    return (move, way), said[: -len(ending)]
        return None, said

    def claims(self, phrase: str, rest: str, sided: bool) -> dict[str, Any]:
        """Side, count, speed, way, turn and steps that a phrase and what is said after it claim; "both hands" of a move without sides is none."""
        found: dict[str, Any] = {}
        sides = {side for side in _TOKEN.findall(phrase) if side in ("left", "right") or (sided and side == "both")}
        path = next(
            (name for name, ways in self.words.paths.items() for way in ways if way and name != "straight" and tokens(way) in rest), None
        )
        if path is None and any(way and way in rest for way in self.words.paths["straight"]):
            path = "straight"
        if path is not None:
            found["path"] = path
            rest = rest.replace("to <side:left>", "").replace("to <side:right>", "")
        sides |= {side for side in _TOKEN.findall(rest) if side in ("left", "right")}
        if len(sides) == 1:
            found["side"] = sides.pop()
        for name, table in (("count", self.words.counts), ("tempo", self.words.tempo)):
            for value, ways in table.items():
                if any(way and re.search(rf"(?<![a-z]){re.escape(way)}(?![a-z])", rest) for way in ways):
                    found[name] = value
        for value, ways in self.words.degrees.items():
            if any(way != "sharply" and way in rest for way in ways):
                found["degrees"] = value
        steps = re.search(r"\bfor ([a-z]+) steps\b", rest)
        if steps:
            found["steps"] = next(number for number, word in self.words.numbers.items() if word == steps[1])
        return found


def _open(phrase: str) -> str:
    """The phrase with its sides left open, as the lexicon keys it."""
    return re.sub(r":(left|right|both|one)>", ":one>", phrase)


def _ways_of(template: str) -> tuple[str, ...]:
    for slot, ways in (("{dir}", ("left", "right")), ("{inout}", ("in", "out")), ("{updown}", ("up", "down"))):
        if slot in template:
            return ways
    return ("",)
