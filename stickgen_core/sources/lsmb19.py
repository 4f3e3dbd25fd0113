"""LSMB19: NTU performances strung into two very long sequences. Each stretch is a unit of its own, so nothing crosses a border.

A stretch is found by its header, `SsssCcccPpppRrrrAaaa_<offset>` or `#objectKey … <id>_<class>_<offset>_<length>`, and read
by its place in the file: the long file is never in memory.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.sources.files import inside, matching, numbers_of, walk
from stickgen_core.sources.ntu import JOINTS, NAME, Body, NtuReader
from stickgen_core.sources.reader import Discovery, Unit
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import SourceSpec

HEADER = re.compile(rb"^(?:#objectKey\s+\S+\s+)?(\S*S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}\S*)\s*$")
# Variants that move joint 0 to the origin in every frame have lost their travel.
IN_PLACE_M = 1e-6


class Lsmb19Reader:
    version = 1

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.ntu = NtuReader(spec)

    def fingerprint(self, raw: Path) -> str:
        return self.ntu.fingerprint(raw)

    def discover(self, raw: Path) -> Discovery:
        units: dict[str, Unit] = {}
        skipped = []
        for file in matching(walk(raw), "*.txt", "*.data"):
            found = list(_stretches(inside(raw, file)))
            if not found:
                skipped.append((file, "no_stretches"))
            for name, start, stop in found:
                key = f"{Path(file).stem}/{name}"
                if key in units:
                    skipped.append((f"{file}:{name}", "stretch_given_twice"))
                else:
                    units[key] = Unit(key, (file,), {"name": name, "start": start, "stop": stop})
        return Discovery(tuple(units.values()), tuple(skipped))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        with inside(raw, unit.files[0]).open("rb") as file:
            file.seek(unit.detail["start"])
            block = file.read(unit.detail["stop"] - unit.detail["start"])
        joints = _frames(block, f"{unit.files[0]}: {unit.detail['name']}")
        found = NAME.search(unit.detail["name"])
        recording = self.ntu.recording(
            found[0] if found else unit.detail["name"], unit.files[0], [Body("0", joints, np.ones(len(joints), bool))]
        )
        in_place = bool(np.abs(joints[:, 0]).max() < IN_PLACE_M)
        fields = {name: getattr(recording, name) for name in recording.__dataclass_fields__}
        yield Recording(**{**fields, "key": unit.key, "extra": {**recording.extra, "sequence": unit.detail["name"], "in_place": in_place}})


def _stretches(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, first byte, last byte + 1) of each stretch's frames, in one pass over the lines."""
    name, start = "", 0
    with path.open("rb") as file:
        at = 0
        for line in file:
            found = HEADER.match(line) if line[:1] in b"#S" or b"S0" in line[:80] else None
            if found:
                if name:
                    yield name, start, at
                name, start = found[1].decode("ascii", "replace"), at + len(line)
            at += len(line)
    if name:
        yield name, start, at


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
