"""Eight clips by heart: the clean motion to a thousandth of its variance, and samples that are those clips."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stickgen_core.model.config import SamplerConfig
from stickgen_core.model.denoiser import Conditions
from stickgen_core.model.normalise import Normaliser
from stickgen_core.model.paths import noised
from stickgen_core.model.sampler import sample
from stickgen_core.records.seeds import generator
from stickgen_core.training.checkpoints import load_model
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics
from tests.core.training.training_factory import ARMS, WordVectors, arm_raised, clip_of, corpus_of, tiny_run

torch.set_num_threads(1)
CLIPS, FRAMES, STEPS = 8, 48, 800
RUN = (
    "model.d_model=128", "model.num_layers=4", "model.nhead=4", "model.dropout=0.0", "training.batch_size=8", f"training.steps={STEPS}",
    "training.warmup_steps=20", "training.learning_rate=0.002", "training.ema_decay=0.98", "training.validate_every_steps=800",
    "training.save_every_steps=800", "training.log_every_steps=100", "objective.text_dropout=0.0", "objective.action_dropout=1.0",
    "objective.camera_dropout=0.0",
)  # fmt: skip


def learned_by_heart(folder: Path) -> dict[str, float]:
    """Pose error of the clean prediction by time, of twenty-step samples, and the share of samples whose nearest clip is their own."""
    clips = [
        clip_of(f"made/{n}", arm_raised(FRAMES, 0.5 + 0.2 * n, ARMS[n % 2], generator("overfit", n).uniform(0, 6)), f"text {n}", n) for n in range(CLIPS)
    ]  # fmt: skip
    corpus, vectors = corpus_of(folder, clips), WordVectors(64)
    train(tiny_run(*RUN), corpus, vectors, motion_statistics(corpus), folder / "run")
    model, run, statistics, _ = load_model(folder / "run")
    motion = Normaliser(statistics).motion(torch.from_numpy(np.stack([clip.motion for clip in clips])))
    text = torch.from_numpy(vectors.vectors([f"text {n}" for n in range(CLIPS)]))
    camera = torch.tensor([0.0, 1.0, 1.0]).expand(CLIPS, FRAMES, 3)
    told = Conditions(text, torch.ones(CLIPS, dtype=torch.bool), camera=camera)
    noise = torch.from_numpy(generator("overfit noise").standard_normal(motion.shape, dtype=np.float32))
    found = {}
    with torch.no_grad():
        for t in (0.1, 0.3, 0.5, 0.9):
            time = torch.full((CLIPS,), t)
            clean = model(noised(run.objective.path, motion, noise, time), time, told).motion
            found[f"pose at {t}"] = float((clean - motion).square().mean())
    settings = SamplerConfig(use_diffusion=True, diffusion_steps=20, method="euler", guidance=1.0)
    drawn = sample(model, run.objective, settings, told, noise)
    apart = (drawn[:, None] - motion[None]).square().flatten(2).mean(-1)
    found["sampled"] = float(apart.diagonal().mean())
    found["own"] = float((apart.argmin(1) == torch.arange(CLIPS)).float().mean())
    return found


@pytest.mark.slow
def test_eight_clips_are_learned_by_heart_and_sampled(tmp_path: Path) -> None:
    found = learned_by_heart(tmp_path)
    assert all(value < 1e-3 for name, value in found.items() if name.startswith("pose")), found
    assert found["own"] == 1.0 and found["sampled"] < 1e-2, found


if __name__ == "__main__":
    import tempfile
    import time

    with tempfile.TemporaryDirectory() as scratch:
        began = time.process_time()
        print(learned_by_heart(Path(scratch)), f"{time.process_time() - began:.0f} CPU-s")
