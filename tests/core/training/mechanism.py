"""The mechanism experiment: eight texts, eight motions that differ in rate and arm; does sampled motion obey the text?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stickgen_core.model.config import SamplerConfig
from stickgen_core.model.denoiser import Conditions
from stickgen_core.model.normalise import Normaliser
from stickgen_core.model.sampler import sample
from stickgen_core.records.seeds import generator
from stickgen_core.training.checkpoints import load_model
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics
from tests.core.training.training_factory import ARMS, FPS, WordVectors, arm_raised, clip_of, corpus_of, tiny_run

KINDS, FRAMES, WIDTH = 8, 64, 384
SIZES = (
    "model.d_model=128", "model.num_layers=4", "model.nhead=4", f"model.embedding_dim={WIDTH}", "model.dropout=0.0", "training.batch_size=32",
    "training.warmup_steps=20", "training.learning_rate=0.001", "training.ema_decay=0.98", "training.validation_clips=32",
    "training.validate_every_steps=1000", "training.save_every_steps=1000", "training.log_every_steps=100", "data.token_budget=4096",
    "lora.rank=4",
)  # fmt: skip


@dataclass(frozen=True)
class Obeyed:
    """Shares of samples whose rate and arm, and whose arm alone, are the text's; motion energy and jerk over the real ones."""

    both: float
    arm: float
    energy: float
    jerk: float


def kind_of(kind: int) -> tuple[float, str]:
    """(rate in hertz, arm)."""
    return 0.5 + 0.6 * (kind // 2), ARMS[kind % 2]


def experiment(
    folder: Path, steps: int, *overrides: str, shuffled: bool = False, guidance: tuple[float, ...] = (1.0, 2.5),
    stopping: Callable[[], bool] | None = None,
) -> dict[float, Obeyed]:  # fmt: skip
    """What samples obey after so many steps, by guidance; nothing yet where `stopping` ended the call, and asking again goes on."""
    clips = []
    for n in range(256):
        hertz, arm = kind_of(n % KINDS)
        said = int(generator("shuffle", n).integers(KINDS)) if shuffled else n % KINDS
        joints = arm_raised(FRAMES, hertz, arm, generator("phase", n).uniform(0, 2 * np.pi))
        clips.append(clip_of(f"made/{n:03d}", joints, f"text {said}", n % KINDS))
    corpus, vectors = corpus_of(folder, clips, 32), WordVectors(WIDTH)
    run = tiny_run(*SIZES, f"training.steps={steps}", *overrides)
    done = train(run, corpus, vectors, motion_statistics(corpus), folder / "checkpoint", stopping=stopping)
    if done.stopped == "terminated":
        print(f"paused at step {done.step} of {done.total_steps}")
        return {}
    model, run, statistics, _ = load_model(folder / "checkpoint")
    real = np.stack([clip.motion[:, 0] for clip in clips]).astype(np.float64)
    found = {}
    for scale in guidance:
        wanted = np.repeat(np.arange(KINDS), 8)
        text = torch.from_numpy(vectors.vectors([f"text {k}" for k in wanted]))
        noise = torch.from_numpy(generator("mechanism noise").standard_normal((len(wanted), FRAMES, 1, 20), dtype=np.float32))
        camera = torch.tensor([0.0, 1.0, 1.0]).expand(len(wanted), FRAMES, 3)
        conditions = Conditions(text, torch.ones(len(wanted), dtype=torch.bool), camera=camera)
        settings = SamplerConfig(use_diffusion=True, diffusion_steps=20, method="euler", guidance=scale)
        motion = Normaliser(statistics).metres(sample(model, run.objective, settings, conditions, noise))[:, :, 0].double().numpy()
        found[scale] = _judged(motion, wanted, real)
    return found


def _judged(motion: np.ndarray, wanted: np.ndarray, real: np.ndarray) -> Obeyed:
    """Rate and arm read from the wrists' height: columns 11 and 15 of stick20 are the v of the left and right wrist."""
    wrists = motion[:, :, [11, 15]]
    strength = wrists.std(1)
    arm = strength.argmax(1)
    moving = np.take_along_axis(wrists, arm[:, None, None], 2)[..., 0]
    time = np.arange(FRAMES) / FPS
    rates = [0.5 + 0.6 * n for n in range(KINDS // 2)]
    power = np.stack([_explained(moving, hertz, time) for hertz in rates], 1)
    right_arm = arm == wanted % 2
    right_rate = power.argmax(1) == wanted // 2
    return Obeyed(float((right_arm & right_rate).mean()), float(right_arm.mean()), _ratio(motion, real, 1), _ratio(motion, real, 3))


def _explained(values: np.ndarray, hertz: float, time: np.ndarray) -> np.ndarray:
    """Share of each row's variance that a sinusoid of this rate explains."""
    basis = np.stack([np.sin(2 * np.pi * hertz * time), np.cos(2 * np.pi * hertz * time), np.ones_like(time)], 1)
    solution = np.linalg.lstsq(basis, values.T, rcond=None)[0]
    return 1 - (values.T - basis @ solution).var(0) / values.T.var(0)


def _ratio(motion: np.ndarray, real: np.ndarray, order: int) -> float:
    return float(np.abs(np.diff(motion, n=order, axis=1)).mean() / np.abs(np.diff(real, n=order, axis=1)).mean())


if __name__ == "__main__":
    import argparse
    import tempfile
    import time

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", type=int)
    parser.add_argument("--shuffled", action="store_true", help="the control: texts that say nothing of the motion")
    parser.add_argument("--folder", type=Path, help="keep the run here, so that the same command goes on with it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of the processor, after which the run pauses")
    parser.add_argument("overrides", nargs="*")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        began = time.process_time()
        found = experiment(
            chosen.folder or Path(scratch), chosen.steps, *chosen.overrides, shuffled=chosen.shuffled,
            stopping=lambda: time.process_time() - began > chosen.seconds,
        )  # fmt: skip
        for scale, obeyed in found.items():
            print(f"guidance {scale}: {obeyed}")
        print(f"{chosen.steps} steps, {time.process_time() - began:.0f} CPU-s in this call")
