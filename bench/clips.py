"""Clips for benches and tests: plausible shapes and sizes, every value drawn from the clip's own name."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from stickgen_core.corpus import Clip
from stickgen_core.records.seeds import generator
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.sources.recording import Text

FPS = 25.0
ACTION_COUNT = 64


def random_clip(number: int, *, source: str = "made", frames: int | None = None, actors: int = 1, width: int = 20, **changes: Any) -> Clip:
    """Smooth random motion; the same number gives the same clip. `changes` replace fields of the result."""
    draw = generator("bench clip", source, number)
    frames = frames or int(draw.integers(25, 300))
    time = np.arange(frames)[:, None, None] / FPS

    def waves(values: int) -> np.ndarray:
        phases, rates = draw.uniform(0, math.tau, (1, actors, values)), draw.uniform(0.2, 2.0, (1, actors, values))
        return (np.sin(math.tau * rates * time + phases) * 0.5 + draw.normal(0, 2e-4, (frames, actors, values))).astype(np.float32)

    clip = Clip(
        id=f"{source}/{number:06d}#0", source=source, origin=f"{source}/{number // 2:06d}",
        joints=waves(JOINT_COUNT * 3).reshape(frames, actors, JOINT_COUNT, 3), present=np.ones((frames, actors), bool),
        joint_source=np.zeros(JOINT_COUNT, np.uint8), motion=waves(width), physics=waves(6), camera=waves(3)[:, 0],
        actions=np.full((frames, actors), number % ACTION_COUNT, np.int16),
        texts=tuple(Text(f"person {number} does thing {n}, número {n}", 0.0, frames / FPS, "caption") for n in range(number % 3)),
        source_fps=30.0, window_s=(0.0, frames / FPS), origin_xz_m=(0.1 * number, -0.2), yaw_rad=0.3, camera_source="none", licence="CC0-1.0",
        extra={"number": number},
    )  # fmt: skip
    return replace(clip, **changes)


def random_clips(count: int, **kwargs: Any) -> Iterator[Clip]:
    """Clips 0 to count − 1, one in sixteen with two people."""
    return (random_clip(number, actors=2 if number % 16 == 5 else 1, **kwargs) for number in range(count))
