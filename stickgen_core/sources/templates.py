"""Template texts from labels: marked as such, drawn by the clip's id, never passed off as captions."""

from collections.abc import Sequence
from dataclasses import replace

from stickgen_core.records.seeds import generator
from stickgen_core.sources.actions import UNKNOWN, Labels
from stickgen_core.sources.recording import Label, Text

SUBJECTS = ("a person", "someone", "the person", "a figure")
# Stands in a template until the clip is known whose id draws the subject.
SUBJECT = "{subject}"


def template(phrase: str, start_s: float, end_s: float, actor: int | None = None) -> Text:
    """A sentence around a phrase in the third person ("walks forward"), its subject still open."""
    return Text(f"{SUBJECT} {phrase}", start_s, end_s, "template", actor)


def with_subject(text: Text, clip_id: str) -> Text:
    """A template with the subject that the clip's id draws; any other text as it is."""
    if text.kind != "template" or not text.text.startswith(SUBJECT):
        return text
    phrase = text.text.removeprefix(SUBJECT)
    subject = SUBJECTS[int(generator("template", clip_id, phrase).integers(len(SUBJECTS)))]
    return replace(text, text=subject + phrase)


def labelled(
    table: Labels, names: Sequence[str], duration_s: float, actor: int = 0
) -> tuple[tuple[Label, ...], tuple[Text, ...], dict[str, object]]:
    """Labels, texts and extra of a recording that one of these names describes as a whole, tried in order.

    The name itself is kept as a `label` text; a `template` is added where the table has a phrase for it. A name that no
    table mentions is noted, so that the report can count it.
    """
    action, unmapped = table.lookup(names)
    labels = (Label(action, 0.0, duration_s, actor),) if action != UNKNOWN else ()
    texts = [Text(names[0].replace("_", " "), 0.0, duration_s, "label")]
    phrase = next((table.phrases[name.lower()] for name in names if name.lower() in table.phrases), None)
    if phrase:
        texts.append(template(phrase, 0.0, duration_s))
    missing = action == UNKNOWN and len(unmapped) == len(names)
    return labels, tuple(texts), {"unmapped": [names[0]]} if missing else {}
