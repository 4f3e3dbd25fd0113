"""Praat TextGrids: the words of a transcript with their times, joined into phrases at pauses."""

import re
from dataclasses import dataclass

from stickgen_core.errors import BadRecording
from stickgen_core.sources.recording import Text

_INTERVAL = re.compile(r'xmin\s*=\s*([-\d.eE+]+)\s+xmax\s*=\s*([-\d.eE+]+)\s+text\s*=\s*"((?:[^"]|"")*)"')


@dataclass(frozen=True)
class Word:
    text: str
    start_s: float
    end_s: float


def words_of(text: str, name: str) -> list[Word]:
    """Words of the first interval tier; silences are empty labels and left out."""
    tiers = re.split(r"item\s*\[\d+\]\s*:", text)
    if "TextGrid" not in text[:200] or len(tiers) < 2:
        raise BadRecording("not_textgrid", f"{name}: expected a Praat TextGrid in its long form")
    found = [Word(m[3].replace('""', '"').strip(), float(m[1]), float(m[2])) for m in _INTERVAL.finditer(tiers[1])]
    return [word for word in found if word.text]


def phrases_of(words: list[Word], pause_s: float) -> tuple[Text, ...]:
    """Transcript texts: words in a row with no pause as long as that between them."""
    phrases: list[list[Word]] = []
    for word in words:
        if phrases and word.start_s - phrases[-1][-1].end_s < pause_s:
            phrases[-1].append(word)
        else:
            phrases.append([word])
    return tuple(Text(" ".join(w.text for w in phrase), phrase[0].start_s, phrase[-1].end_s, "transcript") for phrase in phrases)
