"""Batches: the order, the draws, the counts; the objective's terms; several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stickgen_core.model.denoiser import Prediction
from stickgen_core.model.losses import temporal_error
from stickgen_core.model.normalise import Normaliser, relative
from stickgen_core.model.objective import TERMS, Objective
from stickgen_core.model.paths import draw_time
from stickgen_core.records.seeds import generator
from stickgen_core.training.batches import Batches, conditions_of, epoch_order, micro_batches, target_of
from stickgen_core.training.clips import Clips
from stickgen_core.training.schedule import learning_rate, schedule
from stickgen_core.training.statistics import motion_statistics
from tests.core.training.training_factory import WordVectors, swings, tiny_run

torch.set_num_threads(1)


def batches_of(folder: Path, *overrides: str, count: int = 24, **how: int) -> Batches:
    corpus, run = swings(folder, count), tiny_run(*overrides)
    clips = Clips(corpus, "train", WordVectors(64), motion_statistics(corpus), run.data, 64)
    return Batches(clips, run.objective, 42, run.training.effective_batch, **how)


def test_an_epoch_shows_every_clip_in_steps_of_exact_size() -> None:
    lengths = np.random.default_rng(0).integers(25, 500, 103)
    steps = epoch_order(1, 0, lengths, 16, 3)
    assert {len(step) for step in steps} == {16}
    assert set(np.concatenate(steps)) == set(range(103))
    assert len(np.concatenate(steps)) == 112


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = np.arange(64)
    same = [np.concatenate(epoch_order(seed, epoch, lengths, 8, 4)).tolist() for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))]
    assert same[0] == same[1] and same[0] != same[2] and same[0] != same[3]


def test_bucketing_wastes_far_less_than_padding_to_the_batch_maximum() -> None:
    lengths = np.random.default_rng(0).integers(25, 500, 2048)

    def useful(steps: list[np.ndarray]) -> float:
        return lengths.sum() / sum(lengths[step].max() * len(step) for step in steps)

    assert useful(epoch_order(1, 0, lengths, 16, 50)) > 1.5 * useful(epoch_order(1, 0, lengths, 16, 1))


def test_micro_batches_stay_within_the_budget_and_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    frames, actors = rng.integers(25, 300, 50), rng.integers(1, 3, 50)
    parts = micro_batches(frames, actors, 2000)
    assert sorted(np.concatenate(parts)) == list(range(50))
    assert all(len(p) == 1 or len(p) * frames[p].max() * actors[p].max() <= 2000 for p in parts)


def test_draws_do_not_depend_on_micro_batches_or_processes(tmp_path: Path) -> None:
    def drawn(step):
        return {
            clip: (
                m.batch.motion[n, : m.batch.frames[n]],
                m.draws.noise[n, : m.batch.frames[n]],
                float(m.draws.time[n]),
                bool(m.draws.hide_text[n]),
            )
            for m in step.micros
            for n, clip in enumerate(m.batch.clip_ids)
        }

    one = batches_of(tmp_path, "data.token_budget=100000")
    many = batches_of(tmp_path, "data.token_budget=200")
    plan = one.plan(3)[1]
    a, b = one.step(3, 1, plan), many.step(3, 1, plan)
    assert a.counts == b.counts and len(a.micros) < len(b.micros)
    shared = {}
    for rank in range(2):
        shared |= drawn(batches_of(tmp_path, "data.token_budget=200", rank=rank, world=2).step(3, 1, plan))
    for clip, (motion, noise, time, hide) in drawn(a).items():
        for other in (drawn(b), shared):
            people = min(noise.shape[1], other[clip][1].shape[1])
            assert torch.equal(noise[:, :people], other[clip][1][:, :people]) and torch.equal(
                motion[:, :people], other[clip][0][:, :people]
            )
            assert (time, hide) == other[clip][2:]


@pytest.mark.parametrize(("count", "repeats"), [(20, False), (13, True)])
def test_a_clip_is_noised_by_its_seed_alone_and_anew_where_a_step_repeats_it(tmp_path: Path, count: int, repeats: bool) -> None:
    batches = batches_of(tmp_path, "data.token_budget=200", count=count)
    repeated = False
    for index, positions in enumerate(batches.plan(0)):
        micros = batches.step(0, index, positions).micros
        ids = [clip for m in micros for clip in m.batch.clip_ids]
        noises = [m.draws.noise[n][m.batch.valid[n]].numpy() for m in micros for n in range(len(m.batch.clip_ids))]
        times = torch.cat([m.draws.time for m in micros])
        assert len({noise.tobytes() for noise in noises}) == len(set(times.tolist())) == len(ids) == 8
        repeated |= len(set(ids)) < 8
        for clip in set(ids):
            own = generator(42, "train", "noise", 0, clip)
            time = draw_time(torch.tensor([own.standard_normal()], dtype=torch.float64), batches.objective).float()
            row = next(n for n, other in enumerate(ids) if other == clip and times[n] == time)
            np.testing.assert_array_equal(noises[row], own.standard_normal(noises[row].shape, dtype=np.float32))
    assert repeated == repeats


def test_each_clip_carries_its_own_text(tmp_path: Path) -> None:
    batches = batches_of(tmp_path)
    for positions in batches.plan(0):
        for micro in batches.step(0, 0, positions).micros:
            for n, clip in enumerate(micro.batch.clip_ids):
                own = WordVectors(64).vectors([f"text {int(clip.split('/')[1]) % 8}"])[0]
                np.testing.assert_array_equal(micro.batch.text[n].numpy(), own)


def test_prefetching_gives_the_same_steps_from_any_position(tmp_path: Path) -> None:
    batches = batches_of(tmp_path)
    plain, threaded = batches.stream(0, 1), batches.prefetched(0, 1, 2, 2)
    for _ in range(5):
        a, b = next(plain), next(threaded)
        assert (a.epoch, a.index, a.clip_ids) == (b.epoch, b.index, b.clip_ids)
    threaded.close()


def test_normalising_is_undone(tmp_path: Path) -> None:
    corpus = swings(tmp_path)
    normaliser = Normaliser(motion_statistics(corpus))
    motion = torch.from_numpy(np.array(corpus.arrays(0, "motion")["motion"]))
    torch.testing.assert_close(normaliser.metres(normaliser.motion(motion)), motion, atol=1e-5, rtol=1e-5)
    shifted = motion + torch.tensor([3.0, 0.0] * 10)
    moved, still = relative(shifted), relative(motion)
    assert (moved - still).abs().sum(-1).max() == pytest.approx(3.0, abs=1e-4), "travel stands in the pelvis alone"


class Oracle(torch.nn.Module):
    """Answers what it is told to."""

    def __init__(self, motion: torch.Tensor, physics: torch.Tensor, actions: torch.Tensor):
        super().__init__()
        self.answer = Prediction(motion, physics, actions, motion)

    def forward(self, *_: object) -> Prediction:
        return self.answer


def test_the_truth_costs_nothing_and_the_mean_costs_one(tmp_path: Path) -> None:
    """On all training clips at once, every time counting alike: then the mean motion's error is the data's own variance, exactly."""
    every = 28
    corpus = swings(tmp_path, count=32)
    run = tiny_run(
        f"training.batch_size={every}", "data.token_budget=1000000", "objective.pose_weighting=uniform", "objective.auxiliary_power=0"
    )
    statistics = motion_statistics(corpus)
    batches = Batches(Clips(corpus, "train", WordVectors(64), statistics, run.data, 64), run.objective, 1, every)
    step = batches.step(0, 0, batches.plan(0)[0])
    batch, draws = step.micros[0].batch, step.micros[0].draws
    assert len(set(batch.clip_ids)) == every == int((corpus.column("split") == "train").sum())
    objective = Objective(run.objective, Normaliser(statistics))
    shown = objective.hidden(conditions_of(batch), draws, torch.tensor([0.0, 1.0, 1.0]))
    sure = torch.nn.functional.one_hot(batch.actions.clamp(min=0), 64).float() * 50
    truth = objective.terms(Oracle(batch.motion, batch.physics, sure), target_of(batch, False), shown, draws, step.counts)[0]
    assert truth.abs().max() < 1e-3
    flat = torch.zeros_like(batch.motion)
    blind = objective.terms(Oracle(flat, batch.physics * 0, sure * 0), target_of(batch, False), shown, draws, step.counts)[0]
    named = dict(zip(TERMS, blind.tolist(), strict=True))
    train = np.flatnonzero(corpus.column("split") == "train")
    clips = [corpus.arrays(int(row), "motion", "present") for row in train]
    frames = np.concatenate([relative(clip["motion"].astype(np.float64))[clip["present"]] for clip in clips])
    # Columns that hardly move are divided by the least spread, so they cost less than one.
    assert named["pose"] == pytest.approx(float((frames.var(0) / statistics.std**2).mean()), rel=1e-4)
    assert named["action"] == pytest.approx(1.0, rel=1e-5)
    # Differences are held against their own root mean square and tempered, which never enlarges a squared error.
    assert 0.02 < named["temporal"] <= 1 + run.objective.acceleration_share
    assert 0.02 < named["physics"] <= 1.05
    heaviest = float(objective.time_weight("diffusion", draws.time).max())
    assert 0.02 < named["diffusion"] <= heaviest * named["pose"] * (1 + 1e-4)
    hidden = draws.hide_actions
    assert (shown.actions[hidden] == -1).all() and torch.equal(shown.actions[~hidden], batch.actions[~hidden])


def test_stillness_is_never_rewarded() -> None:
    motion = torch.randn(1, 30, 1, 20).cumsum(1)
    valid, weight, one = torch.ones(1, 30, 1, dtype=torch.bool), torch.ones(1), torch.ones(20)
    from stickgen_core.model.losses import Counts

    counts = Counts(30, 29, 28, 0)
    frozen = temporal_error(motion[:, :1].expand_as(motion), motion, valid, weight, counts, one, one, 0.5)
    assert frozen > 10 * temporal_error(motion, motion, valid, weight, counts, one, one, 0.5) + 0.1


def test_the_schedule_is_the_documented_one() -> None:
    run = tiny_run("training.steps=null", "training.warmup_steps=null", "training.epochs=30", "training.warmup_epochs=5")
    assert schedule(run, 10) == (300, 50)
    rates = [learning_rate(n, 300, 50, 3e-4, 0.0) for n in range(300)]
    assert rates[0] == pytest.approx(6e-6) and max(rates) == pytest.approx(3e-4) and rates[49] == pytest.approx(3e-4) and rates[-1] < 1e-6
    assert all(a >= b for a, b in zip(rates[49:], rates[50:], strict=False))


PROCESS = """
import json, os, sys, torch
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from stickgen_core.corpus import Corpus
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics
from tests.core.training.training_factory import WordVectors, tiny_run
torch.set_num_threads(1)
folder = Path(sys.argv[1])
corpus = Corpus.open(folder / "embedded")
run = tiny_run("training.steps=6", "data.token_budget=200", sys.argv[3])
several = int(os.environ.get("WORLD_SIZE", 1)) > 1
if several:
    torch.distributed.init_process_group("gloo")
for name, steps in json.loads(sys.argv[4]):
    if several:
        torch.distributed.barrier()
    train(run, corpus, WordVectors(64), motion_statistics(corpus), folder / name, max_steps=steps)
"""
ROOT = str(Path(__file__).parents[3])
ALONE, TWO = [sys.executable], [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def train_in_processes(command: list[str], folder: Path, override: str, calls: list[tuple[str, int | None]]) -> None:
    """Train a run of six steps as often as there are (name, steps of this call), one after another."""
    (folder / "process.py").write_text(PROCESS)
    told = [str(folder / "process.py"), str(folder), ROOT, override, json.dumps(calls)]
    subprocess.run([*command, *told], check=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    from stickgen_core.training.checkpoints import load_model

    swings(tmp_path)
    for name, command in (("one", ALONE), ("two", TWO)):
        train_in_processes(command, tmp_path, "model.dropout=0.0", [(name, None)])
    one, two = (load_model(tmp_path / name)[0].state_dict() for name in ("one", "two"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_two_processes_go_on_to_the_same_bits(tmp_path: Path) -> None:
    from stickgen_core.training.checkpoints import LATEST, RANKS, read

    swings(tmp_path)
    train_in_processes(TWO, tmp_path, "model.dropout=0.1", [("whole", None), ("paused", 3), ("paused", None)])
    whole, paused = (read(tmp_path / name / LATEST) for name in ("whole", "paused"))
    assert all(torch.equal(value, paused["model_state_dict"][name]) for name, value in whole["model_state_dict"].items())
    first, second = whole["rng"][RANKS]
    assert not torch.equal(first["torch"], second["torch"])
