"""Time of the canonical clip: resampling by time within takes, equal windows, texts and actions that travel with time."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from stickgen_core.sources.recording import Label, Text

# Slack for comparing times that are sums of binary fractions; far below a frame of any rate.
EPSILON_S = 1e-6


def takes(frames: int, cuts: Sequence[int]) -> list[tuple[int, int]]:
    """Frame ranges [start, stop) between cuts."""
    edges = sorted({0, frames, *(cut for cut in cuts if 0 < cut < frames)})
    return list(zip(edges[:-1], edges[1:], strict=True))


def sample_times(frames: int, rate: float, fps: float) -> np.ndarray:
    """Times (s) of the samples at `fps` that lie within the first and last of `frames` frames at `rate`."""
    count = math.floor((frames - 1) / rate * fps + EPSILON_S) + 1
    return np.arange(count) / fps


def resample(values: np.ndarray, rate: float, times: np.ndarray) -> np.ndarray:
    """Linear in time: [T, ...] at `rate` -> [len(times), ...]."""
    low, share = _brackets(len(values), rate, times)
    high = np.minimum(low + 1, len(values) - 1)
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    before, after = values.take(low, axis=0), values.take(high, axis=0)
    before *= 1 - share
    after *= share
    before += after
    return before


def resample_people(joints: np.ndarray, present: np.ndarray, rate: float, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[T, A, 22, 3], [T, A] -> the same at `times`: a person is there if the nearest frame has them, and is never
    interpolated towards a frame that does not."""
    if present.all():
        return resample(joints, rate, times), np.ones((len(times), joints.shape[1]), bool)
    low, share = _brackets(len(joints), rate, times)
    high = np.minimum(low + 1, len(joints) - 1)
    weight = np.broadcast_to(share[:, None], (len(times), joints.shape[1]))
    weight = np.where(present[low] & present[high], weight, np.where(weight < 0.5, 0.0, 1.0))
    there = np.where(weight < 0.5, present[low], present[high])
    weight = weight[:, :, None, None]
    moved = joints[low] * (1 - weight) + joints[high] * weight
    return np.where(there[:, :, None, None], moved, 0.0), there


def _brackets(frames: int, rate: float, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frame before each time, and how far to the next one it lies; a time on a frame takes that frame exactly."""
    position = times * rate
    nearest = np.rint(position)
    position = np.where(np.abs(position - nearest) < EPSILON_S * rate, nearest, position)
    position = np.clip(position, 0, frames - 1)
    low = np.floor(position).astype(np.int64)
    return low, position - low


def windows(frames: int, max_frames: int) -> Iterator[tuple[int, int]]:
    """ceil(T / max) equal consecutive ranges [start, stop)."""
    count = max(1, -(-frames // max_frames))
    edges = [round(index * frames / count) for index in range(count + 1)]
    yield from zip(edges[:-1], edges[1:], strict=True)


def texts_within(texts: Sequence[Text], start_s: float, end_s: float, min_share: float, actors: Sequence[int]) -> tuple[Text, ...]:
    """Texts that a window inherits, in its own seconds: nearly all of the text lies in it, or the text covers nearly all of it.

    actors   the recording's people that the window keeps, in the window's order
    """
    kept = []
    for text in texts:
        overlap = min(text.end_s, end_s) - max(text.start_s, start_s)
        enough = min_share * min(text.end_s - text.start_s, end_s - start_s) - EPSILON_S
        if overlap <= 0 or overlap < enough or (text.actor is not None and text.actor not in actors):
            continue
        begin, finish = max(text.start_s, start_s) - start_s, min(text.end_s, end_s) - start_s
        actor = None if text.actor is None else list(actors).index(text.actor)
        kept.append(Text(text.text, round(begin, 6), round(finish, 6), text.kind, actor))
    return tuple(kept)


def actions_within(labels: Sequence[Label], times: np.ndarray, present: np.ndarray, actors: Sequence[int]) -> np.ndarray:
    """[T, A] int16 of action ids at `times` (recording's seconds); -1 where nothing is known or nobody is there."""
    track = np.full(present.shape, -1, np.int16)
    for label in labels:
        if label.actor in actors:
            frames = (times >= label.start_s - EPSILON_S) & (times < label.end_s - EPSILON_S)
            track[frames, list(actors).index(label.actor)] = label.action
    track[~present] = -1
    return track
