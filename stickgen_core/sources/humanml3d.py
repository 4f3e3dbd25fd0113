"""HumanML3D (263 numbers or 22 joints, 20 Hz, metres) and KIT-ML in the same form (251 or 21 joints, 12.5 Hz, its own unit); Y up.

The files are not normalised. Positions come from `new_joints`, or are recovered from root velocities and local positions;
the 6D block is an inverse-kinematics result on a fixed skeleton and is never used.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording, ConfigError
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.sources.amass import amass_origin
from stickgen_core.sources.assemble import assemble
from stickgen_core.sources.captions import parse_captions
from stickgen_core.sources.files import load_npy, matching, read_table, read_text, walk
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.splits import listed

# Joints -> numbers a frame: 4 of the root, then 3 + 6 + 3 a joint but the root's own, then 4 contacts.
WIDTHS = {JOINT_COUNT: 263, 21: 251}
KIT_MIDDLE = {"pelvis": 0, "spine1": 1, "spine3": 2, "neck": 3, "head": 4}
KIT_SIDES = ({"shoulder": 5, "elbow": 6, "wrist": 7, "hip": 11, "knee": 12, "ankle": 13, "foot": 15},
             {"shoulder": 8, "elbow": 9, "wrist": 10, "hip": 16, "knee": 17, "ankle": 18, "foot": 20})  # fmt: skip
# Thigh plus shin of the average adult; the fixed KIT skeleton gives the unit whatever the pose.
LEG_M = 0.83
PLAUSIBLE_UNIT_M = (1e-4, 10.0)


# Lists of KIT-ML id -> AMASS path, as the annotation unifier writes them: a path, or an object that has one.
KIT_LISTS = ("amass-path2kitml.json", "kitml.json", "kitml/annotations.json")


def origins_listed(raw: Path, paths: Sequence[str]) -> dict[str, str]:
    """Id -> the AMASS recording it was cut from, as `index.csv` (HumanML3D) or a list of AMASS paths (KIT-ML) says."""
    found = {}
    for file in matching(paths, "index.csv"):
        for row in read_table(raw, file, ("source_path", "new_name")):
            path, name = row["source_path"], Path(row["new_name"]).stem
            if path and name:
                tail = path.split("pose_data/")[-1]
                found[name] = f"humanact12/{Path(tail).stem}" if tail.startswith("humanact12") else amass_origin(tail)
    for file in matching(paths, *KIT_LISTS):
        try:
            listing = json.loads(read_text(raw, file))
            given = {str(key): row["path"] if isinstance(row, dict) else row for key, row in listing.items()}
            found |= {key: amass_origin(path) for key, path in given.items() if path}
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise BadRecording("bad_list", f"{file}: expected an object of id -> AMASS path ({type(error).__name__})") from None
    return found


def recover_joints(vectors: np.ndarray, joints: int) -> np.ndarray:
    """[T, 263 | 251] -> [T, J, 3]: headings and root steps summed up, local positions turned back by -theta about +Y."""
    turn, step_x, step_z, height = vectors[:, :4].T.astype(np.float64)
    # Coordinate after coordinate, so that each sum runs over whole rows.
    local = vectors[:, 4 : 4 + 3 * (joints - 1)].reshape(len(vectors), joints - 1, 3).transpose(2, 0, 1)
    x, y, z = np.ascontiguousarray(local, np.float64)
    half = np.concatenate([[0.0], np.cumsum(turn[:-1])])
    cosine, sine = np.cos(2 * half), np.sin(2 * half)
    step_x, step_z = np.concatenate([[0.0], step_x[:-1]]), np.concatenate([[0.0], step_z[:-1]])
    root_x = np.cumsum(step_x * cosine - step_z * sine)
    root_z = np.cumsum(step_x * sine + step_z * cosine)
    placed = np.empty((len(vectors), joints, 3))
    placed[:, 0, 0], placed[:, 0, 1], placed[:, 0, 2] = root_x, height, root_z
    cosine, sine = cosine[:, None], sine[:, None]
    placed[:, 1:, 0] = x * cosine - z * sine + root_x[:, None]
    placed[:, 1:, 1] = y
    placed[:, 1:, 2] = x * sine + z * cosine + root_z[:, None]
    return placed


class HumanMl3dReader:
    version = 2

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.joints = {"smpl22": JOINT_COUNT, "kit21": 21}.get(spec.skeleton, 0)
        if not self.joints or not spec.fps:
            raise ConfigError(f"configs/datasets/{spec.name}.yaml: expected skeleton smpl22 or kit21 and fps")
        self.fps = float(spec.fps)
        self.left = str(spec.options.get("left_side", "toes"))
        self.mirrored = str(spec.options.get("mirrored", "drop"))
        if self.left not in ("toes", "first", "second") or self.mirrored not in ("drop", "keep"):
            raise ConfigError(f"configs/datasets/{spec.name}.yaml: expected left_side toes, first or second, and mirrored drop or keep")

    def discover(self, raw: Path) -> Discovery:
        paths = list(walk(raw))
        motions = {Path(file).stem: file for kind in ("new_joint_vecs", "new_joints") for file in matching(paths, f"{kind}/*.npy")}
        texts = {Path(file).stem: file for file in matching(paths, "texts/*.txt")}
        split_of, origins = listed(raw, paths, self.spec.splits), origins_listed(raw, paths)
        units, skipped = [], []
        for key, file in sorted(motions.items()):
            original = key.removeprefix("M")
            if key != original and self.mirrored == "drop":
                # Its words and sides are swapped by a program; mirroring is ours to do, from the original.
                skipped.append(LeftOut(file, "mirrored_copy", f"of {original}"))
                continue
            files = (file, texts[key]) if key in texts else (file,)
            detail = {"split": split_of.get(original), "origin": origins.get(original, self.spec.origin_of(key=original)),
                      "mirrored_of": original if key != original else None}  # fmt: skip
            units.append(Unit(key, files, detail))
        return Discovery(tuple(units), tuple(skipped))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        placed = self._positions(load_npy(raw, unit.files[0]), unit.files[0])
        if not np.isfinite(placed).all():
            raise BadRecording("non_finite", f"{unit.files[0]} holds NaN or infinity")
        source = np.zeros(JOINT_COUNT, np.uint8)
        extra: dict[str, object] = {"mirrored_of": unit.detail["mirrored_of"]} if unit.detail["mirrored_of"] else {}
        if self.joints != JOINT_COUNT:
            placed, source, measured = self._kit(placed, unit.files[0])
            extra |= measured
        captions: tuple[Text, ...] = ()
        if len(unit.files) > 1:
            captions = parse_captions(read_text(raw, unit.files[1]), len(placed) / self.fps, unit.files[1])
        yield Recording(
            key=unit.key, origin=unit.detail["origin"], file=unit.files[0], fps=self.fps, joints=placed[:, None],
            present=np.ones((len(placed), 1), bool), joint_source=source, texts=captions, official_split=unit.detail["split"],
            protocol=self.spec.name if unit.detail["split"] else None, extra=extra,
        )  # fmt: skip

    def _positions(self, values: np.ndarray, name: str) -> np.ndarray:
        if values.dtype.kind == "f" and len(values) and values.shape[1:] == (self.joints, 3):
            return values.astype(np.float64)
        if values.dtype.kind == "f" and len(values) and values.shape[1:] == (WIDTHS[self.joints],):
            return recover_joints(values, self.joints)
        raise BadRecording(
            "wrong_shape", f"{name}: expected [T,{WIDTHS[self.joints]}] or [T,{self.joints},3], found {values.dtype} {list(values.shape)}"
        )

    def _kit(self, placed: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
        """21 joints in KIT's own unit and order -> 22 joints in metres."""
        legs = [
            np.linalg.norm(np.diff(placed[:, [side["hip"], side["knee"], side["ankle"]]], axis=1), axis=-1).sum(-1) for side in KIT_SIDES
        ]
        unit_m = LEG_M / float(np.median(legs)) if np.median(legs) > 0 else 0.0
        if not PLAUSIBLE_UNIT_M[0] <= unit_m <= PLAUSIBLE_UNIT_M[1]:
            raise BadRecording("bad_unit", f"{name}: legs are {np.median(legs):g} long, which is no unit of length for a person")
        first, second = KIT_SIDES
        left, right = (first, second) if self._first_is_left(placed) else (second, first)
        points = {joint: placed[:, index] * unit_m for joint, index in KIT_MIDDLE.items()}
        points |= {f"left_{joint}": placed[:, index] * unit_m for joint, index in left.items()}
        points |= {f"right_{joint}": placed[:, index] * unit_m for joint, index in right.items()}
        joints, source = assemble(points)
        return joints, source, {"unit_m": round(unit_m, 6), "first_side": "left" if left is first else "right"}

    def _first_is_left(self, placed: np.ndarray) -> bool:
        """Joints 11-15 are called left by name, right by the feature script: toes point forward, and that decides."""
        if self.left != "toes":
            return self.left == "first"
        across = placed[:, KIT_SIDES[0]["hip"]] - placed[:, KIT_SIDES[1]["hip"]]
        forward = np.stack([-across[:, 2], np.zeros(len(across)), across[:, 0]], axis=-1)
        toes = sum(placed[:, side["foot"]] - placed[:, side["ankle"]] for side in KIT_SIDES)
        return bool(np.median((forward * toes).sum(-1)) >= 0)
