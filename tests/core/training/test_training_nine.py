"""The nine documented checkpoints at their documented sizes: each takes two steps, is saved, interrupted, resumed, loaded and sampled."""

import shutil
from pathlib import Path

import pytest
import torch

from stickgen_core.model.denoiser import Conditions
from stickgen_core.model.sampler import sample
from stickgen_core.training import checkpoints
from stickgen_core.training.config import STAGES, VARIANTS, RunConfig, run_config
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics
from tests.core.training.training_factory import CONFIGS, WordVectors, swings

torch.set_num_threads(1)
DOCUMENTED = {"small": 7_249_754, "medium": 20_596_378, "large": 44_620_250}


def two_steps(variant: str, stage: str) -> RunConfig:
    return run_config(
        CONFIGS, "full", variant, stage,
        ["training.device=cpu", "training.steps=2", "training.warmup_steps=1", "training.batch_size=2", "training.grad_accumulation_steps=1",
         "training.save_every_steps=1", "training.validation_clips=2", "training.num_workers=0", "sampler.diffusion_steps=2"],
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_documented_chain_steps_saves_resumes_and_samples(tmp_path: Path, variant: str) -> None:
    corpus, vectors = swings(tmp_path, 6, validation=2), WordVectors(1024)
    parent = None
    for stage in STAGES:
        run, out = two_steps(variant, stage), tmp_path / f"{variant}_{stage}"
        statistics = motion_statistics(corpus) if parent is None else None
        paused = train(run, corpus, vectors, statistics, out, init_from=parent, max_steps=1)
        assert (paused.stopped, paused.step) == ("paused", 1)
        done = train(run, corpus, vectors, statistics, out, init_from=parent)
        assert (done.stopped, done.step) == ("finished", 2)
        model, loaded, *_ = checkpoints.load_model(out)
        assert sum(p.numel() for p in model.parameters()) == DOCUMENTED[variant] and loaded.hash == run.hash
        told = Conditions(torch.from_numpy(vectors.vectors(["a"])), torch.ones(1, dtype=torch.bool))
        motion = sample(model, loaded.objective, loaded.sampler, told, torch.randn(1, 30, 1, 20))
        assert motion.shape == (1, 30, 1, 20) and bool(motion.isfinite().all())
        payload = checkpoints.read(out / checkpoints.LATEST)
        assert payload["optimizer_state_dict"]["state"] and payload["step"] == 2
        if parent is not None and stage == "sft":
            shutil.rmtree(parent)
        parent = out
