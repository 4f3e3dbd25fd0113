"""Caption files of the HumanML3D form: `caption#token/POS …#start#end` a line, seconds, 0#0 for the whole clip."""

import math

from stickgen_core.errors import BadRecording
from stickgen_core.sources.recording import Text


def parse_captions(text: str, duration_s: float, name: str) -> tuple[Text, ...]:
    """Every caption of a file, with its span; swapped, equal and NaN times are put right as the authors' loaders do."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        fields = line.rsplit("#", 3)
        if len(fields) != 4:
            raise BadRecording("bad_caption", f"{name} line {number}: expected caption#tokens#start#end, found {line[:60]!r}")
        caption = " ".join(fields[0].split())
        start, end = sorted(_seconds(value, name, number) for value in fields[2:])
        if start == end:
            start, end = 0.0, duration_s
        if caption:
            found.append(Text(caption, min(start, duration_s), min(end, duration_s), "caption"))
    return tuple(found)


def _seconds(value: str, name: str, number: int) -> float:
    try:
        seconds = float(value)
    except ValueError:
        raise BadRecording("bad_caption", f"{name} line {number}: {value!r} is no time") from None
    return 0.0 if math.isnan(seconds) else max(0.0, seconds)
