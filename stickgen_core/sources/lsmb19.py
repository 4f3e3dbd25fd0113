"""LSMB19: NTU performances strung into two very long sequences; nothing crosses a border between performances.

A stretch is found by its header, `SsssCcccPpppRrrrAaaa_<offset>` or `#objectKey … <id>_<class>_<offset>_<length>`, and read
by its place in the file: the long file is never in memory. One whose header names no NTU clip is a long sequence: it is read
in the ranges of the annotation lists, what lies between them in windows, and cut wherever the body jumps.
"""

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.sources.actions import UNKNOWN
from stickgen_core.sources.files import inside, matching, numbers_of, walk
from stickgen_core.sources.ntu import FPS, JOINTS, NAME, Body, NtuReader, body22
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Label, Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.templates import template

NTU_HEADER = re.compile(rb"^(?:#objectKey\s+\S+\s+)?(\S*S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}\S*)\s*$")
LONG_HEADER = re.compile(rb"^#objectKey\s+\S+\s+(\S+)\s*$")
# id with the class as its fourth part, then offset and length in frames.
RANGE = re.compile(rb"^([^\t]+)\t\s*(\d+)\s*\t\s*(\d+)\s*$")
# Variants that move joint 0 to the origin in every frame have lost their travel.
IN_PLACE_M = 1e-6
# A frame's line is told by a comma this near its beginning: `x, y, z; …`.
FIRST_NUMBERS = 64


@dataclass
class Stretch:
    """Frames below one header: first byte, byte after the last, and for a long sequence the byte of every frame."""

    name: str
    start: int
    stop: int = 0
    frames: "array[int] | None" = None


@dataclass(frozen=True)
class Range:
    """Annotated frames [start, stop) of a long sequence."""

    name: str
    start: int
    stop: int

    @property
    def number(self) -> int:
        """The NTU class, 0 where the name gives none."""
        parts = self.name.split("_")
        digits = re.sub(r"\D", "", parts[3]) if len(parts) > 3 else ""
        return int(digits) if digits else 0


@dataclass
class _Found:
    units: dict[str, Unit] = field(default_factory=dict)
    skipped: list[LeftOut] = field(default_factory=list)

    def add(self, key: str, file: str, start: int, stop: int, detail: dict[str, object]) -> None:
        detail = {**detail, "start": start, "stop": stop}
        if key in self.units:
            self.skipped.append(LeftOut(f"{file}:{key}", "stretch_given_twice"))
        else:
            self.units[key] = Unit(key, (file,), detail, stop - start)


class Lsmb19Reader:
    version = 2

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.ntu = NtuReader(spec)
        self.window = max(1, round(float(spec.options.get("window_s", 20.0)) * FPS))
        self.cut_m = float(spec.options.get("cut_m", 0.2))

    def fingerprint(self, raw: Path) -> str:
        return self.ntu.fingerprint(raw)

    def discover(self, raw: Path) -> Discovery:
        """Stretches of every file; those of a clip that the NTU data set beside it has are marked with it."""
        found = _Found()
        beside = raw.parent / "ntu_rgbd"
        here = {name[0] for file in matching(walk(beside), "*.skeleton") if (name := NAME.search(file))} if beside.is_dir() else set()
        files = matching(walk(raw), "*.txt", "*.data")
        tables: dict[str, list[Range]] = {}
        for file in files:
            try:
                path = inside(raw, file)
            except BadRecording as bad:
                found.skipped.append(LeftOut(file, bad.reason, bad.detail))
                continue
            stretches, ranges = _scan(path)
            if ranges and not stretches:
                tables[file] = ranges
            elif not stretches:
                found.skipped.append(LeftOut(file, "no_stretches", "expected headers SsssCcccPpppRrrrAaaa or #objectKey"))
            for stretch in stretches:
                key = f"{Path(file).stem}/{stretch.name}"
                if stretch.frames is None:
                    clip = NAME.search(stretch.name)
                    twin = clip[0] if clip and clip[0] in here else ""
                    found.add(key, file, stretch.start, stretch.stop, {"name": stretch.name, "twin": twin})
                else:
                    ours = [row for other in files if _same_protocol(file, other) for row in tables.get(other, _ranges_of(raw, other))]
                    self._add_long(found, key, file, stretch, ours)
        return Discovery(tuple(found.units.values()), tuple(found.skipped))

    def _add_long(self, found: _Found, key: str, file: str, stretch: Stretch, ranges: Sequence[Range]) -> None:
        """A unit for each annotated range, and windows for what lies between; a range begins where the one before it ends."""
        at, pieces = 0, list[Range]()
        assert stretch.frames is not None
        total = len(stretch.frames)
        for row in sorted(ranges, key=lambda row: (row.start, row.stop)):
            start, stop = max(row.start, at), min(row.stop, total)
            if start < stop:
                pieces += [Range("", at, start), replace(row, start=start, stop=stop)]
                at = stop
        pieces.append(Range("", at, total))
        offsets = [*stretch.frames, stretch.stop]
        for piece in pieces:
            for start in range(piece.start, piece.stop, self.window):
                stop = min(start + self.window, piece.stop)
                detail = {"name": piece.name or stretch.name, "class": piece.number}
                found.add(f"{key}/{start:08d}", file, offsets[start], offsets[stop], detail)

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        with inside(raw, unit.files[0]).open("rb") as file:
            file.seek(unit.detail["start"])
            block = file.read(unit.detail["stop"] - unit.detail["start"])
        joints = _frames(block, f"{unit.files[0]}: {unit.detail['name']}")
        body, clip = Body("0", joints, np.ones(len(joints), bool)), NAME.search(unit.detail["name"])
        in_place = bool(np.abs(joints[:, 0]).max() < IN_PLACE_M)
        recording = self.ntu.recording(clip[0], unit.files[0], [body]) if clip else self._unnamed(unit, body)
        twin = {"same_as": f"ntu_rgbd/{unit.detail['twin']}"} if unit.detail.get("twin") else {}
        extra = {**recording.extra, "sequence": unit.detail["name"], "in_place": in_place, **twin}
        yield replace(recording, key=unit.key, cuts=cuts(joints, self.cut_m), extra=extra)

    def _unnamed(self, unit: Unit, body: Body) -> Recording:
        """A part of a long sequence that no NTU clip is named for: the class at most is known, and the origin is its own."""
        joints, source = body22([body])
        duration, number = len(joints) / FPS, int(unit.detail["class"])
        action = self.ntu.actions.get(number, UNKNOWN)
        phrase = self.ntu.labels.phrases.get(f"a{number:03d}", "")
        return Recording(
            key=unit.key, origin=f"{self.spec.name}/{unit.key}", file=unit.files[0], fps=FPS, joints=joints,
            present=body.present[:, None], joint_source=source, labels=(Label(action, 0.0, duration),) if action != UNKNOWN else (),
            texts=(Text(phrase, 0.0, duration, "label"), template(phrase, 0.0, duration)) if phrase else (),
            extra={"class": f"A{number:03d}"} if number else {},
        )  # fmt: skip


def cuts(joints: np.ndarray, jump_m: float) -> tuple[int, ...]:
    """Frames before which half the joints jump further than a body moves in a frame: another performance begins. [T, J, 3]."""
    steps = np.median(np.linalg.norm(np.diff(joints, axis=0), axis=-1), axis=-1)
    return tuple(int(frame) + 1 for frame in np.flatnonzero(steps > jump_m))


def _same_protocol(one: str, other: str) -> bool:
    """Files of the cross-subject and the cross-view sequence begin with cs and cv; other names belong to both."""
    kinds = [Path(name).stem.lower()[:2] for name in (one, other)]
    return kinds[0] == kinds[1] or not {*kinds} <= {"cs", "cv"}


def _ranges_of(raw: Path, file: str) -> list[Range]:
    try:
        return _scan(inside(raw, file), ranges_only=True)[1]
    except BadRecording:
        return []  # named in the ledger when its own turn comes


def _scan(path: Path, ranges_only: bool = False) -> tuple[list[Stretch], list[Range]]:
    """Stretches and annotated ranges of a file, in one pass over its lines."""
    stretches: list[Stretch] = []
    ranges: list[Range] = []
    at = 0
    with path.open("rb") as file:
        for line in file:
            annotated = RANGE.match(line) if b"\t" in line[:200] else None
            if annotated:
                begin, length = int(annotated[2]), int(annotated[3])
                ranges.append(Range(annotated[1].decode("ascii", "replace"), begin, begin + length))
            elif ranges_only and at > 0 and not ranges:
                break
            elif not ranges_only:
                _note(stretches, line, at)
            at += len(line)
    if stretches:
        stretches[-1].stop = at
    return stretches, ranges


def _note(stretches: list[Stretch], line: bytes, at: int) -> None:
    """A header opens a stretch; a frame of a long sequence is remembered by its place."""
    header = NTU_HEADER.match(line) if line[:1] in b"#S" or b"S0" in line[:80] else None
    long = LONG_HEADER.match(line) if header is None and line[:1] == b"#" else None
    opened = header or long
    if opened:
        if stretches:
            stretches[-1].stop = at
        name = opened[1].decode("ascii", "replace")
        stretches.append(Stretch(name, at + len(line), frames=array("q") if long else None))
    elif stretches and stretches[-1].frames is not None and b"," in line[:FIRST_NUMBERS]:
        stretches[-1].frames.append(at)


def _frames(block: bytes, name: str) -> np.ndarray:
    """`x, y, z; x, y, z; …` a line -> [T, 25, 3]; a line with the count and class of the poses may come first."""
    lines = block.decode("ascii", "replace").splitlines()
    rows = [line for line in lines if line.count(",") >= 2 * JOINTS]
    if not rows:
        raise BadRecording("empty", f"{name}: no frame of {JOINTS} joints")
    _, values = numbers_of(" ".join(rows).replace(";", " ").replace(",", " "), name)
    if len(values) != len(rows) * JOINTS * 3 or not np.isfinite(values).all():
        raise BadRecording("wrong_shape", f"{name}: {len(rows)} frames hold {len(values)} numbers, expected {JOINTS * 3} each")
    return values.reshape(len(rows), JOINTS, 3)
