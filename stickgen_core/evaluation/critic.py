"""How good is the safety critic itself? Refusals of real clips, and of copies of them with each fault planted."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.safety import evaluate_motion_safety
from stickgen_core.evaluation.intervals import Measure, wilson
from stickgen_core.evaluation.items import Items, Progress
from stickgen_core.records.seeds import generator

Fault = Callable[[np.ndarray, SafetyConfig, np.random.Generator], np.ndarray]

# Sizes of the planted faults: well beyond the critic's limits, as a broken model's are, but no caricature.
NOISE_M, JUMP_M, SINK_M, ARM_M, LOOP_FRAMES = 0.05, 1.5, 0.25, 1.3, 12


def _frozen(motion: np.ndarray, config: SafetyConfig, draw: np.random.Generator) -> np.ndarray:
    return np.repeat(motion[:1], len(motion), 0)


def _jittery(motion: np.ndarray, config: SafetyConfig, draw: np.random.Generator) -> np.ndarray:
    return motion + NOISE_M * draw.standard_normal(motion.shape)


def _velocity(motion: np.ndarray, config: SafetyConfig, draw: np.random.Generator) -> np.ndarray:
    """The whole figure jumps aside and back within a frame, once."""
    jumped = motion.copy()
    jumped[int(draw.integers(1, len(motion) - 1)), :, 0::2] += JUMP_M
    return jumped


def _ground(motion: np.ndarray, config: SafetyConfig, draw: np.random.Generator) -> np.ndarray:
    """Feet below the floor throughout."""
    sunk = motion.copy()
    lowest = motion[..., 1::2].min((1, 2), keepdims=True)
    sunk[..., 1::2] -= lowest + SINK_M
    return sunk


def _limbs(motion: np.ndarray, config: SafetyConfig, draw: np.random.Generator) -> np.ndarray:
    """The third segment (an arm) is drawn as long as no arm is, in its own direction."""
    pulled = motion.copy()
    start, end = slice(8, 10), slice(10, 12)
    arm = motion[..., end] - motion[..., start]
    length = np.maximum(np.linalg.norm(arm, axis=-1, keepdims=True), 1e-3)
    pulled[..., end] = motion[..., start] + ARM_M * arm / length
    return pulled


def _repetitive(motion: np.ndarray, config: SafetyConfig, draw: np.random.Generator) -> np.ndarray:
    """A stuck player: the liveliest dozen frames of the clip over and over, joined without a jump."""
    frames = min(LOOP_FRAMES, len(motion) // 4)
    speed = np.square(np.diff(motion, axis=0)).sum((1, 2))
    start = int(np.convolve(speed, np.ones(frames), "valid").argmax())
    piece = motion[start : start + frames]
    drift = np.linspace(0, 1, frames, endpoint=False)[:, None, None] * (motion[min(start + frames, len(motion) - 1)] - piece[0])
    return np.tile(piece - drift, (-(-len(motion) // frames), 1, 1))[: len(motion)]


def _non_finite(motion: np.ndarray, config: SafetyConfig, draw: np.random.Generator) -> np.ndarray:
    broken = motion.copy()
    broken[int(draw.integers(len(motion)))] = np.nan
    return broken


FAULTS: Mapping[str, Fault] = {
    "non_finite": _non_finite, "frozen": _frozen, "repetitive": _repetitive, "jittery": _jittery, "velocity": _velocity, "ground": _ground,
    "limbs": _limbs,
}  # fmt: skip


def critic_rates(items: Items, sources: Mapping[str, str], config: SafetyConfig, seed: int, progress: Progress = None) -> dict[str, Any]:
    """Shares with Wilson intervals: real clips refused, by source and by check; planted faults refused, and named by their own check.

    sources   clip id -> source
    """
    refused: dict[str, list[bool]] = {}
    named: dict[str, int] = {}
    caught: dict[str, list[tuple[bool, bool]]] = {fault: [] for fault in FAULTS}
    examples = []
    for done, (clip, motion, present) in enumerate(zip(items.ids, items.motions, items.present, strict=True)):
        verdict = evaluate_motion_safety(motion, config, present)
        refused.setdefault(sources[clip], []).append(not verdict.is_safe)
        for issue in verdict.issues if not verdict.is_safe else ():
            named[issue.check] = named.get(issue.check, 0) + 1
        if not verdict.is_safe:
            examples.append({"clip": clip, "caption": items.captions[done], "issues": [issue.check for issue in verdict.issues]})
        else:
            whole = np.asarray(motion, np.float64)
            for fault, plant in FAULTS.items():
                spoiled = evaluate_motion_safety(plant(whole, config, generator(seed, "fault", fault, clip)), config, present)
                caught[fault].append((not spoiled.is_safe, any(issue.check == fault for issue in spoiled.issues)))
        if progress and done % 16 == 15:
            progress("safety critic", done + 1, len(items))
    all_refused = [flag for flags in refused.values() for flag in flags]
    return {
        "real": {"all": _share(all_refused), **{source: _share(flags) for source, flags in sorted(refused.items())}},
        "real_by_check": dict(sorted(named.items())),
        "planted": {fault: {"refused": _share([r for r, _ in flags]), "named": _share([n for _, n in flags])} for fault, flags in caught.items()},
        "refused_examples": examples[:20],
    }  # fmt: skip


def _share(flags: list[bool]) -> dict[str, Any]:
    found: Measure = wilson(sum(flags), len(flags))
    return found.as_json()
