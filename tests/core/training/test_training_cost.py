"""Cost before spending: a run that would take too long is refused before its first step, and measuring changes nothing."""

from pathlib import Path

import pytest
import torch

from stickgen_core.errors import StickgenError
from stickgen_core.training import checkpoints
from stickgen_core.training.cost import Budget, StepCost, estimate, measure_step
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics
from tests.core.training.training_factory import WordVectors, swings, tiny_run

torch.set_num_threads(1)


def test_hours_and_money_over_their_limits_are_refused() -> None:
    run, step = tiny_run("training.checkpoint_every_epochs=10"), StepCost(0.5, 3e6)
    found = estimate(run, 7200, step, 1_000_000, 2_000_000, steps_per_epoch=72, budget=Budget(3.0, 3.1))
    assert (found.hours, found.money, found.checkpoint_mb, found.state_mb, found.activations_mb) == (1.0, 3.0, 16.0, 24.0, 3.0)
    assert found.disk_mb == (3 + 10) * 16.0 + 8.0, "newest, the one before, best, ten periodic ones, and the release file"
    with pytest.raises(StickgenError, match="max_train_hours is 0.9"):
        estimate(tiny_run("training.max_train_hours=0.9"), 7200, step, 1, 1)
    with pytest.raises(StickgenError, match="cost.budget is 2"):
        estimate(run, 7200, step, 1, 1, budget=Budget(3.0, 2.0))


def test_a_longer_batch_costs_more_and_global_draws_are_left_alone() -> None:
    cpu, state = torch.device("cpu"), torch.get_rng_state()
    few, many = (measure_step(tiny_run(f"training.batch_size={size}"), 50, 1, cpu) for size in (1, 512))
    assert 0 < few.seconds < many.seconds and 0 < few.activation_bytes < many.activation_bytes
    assert measure_step(tiny_run("data.use_parallax_augmentation=true", "data.parallax_image_size=[16,16]"), 50, 1, cpu).seconds > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_a_run_over_max_train_hours_is_refused_before_its_first_step(tmp_path: Path) -> None:
    corpus, vectors = swings(tmp_path), WordVectors(64)
    statistics = motion_statistics(corpus)
    with pytest.raises(StickgenError, match="training.max_train_hours is 1e-09; raise it"):
        train(tiny_run("training.max_train_hours=1e-9"), corpus, vectors, statistics, tmp_path / "refused")
    assert not (tmp_path / "refused").exists() and not list(tmp_path.glob("refused.training/*.pth"))
    free = train(tiny_run(), corpus, vectors, statistics, tmp_path / "free")
    limited = train(tiny_run("training.max_train_hours=1"), corpus, vectors, statistics, tmp_path / "limited")
    assert free.manifest.digest == limited.manifest.digest, "measuring does not change what is trained"
    assert checkpoints.read(limited.folder / checkpoints.BEST)["recipe"] == checkpoints.read(free.folder / checkpoints.BEST)["recipe"]


def test_a_checkpoint_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    corpus = swings(tmp_path)
    done = train(tiny_run(), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    payload = checkpoints.read(done.folder / checkpoints.BEST)
    payload["config"]["training"].pop("tolerance")
    checkpoints.save(tmp_path / "old.pth", payload)
    assert checkpoints.load_model(tmp_path / "old.pth")[3]["weights_digest"] == done.manifest.digest, "a newer key has a default"
    payload["config"]["training"]["unheard_of"] = 1
    checkpoints.save(tmp_path / "odd.pth", payload)
    with pytest.raises(StickgenError, match="unheard_of"):
        checkpoints.load_model(tmp_path / "odd.pth")
