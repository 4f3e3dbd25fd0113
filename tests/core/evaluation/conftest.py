"""A small corpus whose captions determine its motion: eight actions that differ in which limb swings, how fast, and where it travels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stickgen_core.corpus import Clip, Corpus, CorpusWriter
from stickgen_core.evaluation.config import EvaluationConfig, EvaluatorConfig
from stickgen_core.sources.recording import Text

FPS = 25.0
ACTIONS = ("stands still", "walks slowly", "walks fast", "waves the left hand", "waves the right hand", "bows", "jumps", "sways")
SMALL = EvaluatorConfig(
    width=48, layers=1, decoder_layers=1, heads=4, feedforward=96, steps=160, batch=64, classifier_width=32, classifier_layers=1,
    classifier_steps=240, learning_rate=2e-3, threads=1,
)  # fmt: skip
CONFIG = EvaluationConfig(
    samples=96, repetitions=3, resamples=100, reshuffles=5, evaluator=SMALL, multimodal_prompts=4, multimodal_repeats=3,
    untrained_samples=32, players=2, failures=2, reference_clips=96, set_samples=32, sweep={"samples": 32, "split": "test", "guidance": (1.0,), "steps": (2,)},
)  # fmt: skip
FIGURE = np.array([0, 1.5, 0, 1.75, 0, 1.5, 0, 0.9, -0.2, 1.4, -0.4, 0.9, 0.2, 1.4, 0.4, 0.9, -0.1, 0.03, 0.1, 0.03])


def toy_motion(action: int, frames: int, rng: np.random.Generator) -> np.ndarray:
    """[T, 20] of one of the eight actions with its own size, phase and tempo."""
    time = np.arange(frames) / FPS
    size, phase = rng.uniform(0.8, 1.2), rng.uniform(0, 2 * np.pi)
    swing = size * np.sin(2 * np.pi * rng.uniform(0.9, 1.1) * time + phase)
    motion = np.tile(FIGURE, (frames, 1))
    if action in (1, 2):
        motion[:, 0::2] += ((0.5 if action == 1 else 1.6) * size * time)[:, None]
        motion[:, 16] += 0.2 * swing
        motion[:, 18] -= 0.2 * swing
    elif action in (3, 4):
        end = 10 if action == 3 else 14
        motion[:, end + 1] = 1.9 + 0.05 * swing
        motion[:, end] += 0.25 * swing
    elif action == 5:
        motion[:, 0:6:2] += 0.4 * np.abs(swing)[:, None]
        motion[:, 1] -= 0.3 * np.abs(swing)
        motion[:, 3] -= 0.5 * np.abs(swing)
        motion[:, 5] = motion[:, 1]
    elif action == 6:
        motion[:, 1::2] += 0.4 * np.abs(swing)[:, None]
    elif action == 7:
        motion[:, 0:16:2] += 0.15 * swing[:, None]
    return motion + 0.002 * rng.normal(size=motion.shape)


def toy_clip(number: int, split_width: int = 20) -> Clip:
    rng = np.random.default_rng(number)
    action, frames = number % len(ACTIONS), int(rng.integers(40, 90))
    motion = toy_motion(action, frames, rng)[:, None]
    joints = np.zeros((frames, 1, 22, 3), np.float32)
    joints[..., :2] = motion[..., :2][:, :, None]
    told = (f"a person {ACTIONS[action]}", f"someone {ACTIONS[action]}")
    return Clip(
        id=f"toy/{number:04d}#0", source="toy", origin=f"toy/{number:04d}", joints=joints, present=np.ones((frames, 1), bool),
        joint_source=np.zeros(22, np.uint8), motion=motion.astype(np.float32), actions=np.full((frames, 1), action, np.int16),
        physics=np.zeros((frames, 1, 6), np.float32), camera=np.tile(np.array([0, 1, 1], np.float32), (frames, 1)),
        texts=tuple(Text(t, 0.0, frames / FPS, "caption", 0) for t in told), source_fps=FPS, window_s=(0.0, frames / FPS),
        origin_xz_m=(0.0, 0.0), yaw_rad=0.0, camera_source="none", licence="MIT",
    )  # fmt: skip


@pytest.fixture
def make_motion():
    return toy_motion


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    """480 clips: 384 train, 96 test."""
    root: Path = tmp_path_factory.mktemp("toy")
    with CorpusWriter(root / "canonical", shards=root / "shards", name="canonical/toy", recipe="r") as writer:
        for number in range(480):
            writer.add(toy_clip(number))
        whole = writer.publish({})
    splits = ["test" if int(clip_id[4:8]) // 8 % 5 == 0 else "train" for clip_id in whole.ids]
    return whole.select(np.arange(len(whole)), root / "split", "corpus/toy", "r", annotations={"split": splits})


@pytest.fixture(scope="session")
def config() -> EvaluationConfig:
    return CONFIG


@pytest.fixture(scope="session")
def evaluator(embedded, config, tmp_path_factory):
    from stickgen_core.evaluation.teaching import train_evaluator

    return train_evaluator(embedded[0], config, tmp_path_factory.mktemp("evaluator") / "evaluator")


@pytest.fixture(scope="session")
def embedded(corpus, tmp_path_factory):
    """(corpus with text keys, its vectors) by the encoder that needs no weights."""
    from stickgen_core.text import TextConfig
    from stickgen_core.text.embed import embed
    from stickgen_core.text.encoders import encoder_for
    from stickgen_core.text.vectors import TextVectors

    root = tmp_path_factory.mktemp("embedded")
    settings = TextConfig(encoder="hashing", hashing_width=64)
    made = embed(corpus, settings, root / "vectors", corpus.folder.parent / "embedded", name="corpus/toy_embedded")
    return made, TextVectors.open(root / "vectors" / encoder_for(settings).digest)


@pytest.fixture(scope="session")
def checkpoint(embedded, tmp_path_factory) -> Path:
    """A whole checkpoint of a tiny model whose weights are fresh: the path through the room is what is tested, not the model."""
    from stickgen_core.model.denoiser import build_model
    from stickgen_core.training.checkpoints import BEST, FORMAT, save
    from stickgen_core.training.config import run_config
    from stickgen_core.training.statistics import motion_statistics

    small = ["model.d_model=32", "model.num_layers=1", "model.nhead=2", "model.embedding_dim=64", "model.expected_parameters={}",
             "sampler.diffusion_steps=4"]  # fmt: skip
    run = run_config(Path(__file__).parents[3] / "configs", "test", "small", "pretrain", small)
    torch.manual_seed(0)
    model = build_model(run.model)
    for value in model.parameters():  # branches start at zero, which would make every sample the mean motion
        if value.dim() > 1 and not value.any():
            torch.nn.init.xavier_uniform_(value)
    folder = tmp_path_factory.mktemp("checkpoint") / "small_pretrain"
    folder.mkdir()
    save(folder / BEST, {
        "format": FORMAT, "model_state_dict": model.state_dict(), "ema": {}, "config": run.model_dump(mode="json"), "epoch": 1, "step": 3,
        "statistics": motion_statistics(embedded[0]).to_dict(), "parents": {}, "base": None,
    })  # fmt: skip
    return folder
