"""100STYLE: BVH at 60 Hz in centimetres, `<Style>/<Style>_<content>.bvh`; frames outside Frame_Cuts.csv are T-pose or walking in."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.sources.actions import labels_for
from stickgen_core.sources.bvh_source import body22, joint_map_of, read_bvh, unit_of
from stickgen_core.sources.files import matching, read_table, walk
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Label, Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.templates import template

ENCODINGS = ("utf-8-sig", "latin-1")


class Style100Reader:
    version = 2

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.joint_map = joint_map_of(spec)
        self.unit_m = unit_of(spec)
        self.labels = labels_for(spec.name)

    def fingerprint(self, raw: Path) -> str:
        return self.labels.digest()

    def discover(self, raw: Path) -> Discovery:
        paths = list(walk(raw))
        cuts = {row["STYLE_NAME"].strip(): row for file in matching(paths, "Frame_Cuts.csv")
                for row in read_table(raw, file, ("STYLE_NAME",), ENCODINGS)}  # fmt: skip
        about = {next(iter(row.values()), "").strip(): row for file in matching(paths, "Dataset_List.csv")
                 for row in read_table(raw, file, (), ENCODINGS)}  # fmt: skip
        units, skipped = [], []
        for file in matching(paths, "*.bvh"):
            style, _, content = Path(file).stem.rpartition("_")
            span = _span(cuts.get(style, {}), content)
            if span is None:
                skipped.append(LeftOut(file, "no_frame_cut"))
                continue
            detail = {"style": style, "content": content, "span": span, "about": _description(about.get(style, {}))}
            units.append(Unit(f"{style}/{content}", (file,), detail))
        return Discovery(tuple(units), tuple(skipped))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        bvh = read_bvh(raw, unit.files[0])
        start, stop = unit.detail["span"]
        stop = min(stop, len(bvh.values))
        if start >= stop:
            raise BadRecording("empty", f"{unit.files[0]}: frames {start} to {stop} of {len(bvh.values)} are cut out")
        joints, source = body22(bvh, self.joint_map, self.unit_m, slice(start, stop))
        duration = len(joints) * bvh.frame_s
        style, content = str(unit.detail["style"]), str(unit.detail["content"])
        action, unmapped = self.labels.lookup([content])
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", style).lower()
        texts = [Text(f"{words}, {content}", 0.0, duration, "label")]
        phrase = self.labels.phrases.get(content.lower())
        if phrase:
            texts.append(template(f"{phrase} in the style '{words}'", 0.0, duration))
        if unit.detail["about"]:
            texts.append(Text(str(unit.detail["about"]), 0.0, duration, "label"))
        yield Recording(
            key=unit.key, origin=self.spec.origin_of(key=unit.key, style=style, content=content), file=unit.files[0], fps=1 / bvh.frame_s, joints=joints[:, None],
            present=np.ones((len(joints), 1), bool), joint_source=source, texts=tuple(texts),
            labels=(Label(action, 0.0, duration),) if action >= 0 else (),
            extra={"style": style, "content": content, **bvh.extra, **({"unmapped": unmapped} if unmapped else {})},
        )  # fmt: skip


def _span(row: dict[str, str], content: str) -> list[int] | None:
    """[start, stop) of a content code, columns found by name; None where the table has no such clip."""
    start, stop = row.get(f"{content}_START", "").strip(), row.get(f"{content}_STOP", "").strip()
    return [int(float(start)), int(float(stop))] if _number(start) and _number(stop) else None


def _number(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d*)?", text))


def _description(row: dict[str, str]) -> str:
    return next((value.strip() for key, value in row.items() if "desc" in key.lower()), "")
