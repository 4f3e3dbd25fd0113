"""BVH: a tree of joints with offsets and channels, then a row of numbers a frame. Degrees; R = R1 R2 R3 in the listed order.

Keywords in any case, tabs or blanks; `.0083333` is a number; of declared and actual rows the fewer count, and many missing are an error.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.skeleton.kinematics import forward_kinematics
from stickgen_core.skeleton.rotations import euler_to_matrix, rotation_about
from stickgen_core.sources.files import number_table

MAX_JOINTS = 1000
END = "_end"
# Frames whose rotations are worked out together: matrices of a whole file would take gigabytes.
CHUNK_FRAMES = 2048
# A position track this small beside its offset (in the file's unit) does not replace the offset: it is added to it.
NEGLIGIBLE = 1e-3
# A recorder that was stopped leaves out a row or two; a file that lacks more was cut.
LEAST_SHARE = 0.95


@dataclass(frozen=True)
class Bvh:
    """names [J] with `<joint>_end` for end sites; channels [J] as ("Xposition", …); values [T, C]; rows that were declared and are not there."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    channels: tuple[tuple[str, ...], ...]
    frame_s: float
    values: np.ndarray
    missing: int = 0

    @property
    def extra(self) -> dict[str, int]:
        """What a reader has to tell of the file."""
        return {"rows_missing": self.missing} if self.missing else {}

    def positions(self, joints: Sequence[int] | None = None) -> np.ndarray:
        """World joints [T, J, 3] in the file's unit; with `joints`, those of them alone."""
        chosen = list(range(len(self.names)) if joints is None else joints)
        found = np.empty((len(self.values), len(chosen), 3))
        for start in range(0, len(self.values), CHUNK_FRAMES):
            piece = replace(self, values=self.values[start : start + CHUNK_FRAMES])
            found[start : start + CHUNK_FRAMES] = piece._placed()[:, chosen]
        return found

    def _placed(self) -> np.ndarray:
        frames = len(self.values)
        rotations = np.tile(np.eye(3), (frames, len(self.names), 1, 1))
        offsets = np.tile(self.offsets, (frames, 1, 1))
        column, by_order = 0, dict[str, list[tuple[int, list[int]]]]()
        for joint, channels in enumerate(self.channels):
            columns = {name: column + n for n, name in enumerate(channels)}
            turns = [(name[0].upper(), index) for name, index in columns.items() if name.lower().endswith("rotation")]
            if len(turns) == 3:
                by_order.setdefault("".join(axis for axis, _ in turns), []).append((joint, [index for _, index in turns]))
            for axis, index in turns if len(turns) != 3 else ():
                rotations[:, joint] = rotations[:, joint] @ rotation_about(axis, np.deg2rad(self.values[:, index]))
            moves = {name[0].upper(): index for name, index in columns.items() if name.lower().endswith("position")}
            if moves:
                offsets[:, joint] = self._moved(joint, moves)
            column += len(channels)
        for order, members in by_order.items():
            angles = np.deg2rad(self.values[:, [indices for _, indices in members]])
            rotations[:, [joint for joint, _ in members]] = euler_to_matrix(angles, order)
        return forward_kinematics(rotations, offsets, self.parents, offsets[:, 0])

    def _moved(self, joint: int, moves: dict[str, int]) -> np.ndarray:
        """[T, 3]: where a joint with position channels stands in its parent."""
        track = np.zeros((len(self.values), 3))
        for axis, index in moves.items():
            track[:, "XYZ".index(axis)] = self.values[:, index]
        size = float(np.linalg.norm(self.offsets[joint]))
        return self.offsets[joint] + track if size > 0 and np.abs(track).max() < NEGLIGIBLE * size else track


def parse_bvh(data: bytes | str, name: str) -> Bvh:
    """A BVH file, or BadRecording that says what was expected."""
    data = data.encode() if isinstance(data, str) else data
    split = re.search(rb"^\s*MOTION\s*$", data, re.IGNORECASE | re.MULTILINE)
    if not split or not re.match(rb"(\xef\xbb\xbf)?\s*HIERARCHY\b", data, re.IGNORECASE):
        raise BadRecording("not_bvh", f"{name}: expected HIERARCHY and MOTION")
    names, parents, offsets, channels = _hierarchy(_decoded(data[: split.start()]), name)
    head = re.compile(rb"\s*Frames\s*:\s*(\d+)\s*Frame\s+Time\s*:\s*([-+.\deE]+)[^\n]*", re.IGNORECASE).match(data, split.end())
    if not head:
        raise BadRecording("not_bvh", f"{name}: expected 'Frames:' and 'Frame Time:' after MOTION")
    declared = int(head[1])
    try:
        frame_s = float(head[2])
    except ValueError:
        raise BadRecording("bad_rate", f"{name}: frame time {head[2]!r}") from None
    if not frame_s > 0:
        raise BadRecording("bad_rate", f"{name}: frame time {frame_s:g} s")
    width = sum(map(len, channels))
    numbers = number_table(data, head.end(), declared * width, name)
    rows = len(numbers) // max(width, 1)
    if not rows or rows < LEAST_SHARE * declared:
        raise BadRecording("truncated", f"{name}: {declared} frames of {width} channels declared, {rows} whole rows there")
    values = numbers[: rows * width].reshape(rows, width)
    if not np.isfinite(values).all():
        raise BadRecording("non_finite", f"{name}: a channel holds NaN or infinity")
    return Bvh(names, parents, offsets, channels, frame_s, values, declared - rows)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _hierarchy(text: str, name: str) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray, tuple[tuple[str, ...], ...]]:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[tuple[str, ...]] = []
    above: list[int] = []
    try:
        for line in text.splitlines()[1:]:
            words = line.split()
            if not words:
                continue
            keyword = words[0].upper()
            if keyword in ("ROOT", "JOINT", "END"):
                parents.append(above[-1] if above else -1)
                names.append(names[above[-1]] + END if keyword == "END" else " ".join(words[1:]))
                offsets.append([0.0, 0.0, 0.0])
                channels.append(())
            elif keyword == "{":
                above.append(len(names) - 1)
            elif keyword == "}":
                above.pop()
            elif keyword == "OFFSET":
                offsets[above[-1]] = [float(word) for word in words[1:4]]
            elif keyword == "CHANNELS":
                channels[above[-1]] = tuple(words[2 : 2 + int(words[1])])
            if len(names) > MAX_JOINTS:
                raise BadRecording("wrong_skeleton", f"{name}: more than {MAX_JOINTS} joints")
        table = np.array(offsets, np.float64).reshape(-1, 3)
    except (IndexError, ValueError) as error:
        raise BadRecording("not_bvh", f"{name}: hierarchy is damaged ({error})") from None
    if above or len(set(names)) != len(names) or parents.count(-1) != 1 or not np.isfinite(table).all():
        raise BadRecording("not_bvh", f"{name}: expected one root, closed braces and different joint names")
    return tuple(names), tuple(parents), table, tuple(channels)
