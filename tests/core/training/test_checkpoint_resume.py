"""Killing a run in every way and going on gives the bits of a run that was never killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stickgen_core.errors import ConfigError, Corrupt, MissingInput
from stickgen_core.training import checkpoints
from stickgen_core.training.loop import TrainResult, train
from stickgen_core.training.starting import resume_source
from stickgen_core.training.statistics import motion_statistics
from stickgen_core.training.stopping import Diverged
from tests.core.training.training_factory import WordVectors, swings, tiny_run

torch.set_num_threads(1)
RUN = ("training.steps=9", "model.dropout=0.1")


def trained(folder: Path, name: str, *overrides: str, **how: object) -> TrainResult:
    corpus = swings(folder)
    return train(tiny_run(*RUN, *overrides), corpus, WordVectors(64), motion_statistics(corpus), folder / name, **how)


def bits(result: TrainResult) -> tuple[dict, dict, str]:
    payload = checkpoints.read(result.folder / checkpoints.LATEST)
    return payload["model_state_dict"], payload["ema"], result.manifest.digest


def assert_same_bits(a: TrainResult, b: TrainResult) -> None:
    (live, ema, digest), (other_live, other_ema, other_digest) = bits(a), bits(b)
    assert digest == other_digest
    for one, two in ((live, other_live), (ema, other_ema)):
        assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("pause", [1, 4, 5])
def test_a_paused_run_goes_on_to_the_same_bits(tmp_path: Path, pause: int) -> None:
    whole = trained(tmp_path / "a", "whole")
    half = trained(tmp_path / "b", "whole", max_steps=pause)
    assert (half.stopped, half.step) == ("paused", pause)
    assert not (tmp_path / "b" / "whole").exists()
    assert_same_bits(whole, trained(tmp_path / "b", "whole"))


def test_a_cut_newest_checkpoint_falls_back_and_says_so(tmp_path: Path) -> None:
    whole = trained(tmp_path / "a", "run")
    paused = trained(tmp_path / "b", "run", max_steps=6)
    newest = paused.folder / checkpoints.LATEST
    newest.write_bytes(newest.read_bytes()[:-5000])
    said: list[str] = []
    again = trained(tmp_path / "b", "run", progress=lambda label, done, total: said.append(label))
    assert any("falling back" in line for line in said)
    assert_same_bits(whole, again)


def test_the_checkpoint_with_the_most_steps_is_the_newest_whatever_its_name(tmp_path: Path) -> None:
    folder = trained(tmp_path, "run", max_steps=1).folder
    payload = checkpoints.read(folder / checkpoints.LATEST)
    for name, step in ((checkpoints.PREVIOUS, 2), (checkpoints.LATEST, 4), ("checkpoint_epoch_9.pth", 3), ("checkpoint_epoch_10.pth", 6)):
        checkpoints.save(folder / name, {**payload, "step": step})
    found = []
    for _ in range(4):
        path, state = checkpoints.newest(folder)
        found.append(state["step"])
        path.write_bytes(path.read_bytes()[:-5000])
    assert found == [6, 4, 3, 2] and checkpoints.newest(folder) is None


def test_a_stop_request_saves_and_goes_on(tmp_path: Path) -> None:
    whole = trained(tmp_path / "a", "run")
    asked = iter([False, False, True])
    stopped = trained(tmp_path / "b", "run", stopping=lambda: next(asked))
    assert (stopped.stopped, stopped.step) == ("terminated", 3)
    assert_same_bits(whole, trained(tmp_path / "b", "run"))


CHILD = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[2])
torch.set_num_threads(1)
from tests.core.training.test_checkpoint_resume import trained
import time
print(trained(Path(sys.argv[1]), "run", "training.steps=60", progress=lambda *a: (print(a, flush=True), time.sleep(0.05))).stopped)
"""


@pytest.mark.slow
@pytest.mark.parametrize("death", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_leaves_a_run_that_goes_on_to_the_same_bits(tmp_path: Path, death: signal.Signals) -> None:
    whole = trained(tmp_path / "a", "run", "training.steps=60")
    root = str(Path(__file__).parents[3])
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "b"), root], stdout=subprocess.PIPE, text=True, cwd=root)
    assert child.stdout is not None
    for line in child.stdout:
        if ", 2" in line:
            break
    os.kill(child.pid, death)
    said, _ = child.communicate(timeout=60)
    if death == signal.SIGTERM:
        assert child.returncode == 0 and "terminated" in said
    assert not (tmp_path / "b" / "run").exists()
    assert_same_bits(whole, trained(tmp_path / "b", "run", "training.steps=60"))


def test_what_is_current_is_not_trained_again(tmp_path: Path) -> None:
    first = trained(tmp_path, "run")
    again = trained(tmp_path, "run")
    assert (again.stopped, again.manifest.digest) == ("current", first.manifest.digest)
    assert trained(tmp_path, "run", "training.learning_rate=0.001").manifest.digest != first.manifest.digest


def test_another_configuration_cannot_be_resumed(tmp_path: Path) -> None:
    paused = trained(tmp_path, "run", max_steps=2)
    with pytest.raises(ConfigError, match="another configuration"):
        trained(tmp_path, "other", "training.learning_rate=0.01", resume=paused.folder)
    with pytest.raises(MissingInput, match="no checkpoint to resume from"):
        trained(tmp_path, "other", resume=tmp_path / "nowhere")


VALIDATED = ("training.validate_every_steps=2", "training.spike_factor=100000")


def unbeatable(path: Path, into: Path) -> Path:
    """The checkpoint, copied, with a best loss that no later validation reaches."""
    into.parent.mkdir(exist_ok=True)
    checkpoints.save(into, {**checkpoints.read(path), "best": 0.001})
    return into


@pytest.mark.parametrize("stop", [6, None])
def test_a_state_resumed_elsewhere_without_its_best_is_published_with_a_later_one(tmp_path: Path, stop: int | None) -> None:
    left = trained(tmp_path / "a", "run", *VALIDATED, max_steps=stop).folder
    alone = unbeatable(left / checkpoints.LATEST, tmp_path / "moved" / "state.pth")
    foreign = trained(tmp_path / "c", "run").folder / checkpoints.BEST
    unbeatable(foreign, alone.with_name(checkpoints.BEST))
    (tmp_path / "b" / "run.training").mkdir(parents=True)
    unbeatable(foreign, tmp_path / "b" / "run.training" / checkpoints.BEST)
    done = trained(tmp_path / "b", "run", *VALIDATED, resume=alone)
    assert done.stopped == "finished" and done.manifest.counts["best_step"] > 6
    assert done.metrics["best_val_loss"] == checkpoints.read(done.folder / checkpoints.BEST)["best"] > 0.001


def test_a_state_resumed_elsewhere_takes_its_best_with_it(tmp_path: Path) -> None:
    left = trained(tmp_path / "a", "run", *VALIDATED, max_steps=6).folder
    state, best = (unbeatable(left / name, tmp_path / "moved" / name) for name in (checkpoints.LATEST, checkpoints.BEST))
    done = trained(tmp_path / "b", "run", *VALIDATED, resume=state)
    kept = checkpoints.read(best)
    assert done.manifest.counts["best_step"] == kept["step"] <= 6
    assert done.manifest.digest == checkpoints.weights_digest(checkpoints.weights_of(best.parent, kept))


def test_micro_batches_do_not_change_the_training(tmp_path: Path) -> None:
    one = trained(tmp_path / "a", "run", "model.dropout=0.0", "data.token_budget=100000")
    many = trained(tmp_path / "b", "run", "model.dropout=0.0", "data.token_budget=130")
    assert one.metrics["val_loss"] == pytest.approx(many.metrics["val_loss"], rel=1e-4)


def test_resume_is_looked_for_in_three_places(monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("training.resume_from=from_config")
    monkeypatch.delenv("RESUME_FROM_CHECKPOINT", raising=False)
    assert resume_source(None, run) == "from_config"
    monkeypatch.setenv("RESUME_FROM_CHECKPOINT", "from_environment")
    assert resume_source(None, run) == "from_environment"
    assert resume_source("from_argument", run) == "from_argument"


def test_a_loss_that_is_not_a_number_names_step_term_and_clips(tmp_path: Path) -> None:
    corpus = swings(tmp_path)

    class Broken(WordVectors):
        def vectors(self, keys):
            return super().vectors(keys) * float("nan")

    with pytest.raises(Diverged, match=r"step 1: pose, .*is not finite; clips made/"):
        train(tiny_run(*RUN), corpus, Broken(64), motion_statistics(corpus), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 neither"])
def test_foreign_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / checkpoints.BEST).write_bytes(content)
    with pytest.raises(Corrupt, match="cut short or not a checkpoint"):
        checkpoints.load_model(tmp_path)
    with pytest.raises(MissingInput, match="no checkpoint here"):
        checkpoints.load_model(tmp_path / "empty")


def test_a_foreign_model_never_loads(tmp_path: Path) -> None:
    result = trained(tmp_path, "run")
    payload = checkpoints.read(result.folder / checkpoints.BEST)
    name = next(iter(payload["ema"]))
    for change in ("missing", "shape", "extra"):
        state = dict(payload["model_state_dict"])
        if change == "missing":
            state.pop(name)
        elif change == "extra":
            state["stranger"] = torch.zeros(1)
        else:
            state[name] = state[name][:-1]
        ema = {k: v for k, v in payload["ema"].items() if k != name}
        checkpoints.save(tmp_path / "bad.pth", {**payload, "model_state_dict": state, "ema": ema})
        with pytest.raises(Corrupt, match=f"{name}|stranger"):
            checkpoints.load_model(tmp_path / "bad.pth")
    torch.save({"x": Path("/")}, tmp_path / "pickled.pth")
    with pytest.raises(Corrupt, match="plain tensors"):
        checkpoints.read(tmp_path / "pickled.pth")


def test_a_checkpoint_holds_the_documented_keys(tmp_path: Path) -> None:
    result = trained(tmp_path, "run")
    payload = torch.load(result.folder / checkpoints.LATEST, weights_only=True)
    assert {
        "model_state_dict",
        "ema",
        "optimizer_state_dict",
        "scheduler",
        "epoch",
        "config",
        "config_hash",
        "parents",
        "rng",
        "sampler",
    } <= set(payload)
    model, run, statistics, meta = checkpoints.load_model(result.folder)
    released, *_ = checkpoints.load_model(result.folder / checkpoints.RELEASE)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), released.state_dict().values(), strict=True))
    assert (
        meta["weights_digest"] == result.manifest.digest and statistics.clips == 20 and not model.training and run.name == "small_pretrain"
    )
