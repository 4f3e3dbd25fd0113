"""The documented artefact score and realism score, each a number in [0, 1] made of parts that are printed beside it.

The documented limits need a reading in units (docs/benchmark.md, "The documented six"): "acceleration variance / mean velocity" changes
with the unit and the frame rate, so jitter is the share of the step's power that a three-frame mean removes, which does not.
"""

from dataclasses import dataclass

import numpy as np

from stickgen_core.evaluation.kinematics import Motion, frozen_share, jerk


@dataclass(frozen=True)
class ArtefactLimits:
    """Where a part counts as an artefact (documented values; the jump in standard deviations is of log speed)."""

    jitter: float
    static_speed_m_s: float
    static_share: float
    explosion_z: float
    repetition: float
    repetition_lags: tuple[int, int]


def jitter(clip: Motion) -> float:
    """Share of the frame-to-frame displacement's power that a three-frame mean removes: ~0 smooth, 0.67 white noise."""
    steps = clip.difference(1)
    if len(steps) < 3:
        return 0.0
    smooth = (steps[:-2] + steps[1:-1] + steps[2:]) / 3
    power = np.square(steps[1:-1]).sum()
    return float(np.square(steps[1:-1] - smooth).sum() / power) if power > 0 else 0.0


def explosion(clip: Motion) -> float:
    """Largest frame-to-frame step in robust standard deviations of the clip's log step size (median and MAD)."""
    size = np.linalg.norm(clip.difference(1), axis=-1).max(-1) if len(clip.motion) > 1 else np.zeros(0)
    size = np.log(size[size > 1e-6])
    if len(size) < 8:
        return 0.0
    # 1.4826: MAD to standard deviation; the floor keeps a nearly constant speed from making noise look like a jump.
    spread = max(1.4826 * float(np.median(np.abs(size - np.median(size)))), 0.25)
    return float((size.max() - np.median(size)) / spread)


def repetition(clip: Motion, lags: tuple[int, int]) -> float:
    """Largest autocorrelation of the displacement at lags low..high, after a lag where it was near zero: walking has it, a drift has not.

    High is normal for locomotion; the score counts it only where the documented limit is passed.
    """
    steps = np.diff(clip.motion[:, 0], axis=0)
    steps = steps - steps.mean(0)
    power = np.square(steps).sum()
    low, high = lags
    if power <= 0 or len(steps) <= high + 1:
        return 0.0
    values = [float((steps[:-lag] * steps[lag:]).sum() / power * len(steps) / (len(steps) - lag)) for lag in range(1, high + 1)]
    turned = next((lag for lag, value in enumerate(values, 1) if value < 0.1), high + 1)
    return max((value for lag, value in enumerate(values, 1) if lag >= max(low, turned)), default=0.0)


def artefact_parts(clip: Motion, limits: ArtefactLimits, fps: float) -> dict[str, bool]:
    """Which of the four documented artefacts a clip shows."""
    return {
        "jitter": jitter(clip) > limits.jitter,
        "static": frozen_share(clip, fps, limits.static_speed_m_s) > limits.static_share,
        "explosion": explosion(clip) > limits.explosion_z,
        "repetition": repetition(clip, limits.repetition_lags) > limits.repetition,
    }


def artefact_score(parts: dict[str, bool]) -> float:
    """Share of the four artefacts present: 0 none, 1 all."""
    return sum(parts.values()) / len(parts)


def realism(clip: Motion, parts: dict[str, bool], plausible: float, real_jerk: float, fps: float) -> float:
    """Mean of smoothness (jerk against the real median, in octaves), freedom from artefacts, and plausible speeds: in [0, 1]."""
    measured = jerk(clip, fps)
    smoothness = float(np.exp2(-abs(np.log2(measured / real_jerk)))) if measured > 0 and real_jerk > 0 else 0.0
    return (smoothness + 1 - artefact_score(parts) + plausible) / 3
