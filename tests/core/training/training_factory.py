"""Factories for training tests: a small corpus of distinct motions with texts, and vectors of those texts."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from stickgen_core.corpus import Clip, Corpus, CorpusWriter
from stickgen_core.records.seeds import generator
from stickgen_core.skeleton.body import JOINT, JOINT_COUNT
from stickgen_core.skeleton.physics import physics_where_present
from stickgen_core.skeleton.sticks import stick_layout, sticks
from stickgen_core.sources.recording import Text
from stickgen_core.training.config import RunConfig, run_config

CONFIGS = Path(__file__).parents[3] / "configs"
FPS = 25.0
REST = generator("rest pose").normal(0, 0.3, (JOINT_COUNT, 3)) + [0, 1.0, 0]
ARMS = ("left", "right")


def arm_raised(frames: int, hertz: float, side: str, phase: float = 0.0, actors: int = 1) -> np.ndarray:
    """[T,A,22,3]: a still body whose one wrist swings up and down at a rate."""
    time = np.arange(frames) / FPS
    joints = np.tile(REST, (frames, actors, 1, 1))
    joints[:, :, JOINT[f"{side}_wrist"], 1] += 0.5 * np.sin(2 * np.pi * hertz * time + phase)[:, None]
    joints[..., 0] += np.arange(actors)[None, :, None]
    return joints


def clip_of(name: str, joints: np.ndarray, text: str, action: int) -> Clip:
    frames, actors = joints.shape[:2]
    present = np.ones((frames, actors), bool)
    motion = sticks(joints, stick_layout("stick20"), 45.0)
    return Clip(
        id=name, source="made", origin=name, joints=joints.astype(np.float32), present=present, joint_source=np.zeros(JOINT_COUNT, np.uint8),
        motion=motion.astype(np.float32), actions=np.full((frames, actors), action, np.int16),
        physics=physics_where_present(motion, present, FPS).astype(np.float32), camera=np.tile(np.float32([0, 1, 1]), (frames, 1)),
        texts=(Text(text, 0.0, frames / FPS, "caption"),) if text else (), source_fps=FPS, window_s=(0.0, frames / FPS), origin_xz_m=(0.0, 0.0),
        yaw_rad=0.0, camera_source="none", licence="made",
    )  # fmt: skip


class WordVectors:
    """A unit vector of each key, drawn from the key alone."""

    def __init__(self, width: int):
        self.width = width

    def vectors(self, keys: list[str]) -> np.ndarray:
        found = np.stack([generator("vector", key).normal(size=self.width) for key in keys]).astype(np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def corpus_of(folder: Path, clips: list[Clip], validation: int = 0, encoder: str | None = None) -> Corpus:
    """A corpus with `split` (the last clips validate) and `text_keys` (the text itself is its key), embedded by `encoder`."""
    with CorpusWriter(folder / "all", shards=folder / "shards", name="made") as writer:
        for clip in clips:
            writer.add(clip)
        corpus = writer.publish()
    held = {clip.id for clip in clips[len(clips) - validation :]}
    split = ["val" if clip_id in held else "train" for clip_id in corpus.ids]
    keys = [[t.text for t in corpus.texts(n)] for n in range(len(corpus))]
    notes = {"encoder_digest": encoder} if encoder else None
    annotations = {"split": pa.array(split), "text_keys": pa.array(keys, pa.list_(pa.string()))}
    return corpus.select(np.arange(len(corpus)), folder / "embedded", "curated/made", "made", annotations=annotations, notes=notes)


def swings(
    folder: Path, count: int = 24, kinds: int = 8, validation: int = 4, frames: tuple[int, int] = (28, 60), encoder: str | None = None
) -> Corpus:
    """Clips of `kinds` texts, each its own rate and arm, of mixed lengths."""
    clips = []
    for n in range(count):
        kind = n % kinds
        draw = generator("swing", n)
        joints = arm_raised(int(draw.integers(*frames)), 0.5 + 0.4 * (kind // 2), ARMS[kind % 2], draw.uniform(0, 6), 1 + n % 2)
        clips.append(clip_of(f"made/{n:03d}", joints, f"text {kind}", kind))
    return corpus_of(folder, clips, validation, encoder)


def tiny_run(*overrides: str, stage: str = "pretrain", variant: str = "small") -> RunConfig:
    return run_config(CONFIGS, "test", variant, stage, ["training.device=cpu", *overrides])
