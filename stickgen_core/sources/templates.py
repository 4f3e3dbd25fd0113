"""Template texts from labels: marked as such, drawn by the recording's own key, never passed off as captions."""

from collections.abc import Sequence

from stickgen_core.records.seeds import generator
from stickgen_core.sources.actions import UNKNOWN, Labels
from stickgen_core.sources.recording import Label, Text

SUBJECTS = ("a person", "someone", "the person", "a figure")


def template(phrase: str, key: str, start_s: float, end_s: float, actor: int | None = None) -> Text:
    """A sentence around a phrase in the third person ("walks forward"), its subject drawn by the key."""
    subject = SUBJECTS[int(generator("template", key, phrase).integers(len(SUBJECTS)))]
    return Text(f"{subject} {phrase}", start_s, end_s, "template", actor)


def labelled(
    table: Labels, names: Sequence[str], duration_s: float, key: str, actor: int = 0
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
        texts.append(template(phrase, key, 0.0, duration_s))
    missing = action == UNKNOWN and len(unmapped) == len(names)
    return labels, tuple(texts), {"unmapped": [names[0]]} if missing else {}
