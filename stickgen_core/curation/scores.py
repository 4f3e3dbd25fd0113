"""Scores of clips from their 3D joints: quality and its parts, artefacts each with its own threshold, realism, physics, camera."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from stickgen_core.corpus import Clip
from stickgen_core.curation import parts
from stickgen_core.curation.config import ScoresConfig
from stickgen_core.curation.tracks import Tracks, over_clips
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.recording import JointSource

# Part -> the limit's name in the configuration: what is over its limit is an artefact of that name.
ARTEFACTS: Mapping[str, str] = {
    "jitter": "jitter_limit", "static_share": "static_limit", "explosion_z": "explosion_limit_z", "repetition": "repetition_limit",
}  # fmt: skip
SCORES = (
    "quality", "artefact", "realism", "physics_consistency", "foot_slide_m_s", "limb_deviation", "plausible_speed", "completeness", *ARTEFACTS,
)  # fmt: skip
AT_LIMIT = 0.5  # the artefact score of a clip whose worst part stands exactly at its threshold


def score_clips(
    clips: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], config: ScoresConfig, actions: Sequence[np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Score -> [C] float64, rounded, for (joints [T, A, 22, 3], present [T, A], joint_source [22]) triples, with `actions` [T, A] if known.

    A clip is as bad as its worst person, except that one who stands still beside one who moves is no fault.
    """
    postures = np.array(held_ids(config))
    held = None if actions is None else [(labels[..., None] == postures).any(-1) for labels in actions]
    tracks = Tracks.of(clips, config.min_track_frames, held)
    count = len(clips)
    found: dict[str, np.ndarray] = {}
    if tracks.count:
        step = parts.steps(tracks)
        worst = {
            "jitter": parts.jitter(tracks, step, config), "explosion_z": parts.explosion_z(tracks, step, config),
            "repetition": parts.repetition(tracks, config), "limb_deviation": parts.limb_deviation(tracks),
            "foot_slide_m_s": parts.foot_slide(tracks, config),
        }  # fmt: skip
        least = {
            "static_share": parts.static_share(tracks, step, config), "physics_consistency": parts.physics_consistency(tracks, config),
            "plausible_speed": parts.plausible_speed(tracks, step, config),
        }  # fmt: skip
        found = {name: over_clips(values, tracks.clip, count, np.maximum, 0.0) for name, values in worst.items()}
        found |= {name: over_clips(values, tracks.clip, count, np.minimum, 1.0) for name, values in least.items()}
        unseen = ~np.isin(np.arange(count), tracks.clip)
        found["static_share"] = np.where(unseen, 1.0, found["static_share"])
    else:
        found = {name: np.zeros(count) for name in ("jitter", "explosion_z", "repetition", "limb_deviation", "foot_slide_m_s")}
        found |= {name: np.ones(count) for name in ("static_share", "physics_consistency", "plausible_speed")}
    found["completeness"] = np.array([np.count_nonzero(source != JointSource.ABSENT) / len(source) for _, _, source in clips])
    found = {name: np.round(values, config.decimals) for name, values in found.items()}
    found["artefact"] = artefact(found, config)
    found["quality"] = quality(found, config)
    found["realism"] = realism(found, config)
    return {name: found[name] for name in SCORES}


def held_ids(config: ScoresConfig) -> list[int]:
    """Ids of the labels that say a posture is held."""
    return [load_actions().id_of(name) for name in config.held_actions]


def artefact(found: Mapping[str, np.ndarray], config: ScoresConfig) -> np.ndarray:
    """[C] in [0, 1]: the worst part over its own threshold, scaled so that ½ is the threshold."""
    relative = [AT_LIMIT * found[part] / getattr(config, limit) for part, limit in ARTEFACTS.items()]
    return np.round(np.minimum(np.max(relative, axis=0), 1.0), config.decimals)


def quality_parts(found: Mapping[str, np.ndarray], config: ScoresConfig) -> dict[str, np.ndarray]:
    """The parts of quality, each in [0, 1]."""
    return {
        "smoothness": 1 / (1 + found["jitter"] / config.jitter_limit),
        "liveliness": np.clip((1 - found["static_share"]) / (1 - config.static_limit), 0, 1),
        "limbs": np.clip(1 - found["limb_deviation"] / config.limb_deviation_limit, 0, 1),
        "physics": found["physics_consistency"],
        "feet": 1 / (1 + (found["foot_slide_m_s"] / config.slide_m_s) ** 2),
        "completeness": found["completeness"],
    }


def quality(found: Mapping[str, np.ndarray], config: ScoresConfig) -> np.ndarray:
    """[C] in [0, 1]: weighted geometric mean of the parts, so that a part which is zero cannot be made up for."""
    parts_found, total = quality_parts(found, config), sum(config.weights.values())
    product = np.prod([parts_found[name] ** (weight / total) for name, weight in config.weights.items()], axis=0)
    return np.round(product, config.decimals)


def realism(found: Mapping[str, np.ndarray], config: ScoresConfig) -> np.ndarray:
    """[C] in [0, 1]: geometric mean of smoothness, liveliness, freedom from artefacts and plausible speed; 0 for a frozen clip."""
    part = quality_parts(found, config)
    return np.round((part["smoothness"] * part["liveliness"] * (1 - found["artefact"]) * found["plausible_speed"]) ** 0.25, config.decimals)


def camera_stability(camera: np.ndarray, camera_source: str, config: ScoresConfig) -> float | None:
    """[T, 3] view centre x, y (m) and zoom -> (0, 1]: 1 for a still or evenly moving view; None without a camera.

    Judged by the second difference of centre in view heights and of log zoom: a pan is no shake.
    """
    if camera_source == "none":
        return None
    if len(camera) < 3:
        return 1.0
    view = camera.astype(np.float64)
    height = 2.0 / view[:, 2]
    x, y, zoom = view[:, 0], view[:, 1], np.log(view[:, 2])
    shake = np.stack([np.diff(x, 2) / height[1:-1], np.diff(y, 2) / height[1:-1], np.diff(zoom, 2)], axis=1)
    rms = float(np.sqrt((shake**2).sum(1).mean()))
    return round(1 / (1 + rms / config.camera_shake), config.decimals)


def evaluate_clips(clips: Iterable[Clip], config: ScoresConfig) -> dict[str, np.ndarray]:
    """`score_clips` for whole clips, with `camera_stability` (NaN without a camera)."""
    listed = list(clips)
    found = score_clips([(c.joints, c.present, c.joint_source) for c in listed], config, [c.actions for c in listed])
    stability = [camera_stability(c.camera, c.camera_source, config) for c in listed]
    return {**found, "camera_stability": np.array([np.nan if s is None else s for s in stability])}
