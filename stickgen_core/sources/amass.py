"""AMASS: SMPL+H G (`*_poses.npz`, 156 numbers) and SMPL-X N/G (`*_stageii.npz`, 165); Z up, metres, each file its own rate.

No text: captions come through the data sets that key on the AMASS path, so the path is the origin that they all share.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.sources.actions import UNKNOWN, labels_for
from stickgen_core.sources.files import Npz, expect, matching, rate_hz, walk
from stickgen_core.sources.reader import Discovery, LeftOut, Unit
from stickgen_core.sources.recording import Label, Recording
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.smpl import JointsVia, joints_via, models_fingerprint, via_fingerprint

# Later names of the sub-datasets -> the names of the first release, which BABEL and HumanML3D use.
RENAMED = {
    "BMLrub": "BioMotionLab_NTroje", "DFaust": "DFaust_67", "EyesJapanDataset": "Eyes_Japan_Dataset", "HDM05": "MPI_HDM05",
    "PosePrior": "MPI_Limits", "MoSh": "MPI_mosh", "SSM": "SSM_synced", "TCDHands": "TCD_handMocap", "Transitions": "Transitions_mocap",
}  # fmt: skip
SUBSETS = {name.lower(): name for name in (
    *RENAMED.values(), "ACCAD", "BMLhandball", "BMLmovi", "CMU", "CNRS", "DanceDB", "EKUT", "GRAB", "HUMAN4D", "HumanEva", "KIT", "SFU",
    "SOMA", "TotalCapture", "WEIZMANN",
)} | {new.lower(): old for new, old in RENAMED.items()}  # fmt: skip
POSE_WIDTHS = {156: "smplh", 165: "smplx"}
BODY_WIDTH = 66


def amass_origin(path: str) -> str:
    """`amass/<Subset>/<subject>/<sequence>`: one name for a recording, however its release spells folders and endings."""
    parts = path.replace("\\", "/").strip("./").split("/")
    known = [index for index, part in enumerate(parts[:-1]) if part.lower() in SUBSETS]
    parts = parts[known[-1] :] if known else parts[-3:]
    parts[0] = SUBSETS.get(parts[0].lower(), parts[0])
    stem = re.sub(r"\.(npz|npy|pkl)$", "", parts[-1])
    stem = re.sub(r"_(poses|stageii)$", "", stem)
    # The first release writes blanks, sometimes two, where the later one writes as many underscores.
    return "/".join(["amass", parts[0], *(re.sub(r"[\s_]+", "_", part) for part in [*parts[1:-1], stem])])


class AmassReader:
    version = 2

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.labels = labels_for("amass")
        self.trim_s: dict[str, float] = dict(spec.options.get("trim_start_s", {}))
        self.split_of = {subset: split for split, names in spec.splits.items() for subset in names.split()}
        self.via = joints_via(spec)

    def fingerprint(self, raw: Path) -> str:
        return self.labels.digest() + via_fingerprint(self.via)

    def discover(self, raw: Path) -> Discovery:
        units: dict[str, Unit] = {}
        skipped = []
        # A changed body model concerns the files that need it, so it is part of what is known of them.
        models = {family: models_fingerprint(raw, family) for family in POSE_WIDTHS.values()}
        # "_poses" sorts before "_stageii": where both representations of a sequence are there, SMPL+H is read.
        for file in matching(walk(raw), "*.npz"):
            name = Path(file).name
            key = amass_origin(file).removeprefix("amass/")
            if name == "shape.npz" or name.endswith("_stagei.npz"):
                skipped.append(LeftOut(file, "shape_stage"))
            elif key in units:
                skipped.append(LeftOut(file, "other_representation", f"read from {units[key].files[0]}"))
            else:
                units[key] = Unit(key, (file,), {"models": models["smplx" if name.endswith("_stageii.npz") else "smplh"]})
        return Discovery(tuple(units.values()), tuple(skipped))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        subset = unit.key.split("/")[0]
        joints, fps = read_motion(raw, unit.files[0], raw, self.via)
        trim = round(self.trim_s.get(subset, 0.0) * fps)
        joints = joints[trim:, None]
        name = unit.key.rsplit("/", 1)[-1]
        action = self.labels.action(name)
        labels = (Label(action, 0.0, len(joints) / fps),) if action != UNKNOWN else ()
        # A name of numbers alone says nothing; words that no table knows are reported.
        words = " ".join(re.findall(r"[a-z]+", name.lower()))
        unmapped = {"unmapped": [words]} if words and action == UNKNOWN else {}
        yield Recording(
            key=unit.key, origin=self.spec.origin_of(key=unit.key), file=unit.files[0], fps=fps, joints=joints,
            present=np.ones(joints.shape[:2], bool), labels=labels,
            official_split=self.split_of.get(subset, "train" if self.split_of else None), protocol="amass" if self.split_of else None,
            extra={**({"trimmed_s": trim / fps} if trim else {}), **unmapped},
        )  # fmt: skip


def read_motion(root: Path, file: str, raw: Path, via: JointsVia) -> tuple[np.ndarray, float]:
    """Joints [T, 22, 3] in the file's own axes and its true rate; body models lie beside `raw`."""
    archive = Npz(root, file)
    trans = expect(f"{file}: trans", archive.get("trans"), (None, 3))
    if "poses" in archive:
        poses = archive.get("poses")
        family = POSE_WIDTHS.get(poses.shape[1] if poses.ndim == 2 else 0)
        if family is None:
            hint = ": SMPL without hands; get the SMPL+H G release" if poses.ndim == 2 and poses.shape[1] == 72 else ""
            raise BadRecording("wrong_shape", f"{file}: expected poses [T,156|165], found {list(poses.shape)}{hint}")
        poses = expect(f"{file}: poses", poses, (len(trans), poses.shape[1]))
    else:
        family = "smplx"
        root_orient = expect(f"{file}: root_orient", archive.get("root_orient"), (len(trans), 3))
        poses = np.concatenate([root_orient, expect(f"{file}: pose_body", archive.get("pose_body"), (len(trans), BODY_WIDTH - 3))], axis=1)
    fps = rate_hz(file, archive.number("mocap_framerate", "mocap_frame_rate"))
    betas = np.asarray(archive.get("betas"), np.float64).reshape(-1) if "betas" in archive else np.zeros(0)
    if not (np.isfinite(poses[:, :BODY_WIDTH]).all() and np.isfinite(trans).all() and np.isfinite(betas).all()):
        raise BadRecording("non_finite", f"{file}: poses, trans or betas hold NaN or infinity")
    gender = archive.string("gender", "neutral").strip("\0 ").lower()
    return via(raw, family, gender, betas, poses[:, :BODY_WIDTH], trans), fps
