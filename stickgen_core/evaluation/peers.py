"""Other models' outputs, judged like ours: 22 joints at their rate in, the same projection out, against real clips that went the same way.

A peer is a folder with `results.npy` in MDM's layout: {"motion": [N, 22, 3, T], "text": [N], "lengths": [N]}. Such a file is a pickle,
which is never loaded; `python -c` on the user's side turns it into `motion.npy`, `lengths.npy` and `captions.txt`, which are read here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.canonical.space import ground_height, placed_at_origin, placement_of
from stickgen_core.canonical.time import resample, sample_times
from stickgen_core.errors import Corrupt, StickgenError
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.sticks import stick_layout, sticks

CONVERT = (
    "python -c \"import numpy as np; r = np.load('results.npy', allow_pickle=True).item(); np.save('motion.npy', r['motion']); "
    "np.save('lengths.npy', r['lengths']); open('captions.txt', 'w').write('\\n'.join(r['text']))\""
)


@dataclass(frozen=True)
class Peer:
    """One peer's answers: captions and stick motions [T, 1, W] at the canonical rate."""

    name: str
    captions: tuple[str, ...]
    motions: tuple[np.ndarray, ...]


def import_peer(folder: Path, source_fps: float, fps: float, skeleton: SkeletonConfig | None = None) -> Peer | None:
    """A peer's folder, or None where there is none: a missing folder is no row, never a copied number."""
    if not folder.is_dir():
        return None
    if not (folder / "motion.npy").is_file():
        hint = f"; in that folder run: {CONVERT}" if (folder / "results.npy").is_file() else ""
        raise StickgenError(f"{folder}: expected motion.npy, lengths.npy and captions.txt{hint}")
    try:
        motion = np.load(folder / "motion.npy", allow_pickle=False)
        lengths = np.load(folder / "lengths.npy", allow_pickle=False).reshape(-1).astype(int)
        captions = (folder / "captions.txt").read_text(encoding="utf-8").splitlines()
    except (ValueError, OSError) as error:
        raise Corrupt(f"{folder}: {error}") from None
    if motion.ndim != 4 or motion.shape[1:3] != (JOINT_COUNT, 3):
        raise Corrupt(f"{folder}/motion.npy: expected [samples, {JOINT_COUNT}, 3, frames], found {list(motion.shape)}")
    if not len(motion) == len(lengths) == len(captions):
        raise Corrupt(f"{folder}: {len(motion)} motions, {len(lengths)} lengths, {len(captions)} captions; one of each a sample is needed")
    if ((lengths < 2) | (lengths > motion.shape[3])).any():
        raise Corrupt(f"{folder}/lengths.npy: lengths must lie in 2..{motion.shape[3]}")
    joints = [np.moveaxis(m, 2, 0)[:n] for m, n in zip(motion.astype(np.float64), lengths, strict=True)]
    return Peer(folder.name, tuple(captions), tuple(projected(joints, source_fps, fps, skeleton or SkeletonConfig())))


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
