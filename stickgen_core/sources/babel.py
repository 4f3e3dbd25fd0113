"""BABEL: sequence and frame labels over AMASS; JSON alone here, the motion is read from the AMASS folder beside it."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stickgen_core.errors import BadRecording
from stickgen_core.records.digests import digest_json
from stickgen_core.sources.actions import UNKNOWN, load_actions
from stickgen_core.sources.amass import AmassReader, amass_origin
from stickgen_core.sources.files import matching, read_text, walk
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Label, Recording, Text, TextKind
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.smpl import via_fingerprint

SPLITS = {"train": "train", "val": "val", "test": "test", "extra_train": "train", "extra_val": "val"}
MAX_DURATION_GAP_S = 0.25
# Labels that say nothing of a movement one would ask for.
NO_CAPTION = frozenset({"transition", "t-pose", "t pose", "tpose", "a-pose", "a pose", "unknown", "calibration"})


class BabelReader:
    version = 2

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        # Labels are timed on the untrimmed file.
        self.amass = AmassReader(spec.model_copy(update={"options": {**spec.options, "trim_start_s": {}}, "splits": {}}))
        self.actions = load_actions().babel

    def fingerprint(self, raw: Path) -> str:
        return digest_json(self.actions) + via_fingerprint(self.amass.via)

    def discover(self, raw: Path) -> Discovery:
        motions = self._motions(raw.parent / "amass")
        units: dict[str, Unit] = {}
        skipped = []
        paths = list(walk(raw))
        for name, split in SPLITS.items():
            for file in matching(paths, f"{name}.json")[:1]:
                try:
                    records = _records(read_text(raw, file), file)
                except BadRecording as bad:
                    skipped.append(LeftOut(file, bad.reason, bad.detail))
                    continue
                for key, record in records.items():
                    origin = amass_origin(str(record.get("feat_p", "")))
                    try:
                        duration_s, segments = _seconds(record.get("dur")), list(_segments(record))
                    except (TypeError, AttributeError, ValueError) as error:
                        skipped.append(LeftOut(f"{file}:{key}", "bad_record", f"expected labels and seconds, {error}"))
                        continue
                    if origin not in motions:
                        skipped.append(LeftOut(f"{file}:{key}", "motion_not_in_amass", f"{record.get('feat_p')} is not below amass/"))
                    elif not segments:
                        skipped.append(LeftOut(f"{file}:{key}", "no_labels"))
                    elif key in units:
                        skipped.append(LeftOut(f"{file}:{key}", "sequence_given_twice"))
                    else:
                        motion = motions[origin]
                        detail = {"siblings": [f"amass/{motion.files[0]}"], "motion": motion.files[0], "origin": origin, "split": split,
                                  "duration_s": duration_s, "segments": segments, **motion.detail}  # fmt: skip
                        units[key] = Unit(key, (), detail)
        return Discovery(tuple(units.values()), tuple(skipped))

    def _motions(self, amass: Path) -> dict[str, Unit]:
        """Origin -> unit of the AMASS folder, whatever the release's spelling."""
        return {f"amass/{unit.key}": unit for unit in self.amass.discover(amass).units} if amass.is_dir() else {}

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        detail = unit.detail
        motion = Unit(detail["origin"].removeprefix("amass/"), (detail["motion"],))
        for recording in self.amass.read(raw.parent / "amass", motion):
            duration = len(recording.joints) / recording.fps
            stated = detail["duration_s"]
            if stated is not None and abs(stated - duration) > MAX_DURATION_GAP_S:
                raise BadRecording("duration_mismatch", f"{detail['motion']} lasts {duration:.2f} s, BABEL says {stated:.2f} s")
            texts, labels, unmapped = self._labels(detail["segments"], duration)
            yield replace(
                recording, key=unit.key, origin=detail["origin"], file=f"../amass/{detail['motion']}", texts=texts, labels=labels, official_split=detail["split"],
                protocol="babel", extra={"unmapped": unmapped} if unmapped else {},
            )  # fmt: skip

    def _labels(self, segments: list[list[Any]], duration: float) -> tuple[tuple[Text, ...], tuple[Label, ...], list[str]]:
        """Texts of all segments (overlapping ones kept), actions, and categories that no action claims.

        Sequence labels come first, so that a frame label wins where both are there; a longer one before a shorter.
        """
        texts: dict[Text, None] = {}
        labels: list[tuple[bool, float, float, Label]] = []
        unmapped: list[str] = []
        for words, categories, start, end in segments:
            begin, finish = (0.0, duration) if start is None else (max(0.0, start), min(duration, end))
            if finish <= begin:
                continue
            kind: TextKind = "label" if words.lower() in NO_CAPTION else "caption"
            texts[Text(words, begin, finish, kind)] = None
            known = [self.actions[category] for category in categories if category in self.actions]
            unmapped += [category for category in categories if category not in self.actions and category not in NO_CAPTION]
            if known:
                labels.append((start is not None, begin - finish, begin, Label(known[0], begin, finish)))
        labels.sort(key=lambda item: item[:3])
        return tuple(texts), tuple(label for *_, label in labels if label.action != UNKNOWN), sorted(set(unmapped))


def _records(text: str, file: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRecording("not_json", f"{file}: {error}") from None
    if not isinstance(found, dict):
        raise BadRecording("not_json", f"{file}: expected an object of sequences, found {type(found).__name__}")
    return {str(key): value for key, value in found.items() if isinstance(value, dict)}


def _seconds(value: Any) -> float | None:
    """A time as JSON gives it; one that is no number is a fault of the record."""
    if value is None:
        return None
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise ValueError(f"found {value!r} for a time")
    return float(value)


def _segments(record: Mapping[str, Any]) -> Iterator[list[Any]]:
    """[text, categories, start or None, end or None] of every label of every annotator; null anything is passed over."""
    sequence = [record.get("seq_ann"), *(record.get("seq_anns") or ())]
    frame = [record.get("frame_ann"), *(record.get("frame_anns") or ())]
    for annotations, timed in ((sequence, False), (frame, True)):
        for annotation in annotations:
            for label in (annotation or {}).get("labels") or ():
                words = " ".join(str(label.get("proc_label") or label.get("raw_label") or "").split())
                categories = [str(name).lower() for name in label.get("act_cat") or ()]
                start, end = _seconds(label.get("start_t")), _seconds(label.get("end_t"))
                if words and (not timed or (start is not None and end is not None)):
                    yield [words, categories, start if timed else None, end if timed else None]
