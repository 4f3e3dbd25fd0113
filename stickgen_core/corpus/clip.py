"""The canonical clip: 25 fps, metres, Y up, actor 0 over the origin facing +Z at frame 0 (docs/design.md, "The canonical clip")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stickgen_core.records.digests import digest_of_fields, field_digest
from stickgen_core.sources.recording import Text

# Field name -> (dtype, shape after the frames axis with A for actors); joint_source has no frames axis.
ARRAY_FIELDS: dict[str, str] = {
    "joints": "float32", "present": "bool", "joint_source": "uint8", "motion": "float32",
    "actions": "int16", "physics": "float32", "camera": "float32",
}  # fmt: skip

CLIP_KIND = "clip.v1"
THEN = "then~"


def recombined_id(first: str, how: str) -> str:
    """The id of a clip that was made of a captured one, or of that one first."""
    return f"{first}~{how}"


def followed_by(second: str) -> str:
    """How a clip was recombined that goes over into another of its source."""
    return THEN + second.partition("/")[2]


def made_of(clip_id: str) -> set[str]:
    """Ids of what a recombined clip can have been made of, read from its own; nothing for a captured clip."""
    pieces = clip_id.split("~")
    found = {"~".join(pieces[:n]) for n in range(1, len(pieces))}
    first, then, second = clip_id.partition(f"~{THEN}")
    return found | {f"{first.partition('/')[0]}/{second}"} if then else found


@dataclass(frozen=True)
class Clip:
    """One training example with everything that is known of it; arrays always carry the actor axis here.

    id            "<source>/<recording key>#<window>", stable
    origin        the performance it came from; all clips of an origin share one split
    joints        [T, A, 22, 3] f32   present  [T, A] bool   joint_source [22] u8
    motion        [T, A, W] f32       actions  [T, A] i16    physics [T, A, 6] f32    camera [T, 3] f32
    texts         spans in the clip's own seconds
    window_s      start and end in the recording's seconds
    origin_xz_m, yaw_rad   the transform that was removed
    camera_source "none" | "measured" | "synthetic"
    """

    id: str
    source: str
    origin: str
    joints: np.ndarray
    present: np.ndarray
    joint_source: np.ndarray
    motion: np.ndarray
    actions: np.ndarray
    physics: np.ndarray
    camera: np.ndarray
    texts: tuple[Text, ...]
    source_fps: float
    window_s: tuple[float, float]
    origin_xz_m: tuple[float, float]
    yaw_rad: float
    camera_source: str
    licence: str
    official_split: str | None = None
    protocol: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return self.joints.shape[0]

    @property
    def actors(self) -> int:
        return self.joints.shape[1]

    def identity(self) -> dict[str, Any]:
        """The scalars and texts that the digest covers, as JSON values."""
        return {
            "id": self.id, "source": self.source, "origin": self.origin,
            "texts": [[t.text, float(t.start_s), float(t.end_s), t.kind, None if t.actor is None else int(t.actor)] for t in self.texts],
            "source_fps": float(self.source_fps), "window_s": [float(s) for s in self.window_s],
            "origin_xz_m": [float(m) for m in self.origin_xz_m], "yaw_rad": float(self.yaw_rad),
            "camera_source": self.camera_source, "licence": self.licence,
            "official_split": self.official_split, "protocol": self.protocol, "extra": dict(self.extra),
        }  # fmt: skip

    def field_digests(self) -> dict[str, bytes]:
        return {name: field_digest(name, getattr(self, name)) for name in ARRAY_FIELDS}

    def digest_from(self, fields: Mapping[str, bytes]) -> str:
        """The clip's digest, given those of its arrays."""
        return digest_of_fields(CLIP_KIND, fields, self.identity())

    def digest(self) -> str:
        return self.digest_from(self.field_digests())
