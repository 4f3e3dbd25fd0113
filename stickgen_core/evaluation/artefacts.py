"""The documented artefact score and realism score, each a number in [0, 1] made of parts that are printed beside it.

What counts as an artefact is defined once, in curation: the ends of the sticks go through the very functions that score the joints of
captured clips, with the same limits, as points of a plane in space. So a generated clip and a training clip are held to one rule.
"""

from collections.abc import Sequence

import numpy as np

from stickgen_core.curation import parts
from stickgen_core.curation.config import ScoresConfig
from stickgen_core.curation.tracks import Tracks, over_clips
from stickgen_core.skeleton.sticks import StickLayout

NAMES = ("jitter", "static", "explosion", "repetition")


def body_points(layout: StickLayout) -> tuple[int, ...]:
    """Segment ends that are different points of the body: the first of each name."""
    ends = layout.points
    return tuple(place for place, name in enumerate(ends) if ends.index(name) == place)


def artefacts(
    motions: Sequence[np.ndarray], present: Sequence[np.ndarray], layout: StickLayout, config: ScoresConfig
) -> dict[str, np.ndarray]:
    """Which of the four documented artefacts each clip shows: [T, A, W] and [T, A] each -> name -> bool [N].

    A clip is as bad as its worst person, except that one who stands still beside one who moves is no fault.
    """
    points = body_points(layout)
    clips = []
    for motion, seen in zip(motions, present, strict=True):
        flat = np.asarray(motion, np.float64).reshape(*motion.shape[:2], -1, 2)[:, :, list(points)]
        space = np.concatenate([flat, np.zeros((*flat.shape[:3], 1))], -1)
        clips.append((space, np.asarray(seen, bool), np.zeros(len(points), np.uint8)))
    tracks, count = Tracks.of(clips, config.min_track_frames), len(clips)
    if not tracks.count:
        return {name: np.full(count, name == "static") for name in NAMES}
    step = parts.steps(tracks)

    def worst(values: np.ndarray) -> np.ndarray:
        return over_clips(values, tracks.clip, count, np.maximum, 0.0)

    still = over_clips(parts.static_share(tracks, step, config), tracks.clip, count, np.minimum, 1.0)
    return {
        "jitter": worst(parts.jitter(tracks, step, config)) > config.jitter_limit,
        "static": still > config.static_limit,
        "explosion": worst(parts.explosion_z(tracks, step, config)) > config.explosion_limit_z,
        "repetition": worst(parts.repetition(tracks, config, range(len(points)))) > config.repetition_limit,
    }


def artefact_score(found: dict[str, np.ndarray]) -> np.ndarray:
    """Share of the four artefacts that each clip shows: 0 none, 1 all: [N]."""
    return np.mean([found[name] for name in NAMES], axis=0)


def realism(jerk: np.ndarray, real_jerk: float, score: np.ndarray, plausible: np.ndarray) -> np.ndarray:
    """Mean of smoothness (jerk against the real median, in octaves), freedom from artefacts, and plausible speeds: [N] in [0, 1]."""
    smoothness = np.zeros(len(jerk))
    moving = jerk > 0
    smoothness[moving] = np.exp2(-np.abs(np.log2(jerk[moving] / real_jerk)))
    return (smoothness + 1 - score + plausible) / 3
