"""Faces and hands as data: when which expression, mouth and hand shape begins, read from texts and action labels by whole words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stickgen_core.rendering.config import FaceConfig

# brow height, brow tilt (inner ends up = sad), eye opening, mouth curve (smile +), mouth opening, mouth width
EXPRESSIONS: dict[str, tuple[float, ...]] = {
    "neutral": (0.0, 0.0, 0.7, 0.05, 0.0, 0.75),
    "happy": (0.15, 0.1, 0.6, 0.9, 0.1, 1.0),
    "sad": (0.1, 0.9, 0.5, -0.8, 0.0, 0.7),
    "surprised": (0.9, 0.1, 1.1, 0.0, 0.75, 0.5),
    "angry": (-0.4, -1.0, 0.55, -0.6, 0.1, 0.8),
    "excited": (0.6, 0.1, 1.0, 1.0, 0.6, 1.0),
}
MOUTHS: tuple[str, ...] = ("closed", "talk", "shout", "whisper", "sing")
# How far a mouth opens at the height of its cycle, and how wide it then is.
OPENING = {"closed": 0.0, "talk": 0.45, "shout": 1.0, "whisper": 0.18, "sing": 0.8}
# Lengths of thumb, index, middle, ring and little finger, then how far they spread.
HANDS: dict[str, tuple[float, ...]] = {
    "relaxed": (0.5, 0.6, 0.6, 0.6, 0.5, 0.35),
    "fist": (0.15, 0.15, 0.15, 0.15, 0.15, 0.5),
    "open": (0.9, 1.0, 1.0, 1.0, 0.85, 1.0),
    "point": (0.2, 1.0, 0.15, 0.15, 0.15, 0.3),
}
_WORDS: dict[str, str] = {
    "happy": "happy happily smile smiles smiling laugh laughs laughing joyful joyfully cheerful cheerfully",
    "sad": "sad sadly cry cries crying weep weeps depressed unhappy mourns grief tired tiredly exhausted sadness",
    "surprised": "surprised surprise shocked startled scared afraid fearful fear amazed gasps frightened",
    "angry": "angry angrily anger furious mad fight fights fighting punch punches punching kick kicks aggressively contempt disgust",
    "excited": "excited excitedly cheer cheers cheering celebrate celebrates celebrating victory jubilant clap clapping",
}  # fmt: skip
_MOUTH_WORDS: dict[str, str] = {
    "talk": "talk talks talking speak speaks speaking converse conversation explain explains discuss discusses chat tells",
    "shout": "shout shouts shouting yell yells yelling scream screams screaming",
    "whisper": "whisper whispers whispering murmurs",
    "sing": "sing sings singing hum",
}
_HAND_WORDS: dict[str, str] = {
    "fist": "punch punches punching box boxes boxing fist fists fight fights fighting grab grabs hold holds carry carries lift lifts",
    # BEAT annotates gestures as deictic (pointing), iconic (showing a shape) and metaphoric (showing an idea); its beats are loose hands.
    "open": "wave waves waving clap claps clapping stop greet greets hello goodbye push pushes catch catches reach reaches iconic metaphoric",
    "point": "point points pointing deictic",
}


def _table(words: dict[str, str]) -> dict[str, str]:
    return {word: name for name, listed in words.items() for word in listed.split()}


_EXPRESSION_OF, _MOUTH_OF, _HAND_OF = _table(_WORDS), _table(_MOUTH_WORDS), _table(_HAND_WORDS)
# Emotion names of speech corpora that differ from ours.
_EMOTIONS = {"happiness": "happy", "sadness": "sad", "anger": "angry", "surprise": "surprised", "fear": "surprised",
             "contempt": "angry", "disgust": "angry"}  # fmt: skip


@dataclass(frozen=True)
class Mood:
    """From `start_s` on: one of EXPRESSIONS, one of MOUTHS, one of HANDS."""

    start_s: float
    expression: str = "neutral"
    mouth: str = "closed"
    hands: str = "relaxed"


def _first(table: dict[str, str], words: Sequence[str], otherwise: str) -> str:
    return next((table[word] for word in words if word in table), otherwise)


def _mood_of(words: Sequence[str], start_s: float, base: Mood) -> Mood:
    return Mood(
        start_s, _first(_EXPRESSION_OF, words, base.expression), _first(_MOUTH_OF, words, base.mouth), _first(_HAND_OF, words, base.hands)
    )


def moods_of(
    texts: Sequence[tuple[str, float, float]], actions: np.ndarray | None, fps: float, action_names: Sequence[str] = (),
    emotion: str | None = None, speech: Sequence[tuple[float, float]] = (),
) -> tuple[Mood, ...]:  # fmt: skip
    """Changes over time: the action labels of the frames say more than the texts that hold there, those more than the emotion.

    speech   (start, end) of what is said: the mouth talks then, whatever the words
    """
    feeling = _EMOTIONS.get(emotion or "", emotion if emotion in EXPRESSIONS else "neutral")
    edges = {0.0, *(start for _, start, _ in texts), *(end for _, _, end in texts), *(edge for span in speech for edge in span)}
    if actions is not None and len(actions):
        edges |= {float(frame) / fps for frame in np.flatnonzero(np.diff(actions)) + 1}
    last = max(edges) if actions is None else len(actions) / fps
    moods: list[Mood] = []
    for edge in sorted(e for e in edges if 0 <= e < last or e == 0):
        base = Mood(edge, feeling, "talk" if any(start <= edge < end for start, end in speech) else "closed")
        told = [word for text, start, end in texts if start <= edge < end for word in re.findall(r"[a-z]+", text.lower())]
        mood = _mood_of(told, edge, base)
        if actions is not None and len(actions):
            label = int(actions[min(int(round(edge * fps)), len(actions) - 1)])
            if 0 <= label < len(action_names):
                mood = _mood_of(action_names[label].split("_"), edge, mood)
        if not moods or (mood.expression, mood.mouth, mood.hands) != (moods[-1].expression, moods[-1].mouth, moods[-1].hands):
            moods.append(mood)
    return tuple(moods)


def _eased(moods: Sequence[Mood], values: dict[str, tuple[float, ...]], key: str, times: np.ndarray, transition_s: float) -> np.ndarray:
    """[T] seconds -> [T, K]: each change starts at its moment from wherever the track then is, and is over after the transition."""
    aim = np.array(values[getattr(moods[0], key)])
    start_s, start = moods[0].start_s, aim
    track = np.tile(aim, (len(times), 1))
    for mood in moods[1:]:
        start, start_s = start + (aim - start) * _smooth(np.array((mood.start_s - start_s) / transition_s)), mood.start_s
        aim = np.array(values[getattr(mood, key)])
        done = _smooth((times - start_s) / transition_s)[:, None]
        track = np.where(times[:, None] >= start_s, start + (aim - start) * done, track)
    return track


def _smooth(done: np.ndarray) -> np.ndarray:
    done = np.clip(done, 0, 1)
    return done * done * (3 - 2 * done)


def face_track(moods: Sequence[Mood], times: np.ndarray, config: FaceConfig) -> np.ndarray:
    """Seconds [T] -> [T, 6]: the numbers of EXPRESSIONS at those moments, the mouth's cycle added."""
    moods = tuple(moods) or (Mood(0.0),)
    track = _eased(moods, EXPRESSIONS, "expression", times, config.transition_s)
    rate = {"closed": 0.0, "talk": config.talk_hz, "shout": config.shout_hz, "whisper": config.whisper_hz, "sing": config.sing_hz}
    weights = _eased(moods, {name: tuple(float(name == other) for other in MOUTHS) for name in MOUTHS}, "mouth", times, config.transition_s)
    cycle = sum(weights[:, n] * OPENING[name] * (0.5 - 0.5 * np.cos(2 * np.pi * rate[name] * times)) for n, name in enumerate(MOUTHS))
    track[:, 4] = np.maximum(track[:, 4] * weights[:, 0], 0) + cycle
    return track


def hand_track(moods: Sequence[Mood], times: np.ndarray, config: FaceConfig) -> np.ndarray:
    """Seconds [T] -> [T, 6]: the numbers of HANDS at those moments."""
    return _eased(tuple(moods) or (Mood(0.0),), HANDS, "hands", times, config.transition_s)
