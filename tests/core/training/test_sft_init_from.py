"""Stages: weights only from the parent, adapters over a frozen base, and a base that must be the one."""

import shutil
from pathlib import Path

import pytest
import torch

from stickgen_core.config import load
from stickgen_core.errors import ConfigError, Corrupt, MissingInput, StickgenError
from stickgen_core.generation import GenerationConfig
from stickgen_core.generation.generator import Generator
from stickgen_core.text.config import TextConfig
from stickgen_core.text.encoders import encoder_for
from stickgen_core.training import checkpoints
from stickgen_core.training.batches import Batch
from stickgen_core.training.loop import TrainResult, train
from stickgen_core.training.statistics import load_statistics, motion_statistics, save_statistics
from tests.core.training.training_factory import CONFIGS, WordVectors, swings, tiny_run

torch.set_num_threads(1)


def chain(folder: Path) -> dict[str, TrainResult]:
    """Pretrain, SFT and LoRA of the smallest model."""
    corpus, vectors = swings(folder), WordVectors(64)
    done = {"pretrain": train(tiny_run(), corpus, vectors, motion_statistics(corpus), folder / "small_pretrain")}
    for stage, parent in (("sft", "pretrain"), ("lora", "sft")):
        done[stage] = train(tiny_run(stage=stage), corpus, vectors, None, folder / f"small_{stage}", init_from=done[parent].folder)
    return done


def test_stages_follow_each_other(tmp_path: Path) -> None:
    done = chain(tmp_path)
    assert done["sft"].manifest.parents["checkpoint/small_pretrain"] == done["pretrain"].manifest.digest
    assert done["lora"].manifest.parents["checkpoint/small_sft"] == done["sft"].manifest.digest
    digests = [checkpoints.load_model(done[stage].folder)[2].digest for stage in done]
    assert len(set(digests)) == 1, "every stage keeps the scale it was pretrained with"


def test_sft_starts_from_the_parents_averaged_weights(tmp_path: Path) -> None:
    corpus, vectors = swings(tmp_path), WordVectors(64)
    parent = train(tiny_run(), corpus, vectors, motion_statistics(corpus), tmp_path / "small_pretrain")
    run = tiny_run("training.learning_rate=1e-12", "training.weight_decay=0", stage="sft")
    child = train(run, corpus, vectors, None, tmp_path / "small_sft", init_from=parent.folder / checkpoints.BEST)
    a, b = (checkpoints.load_model(folder)[0].state_dict() for folder in (parent.folder, child.folder))
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)
    payload = checkpoints.read(child.folder / checkpoints.LATEST)
    assert payload["scheduler"]["total_steps"] == 4 and payload["step"] == 4, "optimiser and schedule start afresh"


def test_a_lora_checkpoint_holds_adapters_alone_and_its_base_must_be_there(tmp_path: Path) -> None:
    done = chain(tmp_path)
    folder = done["lora"].folder
    payload = checkpoints.read(folder / checkpoints.BEST)
    assert all(name.endswith(("lora_A", "lora_B")) for name in (*payload["model_state_dict"], *payload["ema"]))
    base, adapted = checkpoints.load_model(done["sft"].folder)[0].state_dict(), checkpoints.load_model(folder)[0].state_dict()
    frozen = [name for name in base if name.split(".")[0] not in ("transformer_encoder", "pose_decoder")]
    assert all(torch.equal(base[name], adapted[name]) for name in frozen)
    base_file = done["sft"].folder / checkpoints.BEST
    kept = base_file.read_bytes()
    base_file.unlink()
    with pytest.raises(MissingInput, match="base of the adapters"):
        checkpoints.load_model(folder)
    released = checkpoints.load_model(folder / checkpoints.RELEASE)[0].state_dict()
    assert all(torch.equal(released[name], adapted[name]) for name in adapted), "the release file stands on its own"
    base_file.write_bytes((done["pretrain"].folder / checkpoints.BEST).read_bytes())
    with pytest.raises(Corrupt, match="were trained on"):
        checkpoints.load_model(folder)
    base_file.write_bytes(kept)
    checkpoints.load_model(folder)


@pytest.mark.parametrize("alone", [True, False])
def test_adapters_train_over_a_release_file(tmp_path: Path, alone: bool) -> None:
    corpus, vectors = swings(tmp_path), WordVectors(64)
    parent = train(tiny_run(), corpus, vectors, motion_statistics(corpus), tmp_path / "small_pretrain").folder
    base = parent / checkpoints.RELEASE
    if alone:
        (tmp_path / "downloaded").mkdir()
        base = shutil.copy(base, tmp_path / "downloaded" / base.name)
    given = base.parent if alone else base
    done = train(tiny_run(stage="lora"), corpus, vectors, None, tmp_path / "small_lora", init_from=given).folder
    merged, released = (checkpoints.load_model(path)[0].state_dict() for path in (done, done / checkpoints.RELEASE))
    assert all(torch.equal(merged[name], released[name]) for name in merged)
    base.unlink()
    with pytest.raises(MissingInput, match="base of the adapters"):
        checkpoints.load_model(done)


class NoViews:
    """Pictures of no clip."""

    digest = "none"

    def attached(self, batch: Batch, seed: int, epoch: int) -> Batch:
        return batch


def test_adapters_over_a_motion_only_model_are_refused_images_before_the_first_step(tmp_path: Path) -> None:
    corpus, vectors = swings(tmp_path), WordVectors(64)
    parent = train(tiny_run(), corpus, vectors, motion_statistics(corpus), tmp_path / "small_pretrain").folder
    run = tiny_run("data.use_parallax_augmentation=true", stage="lora")
    with pytest.raises(ConfigError, match=r"small_pretrain lacks; set data\.use_parallax_augmentation to false, or train the sft stage"):
        train(run, corpus, vectors, None, tmp_path / "small_lora", init_from=parent, images=NoViews())
    assert not (tmp_path / "small_lora.training").exists()


def test_a_checkpoint_says_which_text_encoder_it_reads_and_refuses_another(tmp_path: Path) -> None:
    own = encoder_for(TextConfig(encoder="hashing", hashing_width=64, batch_rows=64))
    other = encoder_for(TextConfig(encoder="hashing", hashing_width=64, batch_rows=32))
    generation = load(GenerationConfig, [CONFIGS / "defaults" / "generation.yaml"])
    vectors, corpus = WordVectors(64), swings(tmp_path / "own", encoder=own.digest)
    done = train(tiny_run(), corpus, vectors, motion_statistics(corpus), tmp_path / "small_pretrain")
    assert done.manifest.notes["encoder_digest"] == own.digest != other.digest
    for name in (checkpoints.BEST, checkpoints.LATEST, checkpoints.RELEASE):
        (tmp_path / name).mkdir()
        alone = shutil.copy(done.folder / name, tmp_path / name / name)  # without a manifest beside it
        Generator.from_checkpoint(alone, generation, TextConfig(), encoder=own)
        with pytest.raises(StickgenError, match="trained with text encoder"):
            Generator.from_checkpoint(alone, generation, TextConfig(), encoder=other)
    foreign = swings(tmp_path / "other", encoder=other.digest)
    with pytest.raises(ConfigError, match="the corpus is embedded with"):
        train(tiny_run(stage="sft"), foreign, vectors, None, tmp_path / "small_sft", init_from=done.folder)


def test_adapters_need_a_base_and_scratch_needs_statistics(tmp_path: Path) -> None:
    corpus, vectors = swings(tmp_path), WordVectors(64)
    with pytest.raises(MissingInput, match="adapters need a trained base"):
        train(tiny_run(stage="lora"), corpus, vectors, motion_statistics(corpus), tmp_path / "x")
    with pytest.raises(ConfigError, match="needs the statistics"):
        train(tiny_run(), corpus, vectors, None, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_wrong_widths_are_refused(tmp_path: Path) -> None:
    corpus = swings(tmp_path)
    with pytest.raises(ConfigError, match="text vectors are 32 wide, model.embedding_dim is 64"):
        train(tiny_run(), corpus, WordVectors(32), motion_statistics(corpus), tmp_path / "x")
    with pytest.raises(ConfigError, match="motion is 20 wide in the corpus, model.input_dim is 48"):
        run = tiny_run("model.input_dim=48", "model.output_dim=48")
        train(run, corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "x")
    with pytest.raises(MissingInput, match="no train clip matches"):
        train(tiny_run('data.sources=["elsewhere"]'), corpus, WordVectors(64), motion_statistics(corpus), tmp_path / "x")


def test_statistics_come_back_exactly(tmp_path: Path) -> None:
    statistics = motion_statistics(swings(tmp_path))
    save_statistics(statistics, tmp_path / "statistics.json")
    assert load_statistics(tmp_path / "statistics.json").digest == statistics.digest
    (tmp_path / "statistics.json").write_text((tmp_path / "statistics.json").read_text().replace('"clips": 20', '"clips": 21'))
    with pytest.raises(Corrupt, match="digest does not match"):
        load_statistics(tmp_path / "statistics.json")
