"""Other models' outputs, judged like ours: 22 joints at their rate in, the same projection out, against real clips that went the same way.

A peer is a folder with `results.npy` in MDM's layout: {"motion": [N, 22, 3, T], "text": [N], "lengths": [N]}. Such a file is a pickle; it
is read by the restricted reader, which takes arrays and plain containers and runs nothing. The same as `motion.npy`, `lengths.npy` and
`captions.txt` is read too. A missing folder is no row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.canonical.space import ground_height, placed_at_origin, placement_of
from stickgen_core.canonical.time import resample, sample_times
from stickgen_core.corpus import Corpus
from stickgen_core.errors import BadRecording, Corrupt, StickgenError
from stickgen_core.evaluation.items import Items
from stickgen_core.evaluation.judge import Judge, Row
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.sticks import stick_layout, sticks
from stickgen_core.sources.pickles import load_object_npy

RESULTS, MOTION, LENGTHS, CAPTIONS = "results.npy", "motion.npy", "lengths.npy", "captions.txt"


@dataclass(frozen=True)
class Peer:
    """One peer's answers: captions and stick motions [T, 1, W] at the canonical rate."""

    name: str
    captions: tuple[str, ...]
    motions: tuple[np.ndarray, ...]

    def items(self, like: Items) -> Items:
        """As a set to judge; a caption that stands among the held-out ones asks for that clip's action."""
        actions = {caption: int(action) for caption, action in zip(like.captions, like.actions, strict=True)}
        names = tuple(f"{self.name}/{number:05d}" for number in range(len(self.motions)))
        return Items(names, names, self.motions, tuple(np.ones(m.shape[:2], bool) for m in self.motions), self.captions, ("",) * len(names),
                     np.array([actions.get(caption, -1) for caption in self.captions], np.int64))  # fmt: skip


def import_peer(folder: Path, source_fps: float, fps: float, skeleton: SkeletonConfig | None = None) -> Peer | None:
    """A peer's folder, or None where there is none: a missing folder is no row, never a copied number."""
    if not folder.is_dir():
        return None
    motion, lengths, captions = _split(folder) if (folder / MOTION).is_file() else _results(folder)
    if motion.ndim != 4 or motion.shape[1:3] != (JOINT_COUNT, 3):
        raise Corrupt(f"{folder}: motion is expected as [samples, {JOINT_COUNT}, 3, frames], found {list(motion.shape)}")
    if not len(motion) == len(lengths) == len(captions):
        raise Corrupt(f"{folder}: {len(motion)} motions, {len(lengths)} lengths, {len(captions)} captions; one of each a sample is needed")
    if ((lengths < 2) | (lengths > motion.shape[3])).any():
        raise Corrupt(f"{folder}: lengths must lie in 2..{motion.shape[3]}")
    joints = [np.moveaxis(m, 2, 0)[:n] for m, n in zip(motion.astype(np.float64), lengths, strict=True)]
    return Peer(folder.name, tuple(captions), tuple(projected(joints, source_fps, fps, skeleton or SkeletonConfig())))


def _split(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    try:
        motion = np.load(folder / MOTION, allow_pickle=False)
        lengths = np.load(folder / LENGTHS, allow_pickle=False).reshape(-1).astype(int)
        captions = (folder / CAPTIONS).read_text(encoding="utf-8").splitlines()
    except (ValueError, OSError) as error:
        raise Corrupt(f"{folder}: {error}") from None
    return motion, lengths, captions


def _results(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    if not (folder / RESULTS).is_file():
        raise StickgenError(f"{folder}: expected {RESULTS} (MDM's layout), or {MOTION}, {LENGTHS} and {CAPTIONS}")
    try:
        found: dict[str, Any] = load_object_npy(folder, RESULTS)
    except BadRecording as bad:
        raise Corrupt(f"{folder / RESULTS}: {bad.detail}") from None
    missing = [key for key in ("motion", "text", "lengths") if key not in found]
    if missing:
        raise Corrupt(f"{folder / RESULTS}: lacks {missing[0]!r}; expected motion, text and lengths as MDM writes them")
    motion, lengths = np.asarray(found["motion"]), np.asarray(found["lengths"]).reshape(-1)
    if motion.dtype.kind not in "fiu" or lengths.dtype.kind not in "iuf":
        raise Corrupt(f"{folder / RESULTS}: motion and lengths must be arrays of numbers, found {motion.dtype} and {lengths.dtype}")
    return motion, lengths.astype(int), [str(text) for text in found["text"]]


def projected(joints: Sequence[np.ndarray], source_fps: float, fps: float, skeleton: SkeletonConfig) -> list[np.ndarray]:
    """Joints [T, 22, 3] in metres, Y up -> sticks [T', 1, W], by the very steps that make canonical clips.

    Real test clips go through this function too before peers are compared with them, so that nobody is judged for the conversion.
    """
    layout, canonical = stick_layout(skeleton.layout, skeleton), CanonicalConfig()
    found = []
    for clip in joints:
        if not np.isfinite(clip).all():
            raise StickgenError("peer motion holds values that are not finite")
        body = resample(clip[:, None], source_fps, sample_times(len(clip), source_fps, fps))
        present = np.ones(body.shape[:2], bool)
        body[..., 1] -= ground_height(body, present, canonical.ground_percentile)
        placed = placed_at_origin(body, placement_of(body, present, canonical.heading_min_share))
        found.append(sticks(placed, layout, skeleton.azimuth_deg).astype(np.float32))
    return found


def round_trip(items: Items, corpus: Corpus, source_fps: float, fps: float, skeleton: SkeletonConfig) -> Items:
    """Real clips of one person as a peer would deliver them: their joints at the peers' rate, and back through the same conversion."""
    alone = [i for i, present in enumerate(items.present) if present.shape[1] == 1 and present.all()]
    some = items.take(alone)
    joints = []
    for clip, motion in zip(some.ids, some.motions, strict=True):
        body = corpus.arrays(corpus.position(clip), "joints")["joints"][: len(motion)].astype(np.float64)
        joints.append(resample(body, fps, sample_times(len(body), fps, source_fps))[:, 0])
    motions = projected(joints, source_fps, fps, skeleton)
    return replace(some, motions=tuple(motions), present=tuple(np.ones(m.shape[:2], bool) for m in motions))


def peer_rows(
    folder: Path, judge: Judge, items: Items, corpus: Corpus, source_fps: float, skeleton: SkeletonConfig
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of every peer below `folder`, after the real clips that went the same way; none without peers."""
    found = [peer for path in sorted(folder.glob("*")) if (peer := import_peer(path, source_fps, judge.fps, skeleton)) is not None]
    if not found:
        return []
    real = round_trip(items, corpus, source_fps, judge.fps, skeleton)
    there = replace(judge, reference=round_trip(judge.reference, corpus, source_fps, judge.fps, skeleton))
    rows = [
        Row(
            "real_round_trip", f"Real clips, projected from {source_fps:g} fps joints", "honesty", there.measure(real), "the peers' ceiling"
        )
    ]
    for peer in found:
        note = f"projected from {source_fps:g} fps joints; trained in space, not on sticks"
        rows.append(Row(f"peer_{peer.name}", peer.name, "peer", there.measure(peer.items(items)), note))
    return [row.as_json() for row in rows]
