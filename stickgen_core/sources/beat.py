"""BEAT (BVH, 120 Hz, centimetres) and BEAT2 (SMPL-X, 30 Hz, metres): people who talk. Transcript, emotion and semantics, no captions."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.amass import read_motion
from stickgen_core.sources.bvh_source import JOINT_MAPS, body22, read_bvh, unit_of
from stickgen_core.sources.files import matching, read_csv, read_table, read_text, walk
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Label, Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.smpl import joints_via, models_fingerprint, via_fingerprint
from stickgen_core.sources.textgrid import phrases_of, words_of

STEM = re.compile(r"(\d+)_([A-Za-z]+)_(\d)_(\d+)_(\d+)$")
# Sequence numbers of the speech types; conversations count as neutral.
EMOTIONS = ((64, "neutral"), (72, "happiness"), (80, "anger"), (86, "sadness"), (94, "contempt"), (102, "surprise"), (110, "fear"),
            (118, "disgust"))  # fmt: skip
SPEECH_TYPES = (0, 2, 4, 6)
SIDE_FILES = {"textgrid": ".TextGrid", "emotion": ".csv", "semantics": ".txt"}


class BeatReader:
    """`skeleton: beat` reads BEAT's BVH, `skeleton: smplx` BEAT2's npz."""

    version = 2

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.second = spec.skeleton == "smplx"
        self.pause_s = float(spec.options.get("pause_s", 0.5))
        self.via = joints_via(spec)

    def fingerprint(self, raw: Path) -> str:
        models = models_fingerprint(raw, "smplx", "neutral") + via_fingerprint(self.via) if self.second else ""
        return models + str(load_actions().id_of("gesture"))

    def discover(self, raw: Path) -> Discovery:
        paths = list(walk(raw))
        split_of = {row["id"]: row["type"] for file in matching(paths, "train_test_split.csv")
                    for row in read_table(raw, file, ("id", "type"))}  # fmt: skip
        sides = {(Path(file).stem, Path(file).suffix.lower()): file for file in matching(paths, "*.TextGrid", "*.csv", "*.txt")}
        units: dict[str, Unit] = {}
        skipped = []
        for file in matching(paths, "smplxflame_30/*.npz") if self.second else matching(paths, "*.bvh"):
            stem = Path(file).stem
            if stem in units:
                # The archive unpacks into a folder of its own name: the same files twice.
                skipped.append(LeftOut(file, "doubled_folder", f"read from {units[stem].files[0]}"))
                continue
            beside = {kind: sides[stem, suffix.lower()] for kind, suffix in SIDE_FILES.items() if (stem, suffix.lower()) in sides}
            split = {"additional": "train"}.get(split_of.get(stem, ""), split_of.get(stem) or None)
            units[stem] = Unit(stem, (file, *beside.values()), {"beside": beside, "split": split})
        return Discovery(tuple(units.values()), tuple(skipped))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        file, beside = unit.files[0], unit.detail["beside"]
        if self.second:
            joints, fps = read_motion(raw, file, raw, self.via)
            source, told = np.zeros(joints.shape[1], np.uint8), dict[str, int]()
        else:
            bvh = read_bvh(raw, file)
            joints, source = body22(bvh, JOINT_MAPS["beat"], unit_of(self.spec))
            fps, told = 1 / bvh.frame_s, bvh.extra
        duration = len(joints) / fps
        texts: list[Text] = []
        if "textgrid" in beside:
            name = beside["textgrid"]
            texts += phrases_of(words_of(read_text(raw, name, ("utf-8-sig", "utf-16")), name), self.pause_s)
        if "semantics" in beside:
            texts += _semantics(read_text(raw, beside["semantics"]), beside["semantics"])
        emotion = _emotion(raw, beside.get("emotion"), unit.key)
        found = STEM.search(unit.key)
        # One recording session may be cut into several sequences, so the speaker and sequence name the origin.
        yield Recording(
            key=unit.key, origin=self.spec.origin_of(key=unit.key), file=file, fps=fps, joints=joints[:, None], present=np.ones((len(joints), 1), bool),
            joint_source=source, texts=tuple(text for text in texts if text.start_s < duration),
            labels=(Label(load_actions().id_of("gesture"), 0.0, duration),), official_split=unit.detail["split"],
            protocol="beat2" if unit.detail["split"] else None,
            extra={**told, **({"emotion": emotion} if emotion else {}), **({"speaker": found[2]} if found else {})},
        )  # fmt: skip


def _emotion(raw: Path, file: str | None, stem: str) -> str:
    """From the side file (name, start, end, duration, score), else from the sequence number of the stem."""
    if file:
        rows = read_csv(raw, file)
        if rows and rows[0][0].strip().lower() in {name for _, name in EMOTIONS}:
            return rows[0][0].strip().lower()
    found = STEM.search(stem)
    if not found:
        return ""
    if int(found[3]) not in SPEECH_TYPES:
        return "neutral"
    return next((name for last, name in EMOTIONS if int(found[4]) <= last), "")


def _semantics(text: str, name: str) -> list[Text]:
    """Tab separated name, start, end, duration, score, keywords; rows without keywords say nothing."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) < 5:
            if line.strip():
                raise BadRecording("bad_semantics", f"{name} line {number}: expected name, start, end, duration, score separated by tabs")
            continue
        if len(fields) > 5 and fields[5]:
            found.append(Text(f"{fields[0]}: {fields[5]}", float(fields[1]), float(fields[2]), "label"))
    return found
