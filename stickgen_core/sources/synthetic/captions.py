"""Captions of a scene: a full one that determines the motion, then shorter ones that leave things out but stay true."""

import re

import numpy as np

from stickgen_core.sources.recording import Text
from stickgen_core.sources.synthetic.camera import Shot
from stickgen_core.sources.synthetic.catalogue import Catalogue
from stickgen_core.sources.synthetic.scene import Scene, SceneConfig
from stickgen_core.sources.synthetic.words import Grammar, Speaker, conjugated

_SLOT = re.compile(r"\{a(\d)/(.)\}")


def captions(scene: Scene, shot: Shot, moves: Catalogue, config: SceneConfig, words: Grammar, rng: np.random.Generator) -> tuple[Text, ...]:
    """Two to four distinct captions over the whole clip, the fullest first."""
    speaker = Speaker(rng, moves, words)
    wanted = int(rng.integers(2, 5))
    found: list[str] = []
    for n in range(2 * wanted):
        text = _one(scene, speaker, config, full=n == 0)
        if shot.move != "none" and (n == 0 or rng.random() < 0.3):
            text = f"{text}, {shot.say(speaker.pick(words.camera[shot.move]))}"
        text = " ".join(text.split())
        if rng.random() < 0.6:
            text = text[0].upper() + text[1:] + "."
        if text not in found:
            found.append(text)
        if len(found) == wanted:
            break
    return tuple(Text(text, 0.0, scene.seconds, "caption") for text in found)


def _one(scene: Scene, speaker: Speaker, config: SceneConfig, full: bool) -> str:
    w = speaker.words
    style = scene.people[0].style
    manner = speaker.pick(config.styles[style].words) if style and (full or speaker.rng.random() < 0.5) else ""
    subject = speaker.pick(w.subjects)
    pronoun = w.pronouns.get(subject, "they")
    first = scene.people[0].acts
    acts = [*first]
    if scene.kind in ("pair", "trio") and scene.script in w.together:
        return _scripted(scene, speaker, subject, full)
    if scene.kind == "pair" and scene.script == "other":
        acts, template = [first[0], scene.people[1].acts[0]], speaker.pick(w.pair_other)
    elif scene.kind == "pair" and scene.script == "fight":
        acts, template = [first[0], scene.people[1].acts[0]], speaker.pick(w.pair_fight)
    elif scene.kind == "pair":
        template = speaker.pick(w.pair_mirror if scene.script == "mirror" else w.pair_same)
    elif scene.kind == "trio":
        template = speaker.pick(w.trio_same)
    elif scene.kind == "overlap":
        template = speaker.pick(w.overlap)
    elif scene.script == "stop_go":
        acts, template = acts[:1], speaker.pick(w.stop_go)
    elif len(acts) == 1:
        template = speaker.pick(w.single)
    else:
        template = speaker.pick(w.sequence2 if len(acts) == 2 else w.sequence3)
    plural = "" if scene.kind not in ("pair", "trio") else manner
    spoken = [speaker.phrase(act, full, manner if i == len(acts) - 1 and not plural else "") for i, act in enumerate(acts)]
    if plural:
        spoken[-1] = f"{spoken[-1]} {manner}"
    # A pronoun that stands for "they" takes the bare verb; the templates use the third person.
    if pronoun == "they":
        pronoun, named = subject, subject
    else:
        named = pronoun
    text = _SLOT.sub(lambda m: conjugated(spoken[int(m[1]) - 1], m[2]), template)
    return text.replace("{s}", subject).replace("{p0}", named).replace("{p}", pronoun)


def _scripted(scene: Scene, speaker: Speaker, subject: str, full: bool) -> str:
    w = speaker.words
    text = speaker.pick(w.together[scene.script or ""]).replace("{s}", subject)
    act = scene.people[0].acts[0]
    if scene.script == "shake_hands" and (full or speaker.rng.random() < 0.5) and act.count > 1:
        text += f", hands going up {speaker.pick(w.counts[act.count])}"
    if scene.script == "circle" and full:
        text += f", {'counterclockwise' if act.path == 'circle_left' else 'clockwise'}"
    if scene.script in ("follow", "circle", "meet", "trio_follow", "shake_hands", "push") and (full or speaker.rng.random() < 0.5):
        text += f" {speaker.pick(w.tempo[act.tempo])}"
    return text
