"""Any folder of BVH files: the YAML says which of its joints are ours, its unit, and what its names mean.

`skeleton` names a known joint map, or `options.joint_map` gives one (our joint -> the file's joint).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording, ConfigError
from stickgen_core.skeleton.body import JOINT
from stickgen_core.sources.actions import labels_for
from stickgen_core.sources.assemble import assemble
from stickgen_core.sources.bvh import Bvh, parse_bvh
from stickgen_core.sources.files import MAX_TEXT_BYTES, matching, read_bytes, walk
from stickgen_core.sources.reader import Discovery, Unit
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.templates import labelled

CENTIMETRE = 0.01


def _sided(middle: Mapping[str, str], sides: Mapping[str, str]) -> dict[str, str]:
    """A joint map from its middle and one pattern a limb joint with {S} for Left or Right."""
    both = {f"{side}_{joint}": pattern.replace("{S}", side.capitalize()) for side in ("left", "right") for joint, pattern in sides.items()}
    return {**middle, **both}


JOINT_MAPS: dict[str, dict[str, str]] = {
    "100style": _sided(
        {"pelvis": "Hips", "spine1": "Chest", "spine2": "Chest2", "spine3": "Chest4", "neck": "Neck", "head": "Head"},
        {"collar": "{S}Collar", "shoulder": "{S}Shoulder", "elbow": "{S}Elbow", "wrist": "{S}Wrist", "hip": "{S}Hip", "knee": "{S}Knee",
         "ankle": "{S}Ankle", "foot": "{S}Toe"},
    ),
    "beat": _sided(
        {"pelvis": "Hips", "spine1": "Spine", "spine2": "Spine2", "spine3": "Spine3", "neck": "Neck", "head": "Head"},
        {"collar": "{S}Shoulder", "shoulder": "{S}Arm", "elbow": "{S}ForeArm", "wrist": "{S}Hand", "hip": "{S}UpLeg", "knee": "{S}Leg",
         "ankle": "{S}Foot", "foot": "{S}ToeBase"},
    ),
    # These files leave the chest's last bone out: their Neck lies at Spine1, below the shoulders, and Neck1 where a neck begins.
    "cmu": _sided(
        {"pelvis": "Hips", "spine1": "LowerBack", "spine2": "Spine", "spine3": "Spine1", "neck": "Neck1", "head": "Head"},
        {"collar": "{S}Shoulder", "shoulder": "{S}Arm", "elbow": "{S}ForeArm", "wrist": "{S}Hand", "hip": "{S}UpLeg", "knee": "{S}Leg",
         "ankle": "{S}Foot", "foot": "{S}ToeBase"},
    ),
    "mixamo": _sided(
        {"pelvis": "mixamorig:Hips", "spine1": "mixamorig:Spine", "spine2": "mixamorig:Spine1", "spine3": "mixamorig:Spine2",
         "neck": "mixamorig:Neck", "head": "mixamorig:Head"},
        {"collar": "mixamorig:{S}Shoulder", "shoulder": "mixamorig:{S}Arm", "elbow": "mixamorig:{S}ForeArm", "wrist": "mixamorig:{S}Hand",
         "hip": "mixamorig:{S}UpLeg", "knee": "mixamorig:{S}Leg", "ankle": "mixamorig:{S}Foot", "foot": "mixamorig:{S}ToeBase"},
    ),
}  # fmt: skip


def joint_map_of(spec: SourceSpec) -> dict[str, str]:
    """Our joint -> the file's joint, from the YAML."""
    chosen = spec.options.get("joint_map") or JOINT_MAPS.get(spec.skeleton)
    if not chosen:
        raise ConfigError(f"configs/datasets/{spec.name}.yaml: give options.joint_map, or a skeleton among {', '.join(sorted(JOINT_MAPS))}")
    unknown = sorted(set(chosen) - set(JOINT))
    if unknown:
        raise ConfigError(f"configs/datasets/{spec.name}.yaml: joint_map names {unknown[0]!r}; our joints are {', '.join(JOINT)}")
    return dict(chosen)


def body22(bvh: Bvh, joint_map: Mapping[str, str], unit_m: float, frames: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """Joints [T, 22, 3] in metres and joint_source, by name; a joint that the file lacks is derived."""
    index = {name: number for number, name in enumerate(bvh.names)}
    known = {ours: index[theirs] for ours, theirs in joint_map.items() if theirs in index}
    world = replace(bvh, values=bvh.values[frames]).positions(list(known.values())) * unit_m
    return assemble({ours: world[:, number] for number, ours in enumerate(known)})


def read_bvh(raw: Path, file: str) -> Bvh:
    return parse_bvh(read_bytes(raw, file, MAX_TEXT_BYTES), file)


def unit_of(spec: SourceSpec) -> float:
    """Metres per unit of a BVH file, which does not say: centimetres where the YAML gives nothing."""
    return CENTIMETRE if spec.unit_m is None else spec.unit_m


class BvhReader:
    version = 3

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.joint_map = joint_map_of(spec)
        self.unit_m = unit_of(spec)
        self.skip_frames = int(spec.options.get("skip_frames", 0))
        self.labels = labels_for(spec.name)

    def fingerprint(self, raw: Path) -> str:
        return self.labels.digest()

    def discover(self, raw: Path) -> Discovery:
        return Discovery(tuple(Unit(file.rsplit(".", 1)[0], (file,)) for file in matching(walk(raw), "*.bvh")))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        bvh = read_bvh(raw, unit.files[0])
        if len(bvh.values) <= self.skip_frames:
            raise BadRecording("empty", f"{unit.files[0]}: {len(bvh.values)} frames, the first {self.skip_frames} are skipped")
        joints, source = body22(bvh, self.joint_map, self.unit_m, slice(self.skip_frames, None))
        duration = len(joints) * bvh.frame_s
        labels, texts, extra = labelled(self.labels, [unit.key.rsplit("/", 1)[-1]], duration)
        yield Recording(
            key=unit.key, origin=self.spec.origin_of(key=unit.key), file=unit.files[0], fps=1 / bvh.frame_s, joints=joints[:, None],
            present=np.ones((len(joints), 1), bool), joint_source=source, texts=texts, labels=labels, extra={**extra, **bvh.extra},
        )  # fmt: skip
