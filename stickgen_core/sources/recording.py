"""What every reader yields: one recording as world joints, with its texts and labels in the recording's own seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np

from stickgen_core.skeleton.body import JOINT_COUNT

TextKind = Literal["caption", "template", "transcript", "label"]
CONDITIONING_KINDS: tuple[TextKind, ...] = ("caption", "template")  # they describe motion


class JointSource(IntEnum):
    """Where a joint's position comes from."""

    MEASURED = 0
    DERIVED = 1
    ABSENT = 2


@dataclass(frozen=True)
class Text:
    """A text and the span it describes; `actor` is an index into the people, None for all of them."""

    text: str
    start_s: float
    end_s: float
    kind: TextKind
    actor: int | None = None

    @property
    def describes(self) -> bool:
        """Whether a model may be conditioned on it: a caption or template with something in it."""
        return self.kind in CONDITIONING_KINDS and bool(self.text.strip())


@dataclass(frozen=True)
class Label:
    """An action (an id of configs/actions.yaml) over a span; where spans overlap the later one in the list wins."""

    action: int
    start_s: float
    end_s: float
    actor: int = 0


@dataclass(frozen=True)
class Recording:
    """One captured (or generated) performance in the axes and rate of its source.

    key             unique within the source and stable; clip ids are made from it
    origin          the performance this came from, shared by every data set that derives from it
    file            path below the raw root, for ledgers and provenance
    joints          [T, A, 22, 3] float64, metres, in the axes that the source's YAML declares
    present         [T, A] bool; joints of an absent person are ignored
    people          A ids, in order of first appearance, then id
    joint_source    [22] uint8 of JointSource
    camera          [T, 3] view centre x, y (m) and zoom, or None where there is no camera
    azimuth_rad     [T] orbit of the rendering camera, or None
    cuts            frame indices that start a new take: no velocity, no window and no resampling across them
    official_split  train | val | test of the source's own lists, or None
    extra           small JSON values worth keeping: mirrored_of, emotion, style, generator parameters
    """

    key: str
    origin: str
    file: str
    fps: float
    joints: np.ndarray
    present: np.ndarray
    people: tuple[str, ...] = ("0",)
    joint_source: np.ndarray = field(default_factory=lambda: np.zeros(JOINT_COUNT, np.uint8))
    texts: tuple[Text, ...] = ()
    labels: tuple[Label, ...] = ()
    camera: np.ndarray | None = None
    azimuth_rad: np.ndarray | None = None
    cuts: tuple[int, ...] = ()
    official_split: str | None = None
    protocol: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
