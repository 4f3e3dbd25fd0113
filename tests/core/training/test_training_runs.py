"""Around the loop: where a run resumes from, what it tells while it goes, what adapters train on, and a disk that is full."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from stickgen_core.errors import ConfigError, StickgenError
from stickgen_core.training import checkpoints
from stickgen_core.training.clips import Clips
from stickgen_core.training.clock import progress_line
from stickgen_core.training.config import recorded_run, run_config
from stickgen_core.training.journal import LOG, read_metrics
from stickgen_core.training.loop import train
from stickgen_core.training.profiling import PHASES, TABLE, profile
from stickgen_core.training.starting import AUTO, RESUME_VARIABLE
from stickgen_core.training.statistics import motion_statistics
from stickgen_core.training.stopping import Diverged, spiked
from stickgen_core.training.trackers import KNOWN
from stickgen_core.training.trainer import state_for
from tests.core.training.training_factory import CONFIGS, WordVectors, swings, tiny_run

torch.set_num_threads(1)


def test_the_environment_reaches_only_the_run_that_it_is_a_state_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = swings(tmp_path)
    paused = train(tiny_run(), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run", max_steps=2)
    state, said = str(paused.folder / checkpoints.LATEST), []
    monkeypatch.setenv(RESUME_VARIABLE, state)
    assert state_for(tiny_run(), None) == state
    assert state_for(tiny_run(stage="sft"), None, lambda label, *_: said.append(label)) == AUTO
    assert "is a state of small_pretrain, not of small_sft" in said[0]
    assert state_for(tiny_run(stage="sft"), "given") == "given", "what is asked for by name is never passed over"
    monkeypatch.delenv(RESUME_VARIABLE)
    assert state_for(tiny_run(), None) == AUTO
    assert state_for(tiny_run(f"training.resume_from={state}"), None) == state


def test_whoever_watches_gets_the_figures_of_every_validation(tmp_path: Path) -> None:
    corpus, seen, lines = swings(tmp_path), [], []
    run = tiny_run("training.validate_every_steps=3")
    train(
        run,
        corpus,
        WordVectors(64),
        motion_statistics(corpus),
        tmp_path / "run",
        watch=seen.append,
        progress=lambda text, *_: lines.append(text),
    )
    assert [figures["step"] for figures in seen] == [3, 6, 8] and all(figures["steps"] == 8 for figures in seen)
    assert seen[-1]["val_loss"] == read_metrics(tmp_path / "run", "validation")[-1]["loss"]
    assert {"train_loss", "frames_per_s", "peak_share", "memory_gb", "epoch"} <= set(seen[0])
    assert all(word in lines[-1] for word in ("loss", "frames/s", "useful", "of peak", "left", "GB"))
    for row in read_metrics(tmp_path / "run", "train"):
        assert 0 < row["useful_share"] <= 1 and 0 < row["peak_share"] < 1 and progress_line("x", row)
        assert row["clipped_norm"] <= min(row["gradient_norm"], run.training.clip_norm) + 1e-6


def test_gradient_shares_add_up_to_one(tmp_path: Path) -> None:
    corpus = swings(tmp_path)
    train(tiny_run(), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    for row in read_metrics(tmp_path / "run", "gradient_share"):
        shares = [row[name] for name in ("pose", "temporal", "action", "physics", "diffusion")]
        assert sum(shares) == pytest.approx(1.0) and min(shares) >= 0


def test_tensorboard_holds_each_step_once_although_the_run_was_resumed(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    corpus, run = swings(tmp_path), tiny_run('training.trackers=["tensorboard"]')
    for stop in (6, None):
        train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run", max_steps=stop)
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("train/loss")] == [row["step"] for row in read_metrics(tmp_path / "run", "train")]


def test_a_tracker_that_is_not_installed_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    corpus = swings(tmp_path)
    try:
        import wandb  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="wandb is asked for but not installed"):
            train(tiny_run('training.trackers=["wandb"]'), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")


class Noted:
    """Stands in for an installed tracker, to see what a run tells it and when it is let go."""

    def __init__(self, folder: Path, run_name: str, step: int, config: dict):
        self.told, self.open, self.run, self.config = [], True, run_name, config

    def track(self, step: int, values: dict[str, float]) -> None:
        assert self.open, "told after it was closed"
        self.told.append((step, sorted(values)[0].partition("/")[0], all(isinstance(v, float) for v in values.values())))

    def close(self) -> None:
        self.open = False


def test_trackers_hear_of_their_own_run_and_are_closed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Noted] = []
    monkeypatch.setitem(KNOWN, "mlflow", lambda *told: made.append(Noted(*told)) or made[-1])
    corpus = swings(tmp_path)
    for name in ("one", "two"):
        run = tiny_run('training.trackers=["mlflow"]', f"training.seed={len(name)}")
        train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / name, max_steps=4 if name == "two" else None)
    assert len(made) == 2 and not any(noted.open for noted in made), "a finished and a paused run both let go"
    assert {kind for _, kind, _ in made[0].told} == {"train", "validation", "gradient_share"} and all(ok for _, _, ok in made[0].told)
    assert made[0].run == "small_pretrain" and made[0].config["training"]["steps"] == 8


def test_trackers_are_closed_when_a_later_one_or_the_run_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Noted] = []

    def absent(*_: object) -> Noted:
        raise ImportError(name="wandb")

    monkeypatch.setitem(KNOWN, "mlflow", lambda *told: made.append(Noted(*told)) or made[-1])
    monkeypatch.setitem(KNOWN, "wandb", absent)
    corpus = swings(tmp_path)
    with pytest.raises(ConfigError, match="wandb is asked for but not installed"):
        train(tiny_run('training.trackers=["mlflow","wandb"]'), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    with pytest.raises(Diverged):
        run = tiny_run('training.trackers=["mlflow"]', "training.spike_factor=1.0001", "training.learning_rate=50.0", "training.warmup_steps=0",
                       "training.validate_every_steps=1", "training.clip_norm=1000000.0")  # fmt: skip
        train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "wild")
    assert len(made) == 2 and not any(noted.open for noted in made)


def test_a_tracker_that_breaks_is_let_go_and_the_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Noted):
        def track(self, step: int, values: dict[str, float]) -> None:
            raise OSError("the server is gone")

    def refusing(*_: object) -> Noted:
        raise PermissionError("no login\nmore")

    made: list[Noted] = []
    monkeypatch.setitem(KNOWN, "wandb", Broken)
    monkeypatch.setitem(KNOWN, "mlflow", lambda *told: made.append(Noted(*told)) or made[-1])
    corpus = swings(tmp_path)
    done = train(tiny_run('training.trackers=["wandb","mlflow"]'), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    assert done.stopped == "finished" and made[0].told
    assert (done.folder / LOG).read_text().count("Broken gets no more figures: the server is gone") == 1
    monkeypatch.setitem(KNOWN, "mlflow", refusing)
    with pytest.raises(StickgenError, match=r"mlflow could not be opened \(no login\); mend it or remove it"):
        train(tiny_run('training.trackers=["mlflow"]'), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "other")


def test_adapters_train_on_what_lora_data_asks_for(tmp_path: Path) -> None:
    corpus = swings(tmp_path)
    whole, narrow = tiny_run(stage="lora"), tiny_run("lora.data.actions=[0,1]", stage="lora")
    sizes = {run.hash: len(Clips(corpus, "train", WordVectors(64), motion_statistics(corpus), run.data, 64)) for run in (whole, narrow)}
    assert sizes[whole.hash] == 20 and 0 < sizes[narrow.hash] < 20 and whole.recipe != narrow.recipe
    kept = Clips(corpus, "train", WordVectors(64), motion_statistics(corpus), narrow.data, 64)
    assert set(corpus.column("action")[kept.rows]) == {0, 1}
    assert tiny_run("lora.data.actions=[0,1]").data.actions == (), "only adapters are narrowed"
    with pytest.raises(ConfigError, match="sources"):
        run_config(CONFIGS, "test", "small", "lora", ["lora.data.source=100style"])


def test_a_write_that_fails_is_one_line_and_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    corpus, run = swings(tmp_path), tiny_run()
    paused = train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run", max_steps=4)
    newest = paused.folder / checkpoints.LATEST
    before, limits = newest.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(StickgenError, match=r"could not be written .*MB free\); the old version is untouched"):
            train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert newest.read_bytes() == before and not list(paused.folder.glob(".*.tmp")) and not (tmp_path / "run").exists()
    assert train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run").stopped == "finished"


def test_a_spike_names_the_heaviest_term_and_the_last_clips() -> None:
    weighted = {"pose": 1.0, "physics": 9.0}
    with pytest.raises(Diverged, match=r"step 7: validation loss 10, best 0.4; physics weighs most \(9\); last clips a, b;"):
        raise spiked("small_sft", 7, 10.0, 0.4, weighted, ("a", "b"), Path("work"))


def test_a_profile_says_where_a_step_goes_and_keeps_no_model(tmp_path: Path) -> None:
    corpus = swings(tmp_path)
    found = profile(tiny_run(), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "profile", steps=2)
    assert [name for name, _, _ in found.phases] == list(PHASES) and sum(share for _, _, share in found.phases) == pytest.approx(1.0)
    assert all(ms > 0 for _, ms, _ in found.phases)
    assert found.trace.stat().st_size > 1000 and "aten::mm" in (tmp_path / "profile" / TABLE).read_text()
    assert sorted(path.name for path in (tmp_path / "profile").iterdir()) == [TABLE, found.trace.name]


def test_loaded_weights_are_those_of_the_average_not_of_the_last_step(tmp_path: Path) -> None:
    corpus = swings(tmp_path)
    done = train(tiny_run(), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    payload = checkpoints.read(done.folder / checkpoints.BEST)
    name = "pose_decoder.3.weight"
    loaded = checkpoints.load_model(done.folder)[0].state_dict()[name]
    assert torch.equal(loaded, payload["ema"][name]) and not np.allclose(loaded, payload["model_state_dict"][name])


def test_the_hash_of_a_run_is_the_same_on_another_machine() -> None:
    here = tiny_run()
    there = tiny_run("training.threads=7", "training.num_workers=3", "training.resume_from=elsewhere", "data.parallax_root=/mnt/views")
    assert there.hash == here.hash and there.recipe == here.recipe
    assert tiny_run("training.learning_rate=0.5").hash != here.hash and tiny_run("data.token_budget=99").hash != here.hash


def test_a_key_that_came_later_enters_the_hash_only_where_it_changes_something() -> None:
    run = tiny_run()
    assert tiny_run("objective.noise_span_frames=0").hash == run.hash != tiny_run("objective.noise_span_frames=20").hash
    assert "noise_span_frames" not in run.decisive["objective"]
    written = run.model_dump(mode="json")
    del written["objective"]["noise_span_frames"]
    assert recorded_run(written, Path("older.pth")).hash == run.hash, "an older checkpoint is the run that it was"
