"""One recording to its clips: the canonical space and time, sticks, physics, camera; float64 until one cast at the end."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.canonical.space import Placement, ground_height, placed_at_origin, placement_of, to_y_up
from stickgen_core.canonical.time import EPSILON_S, actions_within, resample, resample_people, sample_times, takes, texts_within, windows
from stickgen_core.corpus.clip import Clip
from stickgen_core.corpus.ledger import LedgerRow
from stickgen_core.errors import BadRecording
from stickgen_core.skeleton.body import JOINT, JOINT_COUNT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.physics import physics_where_present
from stickgen_core.skeleton.sticks import project, stick_layout, sticks
from stickgen_core.sources.recording import Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.templates import with_subject

# View of a clip without a camera: centre at (0, 1) m, 2 m of visible height.
STILL_CAMERA = (0.0, 1.0, 1.0)


@dataclass(frozen=True)
class _Take:
    """A take at the clip's rate: joints [T, A, 22, 3] Y up on the ground, present [T, A], seconds of the recording at each frame."""

    joints: np.ndarray
    present: np.ndarray
    camera: np.ndarray | None
    azimuth: np.ndarray | None
    start_s: float
    fps: float

    def seconds(self, frame: int) -> float:
        return self.start_s + frame / self.fps


def clips_of(recording: Recording, spec: SourceSpec, config: CanonicalConfig, skeleton: SkeletonConfig) -> Iterator[Clip | LedgerRow]:
    """The clips of a recording, and a ledger row for each window that makes none; raises BadRecording."""
    check_recording(recording, config)
    joints = to_y_up(np.asarray(recording.joints, np.float64), spec.axes)
    joints = joints.copy() if recording.present.all() else np.where(recording.present[:, :, None, None], joints, 0.0)
    ground = ground_height(joints, recording.present, config.ground_percentile)
    joints[..., 1] -= ground
    window = 0
    for start, stop in takes(len(joints), recording.cuts):
        take = _take(recording, joints, ground, start, stop, config)
        for first, last in windows(len(take.joints), config.max_frames):
            yield _clip(recording, take, first, last, str(window), spec, config, skeleton)
            window += 1
        for first, last in caption_spans(recording.texts, take.start_s, len(take.joints), config):
            name = f"{take.seconds(first):.2f}-{take.seconds(last):.2f}s"
            yield _clip(recording, take, first, last, name, spec, config, skeleton)


def check_recording(recording: Recording, config: CanonicalConfig) -> None:
    """Raise BadRecording unless the arrays and the rate are usable."""
    joints, present, fps = recording.joints, recording.present, recording.fps
    if joints.ndim != 4 or joints.shape[2:] != (JOINT_COUNT, 3) or present.shape != joints.shape[:2]:
        raise BadRecording(
            "wrong_shape", f"expected joints [T, A, {JOINT_COUNT}, 3] and present [T, A], found {joints.shape} and {present.shape}"
        )
    if not len(joints) or not present.any():
        raise BadRecording("empty", f"{len(joints)} frames, nobody in them")
    if not (math.isfinite(fps) and config.min_rate_hz <= fps <= config.max_rate_hz):
        raise BadRecording("bad_rate", f"expected {config.min_rate_hz:g} to {config.max_rate_hz:g} Hz, found {fps:g}")
    seen = joints.reshape(-1, JOINT_COUNT, 3) if present.all() else joints[present]
    extent = float(np.abs(seen - seen[0, JOINT["pelvis"]]).max())
    if not math.isfinite(extent):
        raise BadRecording("non_finite", f"{int((~np.isfinite(seen)).any((1, 2)).sum())} of {len(seen)} person-frames hold NaN or infinity")
    if extent > config.max_extent_m:
        raise BadRecording(
            "too_large", f"a joint lies {extent:.0f} m from the first pelvis; expected metres, at most {config.max_extent_m:g}"
        )


def _take(recording: Recording, joints: np.ndarray, ground: float, start: int, stop: int, config: CanonicalConfig) -> _Take:
    rate = recording.fps
    times = sample_times(stop - start, rate, config.fps)
    moved, there = resample_people(joints[start:stop], recording.present[start:stop], rate, times)
    camera = azimuth = None
    if recording.camera is not None:
        camera = resample(np.asarray(recording.camera[start:stop], np.float64), rate, times)
        camera[:, 1] -= ground
    if recording.azimuth_rad is not None:
        azimuth = resample(np.asarray(recording.azimuth_rad[start:stop], np.float64), rate, times)
    return _Take(moved, there, camera, azimuth, start / rate, config.fps)


def caption_spans(texts: Sequence[Text], start_s: float, frames: int, config: CanonicalConfig) -> list[tuple[int, int]]:
    """Frame ranges of a take that a caption of its own describes, each once; not those that are (nearly) the whole take."""
    found = set()
    for text in texts:
        if text.kind != "caption":
            continue
        first = max(0, round((text.start_s - start_s) * config.fps))
        last = min(frames, round((text.end_s - start_s) * config.fps))
        long_enough = last - first >= config.span_min_s * config.fps - EPSILON_S
        if long_enough and last - first < config.text_min_share * frames:
            edges = [(first + a, first + b) for a, b in windows(last - first, config.max_frames)]
            found.update(edges)
    return sorted(found)


def _clip(recording: Recording, take: _Take, first: int, last: int, window: str, spec: SourceSpec, config: CanonicalConfig,
          skeleton: SkeletonConfig) -> Clip | LedgerRow:  # fmt: skip
    clip_id = f"{spec.name}/{recording.key}#{window}"
    if last - first < config.min_frames:
        return LedgerRow(recording.key, clip_id, "window", "too_short", f"{last - first} frames at {config.fps:g} fps",
                         float(last - first), float(config.min_frames), recording.file)  # fmt: skip
    present = take.present[first:last]
    whole = bool(present.all())
    actors = list(range(present.shape[1])) if whole and len(recording.people) == 1 else _order(present, recording.people)
    if not actors:
        return LedgerRow(recording.key, clip_id, "window", "nobody", "no person in any frame", 0.0, 1.0, recording.file)
    joints = take.joints[first:last]
    if actors != list(range(present.shape[1])):
        present, joints = present[:, actors], joints[:, actors]
    placement = placement_of(joints, present, config.heading_min_share)
    joints = placed_at_origin(joints, placement)
    layout = stick_layout(config=skeleton)
    motion = sticks(joints, layout, skeleton.azimuth_deg)
    if not whole:
        joints, motion = np.where(present[:, :, None, None], joints, 0.0), np.where(present[:, :, None], motion, 0.0)
    start_s, end_s = take.seconds(first), take.seconds(last)
    return Clip(
        id=clip_id, source=spec.name, origin=recording.origin,
        joints=joints.astype(np.float32), present=present, joint_source=np.asarray(recording.joint_source, np.uint8),
        motion=motion.astype(np.float32),
        actions=actions_within(recording.labels, start_s + np.arange(last - first) / config.fps, present, actors),
        physics=physics_where_present(motion, present, config.fps, layout).astype(np.float32),
        camera=_camera(take, first, last, placement, skeleton.azimuth_deg),
        texts=tuple(with_subject(text, clip_id) for text in texts_within(recording.texts, start_s, end_s, config.text_min_share, actors)),
        source_fps=float(recording.fps), window_s=(round(start_s, 6), round(end_s, 6)),
        origin_xz_m=placement.origin_xz_m, yaw_rad=placement.yaw_rad, camera_source=_camera_source(take, spec),
        licence=spec.licence.name, official_split=recording.official_split, protocol=recording.protocol,
        extra=_extra(recording, take, first, last, actors),
    )  # fmt: skip


def _order(present: np.ndarray, people: Sequence[str]) -> list[int]:
    """People of a window by first appearance in it, then source id; those who never appear are left out."""
    seen = [actor for actor in range(present.shape[1]) if present[:, actor].any()]
    return sorted(seen, key=lambda actor: (int(np.argmax(present[:, actor])), people[actor]))


def _camera(take: _Take, first: int, last: int, placement: Placement, azimuth_deg: float) -> np.ndarray:
    """[T, 3] f32; a measured view keeps its distance from where actor 0 starts, as the body is moved to the origin."""
    if take.camera is None:
        still = np.empty((last - first, 3), np.float32)
        still[:] = STILL_CAMERA
        return still
    x, z = placement.origin_xz_m
    origin_u = float(project(np.array([x, 0.0, z]), azimuth_deg)[0])
    return (take.camera[first:last] - np.array([origin_u, 0.0, 0.0])).astype(np.float32)


def _camera_source(take: _Take, spec: SourceSpec) -> str:
    if take.camera is None:
        return "none"
    return "synthetic" if spec.kind == "synthetic" else "measured"


def _extra(recording: Recording, take: _Take, first: int, last: int, actors: Sequence[int]) -> dict[str, object]:
    extra: dict[str, object] = dict(recording.extra)
    if len(recording.people) > 1:
        extra["people"] = [recording.people[actor] for actor in actors]
    if take.azimuth is not None:
        extra["azimuth_rad"] = [round(float(value), 5) for value in take.azimuth[first:last]]
    return extra
