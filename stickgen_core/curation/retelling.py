"""Captions of recombined motion: left and right swapped, a named speed kept true, "then" between two parts. A doubt is a refusal.

Functions give the new texts, or one line that says why the old ones cannot be retold.
"""

import re

from stickgen_core.corpus import Clip
from stickgen_core.sources.recording import Text, TextKind

TOLD = ("caption", "template", "label")
_SIDES = {"left": "right", "right": "left", "lefthand": "righthand", "righthand": "lefthand", "lefty": "righty", "righty": "lefty",
          "leftward": "rightward", "rightward": "leftward", "leftwards": "rightwards", "rightwards": "leftwards",
          "leftmost": "rightmost", "rightmost": "leftmost", "clockwise": "counterclockwise", "counterclockwise": "clockwise",
          "anticlockwise": "clockwise", "counter-clockwise": "clockwise", "anti-clockwise": "clockwise"}  # fmt: skip
_WORD = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _SIDES), key=len, reverse=True)) + r")\b", re.IGNORECASE)
# "Left" that is a verb and "right" that is no side: whoever reads them as sides would tell a lie.
_NO_SIDE = re.compile(
    r"\b(?:(?:is|are|was|were|has|have|had|he|she|they|who|person|man|woman|being|gets?|nothing|what) left(?! (?:hand|arm|foot|leg|knee|elbow|shoulder|"
    r"hip|side|fist|wrist|ankle|heel|toe|then|and|to|,))|left (?:alone|behind|over|off|out|it|them|him|her|the (?:room|scene|place|ground|floor|area|"
    r"building|frame|chair|stage|house))|all right|alright|right (?:away|now|there|here|before|after|at|on|in|where|when|as|angles?|back|next|up|down|"
    r"over|above|below|beside)|is right(?! (?:hand|arm|foot|leg|handed|side))|upright)\b",
    re.IGNORECASE,
)
_SLOW = re.compile(r"\b(?:slow(?:ly|er|s|ed|ing)?|leisure(?:ly)?|unhurried(?:ly)?|gradual(?:ly)?|gentl[ey])\b", re.IGNORECASE)
_FAST = re.compile(
    r"\b(?:fast(?:er)?|quick(?:ly|er)?|rapid(?:ly)?|swift(?:ly)?|hast(?:e|ily|y)|hurr(?:y|ies|iedly)|brisk(?:ly)?|sprint\w*|speed(?:s|ily)?)\b",
    re.IGNORECASE,
)
_TIMED = re.compile(r"\b(?:seconds?|minutes?|moments?|normal (?:pace|speed)|steady|steadily)\b", re.IGNORECASE)
_SUBJECT = re.compile(
    r"^(?:(?:a|an|the|this|one) (?:young |old |stick )?(?:person|man|woman|figure|human|character|guy|girl|boy|actor|individual|subject)|"
    r"someone|somebody|he|she|they)\s+(?=\w)",
    re.IGNORECASE,
)


def mirrored_texts(texts: tuple[Text, ...]) -> tuple[Text, ...] | str:
    """Texts of the mirror image."""
    told = [text for text in texts if text.kind in TOLD]
    for text in told:
        doubt = _NO_SIDE.search(text.text)
        if doubt:
            return f"'{doubt.group()}' may not be a side: {text.text}"
    return tuple(_with(text, swapped_sides(text.text)) for text in told)


def swapped_sides(text: str) -> str:
    """left <-> right and clockwise <-> counterclockwise, in the case of the original."""

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        other = _SIDES[word.lower()]
        return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other

    return _WORD.sub(swap, text)


def retimed_texts(texts: tuple[Text, ...], tempo: float, least: float) -> tuple[Text, ...] | str:
    """Texts of the motion played `tempo` times as fast, their spans with it; a word of speed must stay true."""
    told = [text for text in texts if text.kind in TOLD]
    for text in told:
        slow, fast, timed = _SLOW.search(text.text), _FAST.search(text.text), _TIMED.search(text.text)
        if timed or (slow and fast):
            return f"'{(timed or slow).group()}' may not hold at another speed: {text.text}"  # type: ignore[union-attr]
        if slow and tempo > 1 - least:
            return f"'{slow.group()}' would be {tempo:.2f} times as fast: {text.text}"
        if fast and tempo < 1 + least:
            return f"'{fast.group()}' would be {tempo:.2f} times as fast: {text.text}"
    return tuple(Text(t.text, t.start_s / tempo, t.end_s / tempo, t.kind, t.actor) for t in told)


def spliced_texts(first: Clip, second: Clip, leave: int, enter: int, fps: float) -> tuple[Text, ...] | str:
    """ "A, then B" for every pair of captions that each tell a whole part."""
    end, start = leave / fps, enter / fps
    before, after = _whole(first, fps), _whole(second, fps)
    if not before or not after:
        return "a part has no caption that tells all of it"
    seconds = end + second.frames / fps - start
    pairs: dict[str, TextKind] = {
        f"{_clause(a.text)}, then {_clause(b.text, subject=False)}": "caption" if a.kind == b.kind == "caption" else "template"
        for a, b in zip(before, after, strict=False)
    }
    return tuple(Text(pair, 0.0, seconds, pairs[pair]) for pair in sorted(pairs))


def _whole(clip: Clip, fps: float) -> list[Text]:
    """Captions and templates that tell the whole clip, within half a second of its end."""
    told = (t for t in clip.texts if t.kind in ("caption", "template"))
    return [t for t in told if t.start_s <= 0.5 / fps and t.end_s >= clip.frames / fps - 0.5]


def _clause(text: str, *, subject: bool = True) -> str:
    """A sentence as part of another: no full stop, and for a second part no subject that repeats the first one's."""
    text = " ".join(text.strip().rstrip(".!;,").split())
    if not subject:
        text = _SUBJECT.sub("", text)
        text = re.sub(r"^(?:is|are) (?=\w+ing\b)", "", text, flags=re.IGNORECASE)
        return text[:1].lower() + text[1:]
    return text


def _with(text: Text, words: str) -> Text:
    return Text(words, text.start_s, text.end_s, text.kind, text.actor)
