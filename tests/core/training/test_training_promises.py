"""What a run promises beside learning: which files stay, what is recorded of the machine, and one line when something runs out."""

import os
from pathlib import Path

import pytest
import torch

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.model.objective import Objective
from stickgen_core.training import checkpoints
from stickgen_core.training.checkpoints import load_model
from stickgen_core.training.config import run_config
from stickgen_core.training.devices import REPEATABLE
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics
from tests.core.training.training_factory import CONFIGS, WordVectors, clip_of, corpus_of, swings, tiny_run

torch.set_num_threads(1)


def test_periodic_checkpoints_bear_their_epoch_and_only_the_newest_stay(tmp_path: Path) -> None:
    corpus = swings(tmp_path, count=12, validation=4)  # one step an epoch
    run = tiny_run("training.checkpoint_every_epochs=2", "training.keep_last=2")
    done = train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    assert sorted(path.name for path in done.folder.glob("checkpoint_epoch_*")) == ["checkpoint_epoch_6.pth", "checkpoint_epoch_8.pth"]
    for name in ("checkpoint_epoch_6.pth", checkpoints.BEST, checkpoints.LATEST):
        payload = torch.load(done.folder / name, weights_only=True)
        assert {"model_state_dict", "optimizer_state_dict", "epoch", "config"} <= set(payload)
    assert torch.load(done.folder / "checkpoint_epoch_6.pth", weights_only=True)["epoch"] == 6
    assert run_config(CONFIGS, "full", "small", "pretrain").training.checkpoint_every_epochs == 10


def test_the_release_file_is_the_averaged_model_with_adapters_merged(tmp_path: Path) -> None:
    corpus, words = swings(tmp_path), WordVectors(64)
    sft = train(tiny_run(), corpus, words, motion_statistics(corpus), tmp_path / "base")
    lora = train(tiny_run(stage="lora"), corpus, words, None, tmp_path / "lora", init_from=sft.folder)
    for folder in (sft.folder, lora.folder):
        alone = tmp_path / "elsewhere" / folder.name
        alone.mkdir(parents=True)
        (alone / checkpoints.RELEASE).write_bytes((folder / checkpoints.RELEASE).read_bytes())
        here, there = load_model(folder)[0].state_dict(), load_model(alone)[0].state_dict()
        assert here.keys() == there.keys() and all(torch.equal(here[name], there[name]) for name in here)


@pytest.mark.parametrize("deterministic", [True, False])
def test_what_makes_a_run_repeatable_is_set_recorded_and_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deterministic: bool
) -> None:
    for name in REPEATABLE:
        monkeypatch.delenv(name, raising=False)
    corpus = swings(tmp_path)
    run = tiny_run(f"training.deterministic={str(deterministic).lower()}", "training.threads=1")
    done = train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    told = checkpoints.read(done.folder / checkpoints.BEST)["environment"]
    wanted = (True, "0", ":4096:8") if deterministic else (False, "", "")
    assert (told["deterministic"], told["hash_seed"], told["cublas_workspace"]) == wanted and told["threads"] == 1
    assert told["cpu_capability"] and not torch.are_deterministic_algorithms_enabled()
    for name in REPEATABLE:
        os.environ.pop(name, None)


def _allocate_too_much(*_: object) -> None:
    torch.empty(2**50, dtype=torch.uint8)


def _device_is_full(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")


def _host_is_full(*_: object) -> None:
    raise MemoryError


@pytest.mark.parametrize("fails", [_allocate_too_much, _device_is_full, _host_is_full])
def test_out_of_memory_names_the_knob_and_leaves_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails) -> None:
    corpus = swings(tmp_path)
    monkeypatch.setattr(Objective, "terms", fails)
    with pytest.raises(StickgenError, match=r"small_pretrain: out of memory.*; lower data.token_budget \(now 1024\)$") as error:
        train(tiny_run(), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_a_fault_of_the_program_is_not_taken_for_a_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    corpus = swings(tmp_path)
    monkeypatch.setattr(Objective, "terms", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        train(tiny_run(), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "run")


def test_an_empty_training_split_is_one_line_before_anything_is_written(tmp_path: Path) -> None:
    source = swings(tmp_path / "some")
    clips = [clip_of(f"made/{n}", source.arrays(n, "joints")["joints"].astype(float), "text", 0) for n in range(3)]
    held = corpus_of(tmp_path / "none", clips, validation=3)
    with pytest.raises(MissingInput, match="no clip in split 'train' among 3; nothing to train on"):
        train(tiny_run(), held, WordVectors(64), motion_statistics(source), tmp_path / "run")
    assert not (tmp_path / "run").exists() and not (tmp_path / "run.training").exists()
