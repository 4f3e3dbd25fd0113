"""HumanML3D (263 numbers or 22 joints, 20 Hz, metres) and KIT-ML in the same form (251 or 21 joints, 12.5 Hz, its own unit); Y up.

The files are not normalised. Positions come from `new_joints`, or are recovered from root velocities and local positions;
the 6D block is an inverse-kinematics result on a fixed skeleton and is never used.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording, ConfigError
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.sources.amass import amass_origin
from stickgen_core.sources.assemble import assemble
from stickgen_core.sources.captions import parse_captions
from stickgen_core.sources.files import Npz, load_npy, matching, read_table, read_text, walk
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


# Clips whose toes are looked at to tell which leg is left: a property of the set, so that no clip decides for itself.
VOTERS = 200
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


def subset_of(origin: str) -> str:
    """`amass/CMU/01/01_01` -> `CMU`."""
    return "".join(origin.split("/")[1:2])


def true_rates(raw: Path, origins: Iterable[str], subsets: Collection[str], fps: float) -> dict[str, float]:
    """Recording -> the rate of the version that keeps every int(rate / fps)-th frame, where it is not `fps` and AMASS lies beside."""
    wanted = {origin for origin in origins if subset_of(origin) in subsets}
    amass, found = raw.parent / "amass", dict[str, float]()
    for file in matching(walk(amass), "*_poses.npz", "*_stageii.npz") if wanted and amass.is_dir() else ():
        origin = amass_origin(file)
        if origin in wanted:
            with suppress(BadRecording):  # the reader of AMASS tells of it
                rate = Npz(amass, file).number("mocap_framerate", "mocap_frame_rate")
                found[origin] = rate / max(int(rate / fps), 1)
    return found


class HumanMl3dReader:
    version = 3

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.joints = {"smpl22": JOINT_COUNT, "kit21": 21}.get(spec.skeleton, 0)
        if not self.joints or not spec.fps:
            raise ConfigError(f"configs/datasets/{spec.name}.yaml: expected skeleton smpl22 or kit21 and fps")
        self.fps = float(spec.fps)
        self.left = str(spec.options.get("left_side", "toes"))
        self.mirrored = str(spec.options.get("mirrored", "drop"))
        self.uneven = frozenset(spec.options.get("uneven_rates", ()))
        if self.left not in ("toes", "first", "second") or self.mirrored not in ("drop", "keep"):
            raise ConfigError(f"configs/datasets/{spec.name}.yaml: expected left_side toes, first or second, and mirrored drop or keep")

    def fingerprint(self, raw: Path) -> str:
        return str(bool(self.uneven) and (raw.parent / "amass").is_dir())

    def discover(self, raw: Path) -> Discovery:
        paths = list(walk(raw))
        motions = {Path(file).stem: file for kind in ("new_joint_vecs", "new_joints") for file in matching(paths, f"{kind}/*.npy")}
        texts = {Path(file).stem: file for file in matching(paths, "texts/*.txt")}
        split_of, origins = listed(raw, paths, self.spec.splits), origins_listed(raw, paths)
        rates = true_rates(raw, origins.values(), self.uneven, self.fps)
        first_is_left = self.joints == JOINT_COUNT or self._first_is_left(raw, sorted(motions.values()))
        units, skipped = [], []
        for key, file in sorted(motions.items()):
            original = key.removeprefix("M")
            if key != original and self.mirrored == "drop":
                # Its words and sides are swapped by a program; mirroring is ours to do, from the original.
                skipped.append(LeftOut(file, "mirrored_copy", f"of {original}"))
                continue
            files = (file, texts[key]) if key in texts else (file,)
            origin = origins.get(original, self.spec.origin_of(key=original))
            known = subset_of(origin) not in self.uneven or origin in rates
            detail = {"split": split_of.get(original), "origin": origin, "mirrored_of": original if key != original else None,
                      "fps": rates.get(origin, self.fps), "rate_known": known, "first_is_left": first_is_left}  # fmt: skip
            units.append(Unit(key, files, detail))
        return Discovery(tuple(units), tuple(skipped))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        placed = self._positions(load_npy(raw, unit.files[0]), unit.files[0])
        if not np.isfinite(placed).all():
            raise BadRecording("non_finite", f"{unit.files[0]} holds NaN or infinity")
        source = np.zeros(JOINT_COUNT, np.uint8)
        extra: dict[str, object] = {"mirrored_of": unit.detail["mirrored_of"]} if unit.detail["mirrored_of"] else {}
        if self.joints != JOINT_COUNT:
            placed, source, measured = self._kit(placed, unit.files[0], bool(unit.detail["first_is_left"]))
            extra |= measured
        fps = float(unit.detail["fps"])
        if not unit.detail["rate_known"]:
            extra["rate_assumed_hz"] = fps
        captions: tuple[Text, ...] = ()
        if len(unit.files) > 1:
            # Their seconds count frames at the nominal rate.
            said = parse_captions(read_text(raw, unit.files[1]), len(placed) / self.fps, unit.files[1])
            captions = tuple(replace(text, start_s=text.start_s * self.fps / fps, end_s=text.end_s * self.fps / fps) for text in said)
        yield Recording(
            key=unit.key, origin=unit.detail["origin"], file=unit.files[0], fps=fps, joints=placed[:, None],
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

    def _kit(self, placed: np.ndarray, name: str, first_is_left: bool) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
        """21 joints in KIT's own unit and order -> 22 joints in metres."""
        legs = [
            np.linalg.norm(np.diff(placed[:, [side["hip"], side["knee"], side["ankle"]]], axis=1), axis=-1).sum(-1) for side in KIT_SIDES
        ]
        unit_m = LEG_M / float(np.median(legs)) if np.median(legs) > 0 else 0.0
        if not PLAUSIBLE_UNIT_M[0] <= unit_m <= PLAUSIBLE_UNIT_M[1]:
            raise BadRecording("bad_unit", f"{name}: legs are {np.median(legs):g} long, which is no unit of length for a person")
        first, second = KIT_SIDES
        left, right = (first, second) if first_is_left else (second, first)
        points = {joint: placed[:, index] * unit_m for joint, index in KIT_MIDDLE.items()}
        points |= {f"left_{joint}": placed[:, index] * unit_m for joint, index in left.items()}
        points |= {f"right_{joint}": placed[:, index] * unit_m for joint, index in right.items()}
        joints, source = assemble(points)
        return joints, source, {"unit_m": round(unit_m, 6), "first_side": "left" if left is first else "right"}

    def _first_is_left(self, raw: Path, files: Sequence[str]) -> bool:
        """Joints 11-15 are called left by name, right by the feature script: toes of upright people point forward, and the most decide."""
        if self.left != "toes":
            return self.left == "first"
        votes = 0
        for file in files[:: max(len(files) // VOTERS, 1)]:
            with suppress(BadRecording):  # it is quarantined when its turn comes
                votes += vote_for_first(self._positions(load_npy(raw, file), file))
        return votes >= 0


def vote_for_first(placed: np.ndarray) -> int:
    """1 where the first five leg joints of KIT's are the left leg, -1 where the second are, 0 where nobody stands: [T, 21, 3]."""
    lifted, length = [], []
    for side in KIT_SIDES:
        shin = placed[:, side["knee"]] - placed[:, side["ankle"]]
        lifted.append(shin[:, 1])
        length.append(np.linalg.norm(shin, axis=-1))
    stands = (np.minimum(*lifted) > 0.8 * np.minimum(*length)) & np.isfinite(placed).all((1, 2))
    if not stands.any():
        return 0
    placed = placed[stands]
    across = placed[:, KIT_SIDES[0]["hip"]] - placed[:, KIT_SIDES[1]["hip"]]
    forward = np.stack([-across[:, 2], np.zeros(len(across)), across[:, 0]], axis=-1)
    toes = sum(placed[:, side["foot"]] - placed[:, side["ankle"]] for side in KIT_SIDES)
    return int(np.sign(np.median((forward * toes).sum(-1))))
