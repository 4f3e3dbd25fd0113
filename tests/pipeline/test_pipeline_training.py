"""Training seen through the graph and the command line: figures while it runs, adapters by a switch, the configuration that a checkpoint had."""

import json
from pathlib import Path

import dagster as dg
import pytest

from stickgen_core.errors import ConfigError
from stickgen_core.records.manifest import Manifest, write_manifest
from stickgen_core.settings import load_settings
from stickgen_pipeline.assets.factory import asset_of
from stickgen_pipeline.cli import main
from stickgen_pipeline.profile import run_of
from stickgen_pipeline.resources import Bench
from stickgen_pipeline.steps import Costs, Step, Work


def settings_in(folder: Path):
    return load_settings("test", environ={"STICKGEN_DATA": str(folder / "data")})


def test_figures_of_a_run_become_observations_with_the_curve_so_far(tmp_path):
    def learn(work: Work) -> None:
        for step, loss in ((10, 0.9), (20, 0.5)):
            work.watch({"step": step, "epoch": step / 10, "train_loss": loss + 0.1, "val_loss": loss})
        write_manifest(work.folder, Manifest(work.key, "toy", "learned", work.recipe, {}))

    step = Step("checkpoint/toy", "small", "A toy.", tmp_path / "toy", "1" * 16, learn, "checkpoint")
    asset = asset_of(step, {step.key: step}, settings_in(tmp_path))
    bench = Bench(None, tmp_path / "state", Costs(tmp_path / "costs.json"))
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([asset], instance=instance, resources={"bench": bench}).success
        seen = [record.asset_observation for record in instance.fetch_observations(dg.AssetKey(["checkpoint", "toy"]), limit=9).records]
    assert [observation.metadata["val_loss"].value for observation in reversed(seen)] == [0.9, 0.5]
    assert {"step", "epoch", "train_loss"} <= set(seen[0].metadata)
    assert seen[0].metadata["loss"].value.startswith("![loss](data:image/png;base64,")
    assert seen[0].metadata["loss"].value != seen[1].metadata["loss"].value, "the curve grows"


def test_the_budget_is_configuration_and_its_machine_must_have_a_price(tmp_path):
    settings = load_settings("test", overrides=["cost.machine=a100_pcie", "cost.budget=5"], environ={"STICKGEN_DATA": str(tmp_path)})
    assert (settings.config.cost.price_per_hour, settings.config.cost.budget) == (1.0, 5.0)
    with pytest.raises(ConfigError, match="'moon' has no price"):
        load_settings("test", overrides=["cost.machine=moon"], environ={})


def test_adapters_are_switched_on_over_sft_and_refused_on_pretraining(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setenv("STICKGEN_DATA", str(tmp_path))
    monkeypatch.setattr("stickgen_pipeline.commands.models._build", lambda options, key: asked.append((key, options.config_override)) or 0)
    assert main(["--profile", "test", "train", "small", "sft", "-c", "lora.enabled=true", "-c", "training.steps=3"]) == 0
    assert asked == [("checkpoint/small_lora", ["training.steps=3"])]
    assert main(["--profile", "test", "train", "small", "pretrain", "-c", "lora.enabled=true"]) == 1
    assert "adapters need a trained base: enable it on sft_small.yaml" in capsys.readouterr().err


def test_an_evaluation_warns_of_another_configuration_in_the_documented_words(tmp_path, monkeypatch, capsys):
    from stickgen_pipeline.commands.models import verify_config

    settings = settings_in(tmp_path)
    now = run_of(settings, "small", "sft").hash
    for trained, says in (
        (now, f"Config hash {now[:8]} matches"),
        ("abc123de99", f"Checkpoint config hash: abc123de, Current config hash: {now[:8]}."),
    ):
        folder = settings.places.checkpoint("small", "sft")
        write_manifest(folder, Manifest("checkpoint/small_sft", "checkpoint", "d", "r", {}, notes={"config_hash": trained}))
        verify_config(settings, "small", "sft")
        assert says in capsys.readouterr().err


def test_a_run_is_priced_before_its_corpus_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STICKGEN_DATA", str(tmp_path))
    before = ["--profile", "test", "-c", "cost.machine=a100_pcie", "train", "small", "sft", "--dry-run", "--json"]
    assert main(before) == 0
    (unknown,) = json.loads(capsys.readouterr().out)["runs"]
    assert unknown["hours"] is None and unknown["state_mb"] > 0 and unknown["disk_mb"] > unknown["checkpoint_mb"]
    assert main([*before, "--clips", "100", "--clip-frames", "50", "-c", "cost.budget=0"]) == 1, (
        "overrides before and after the command both hold"
    )
    told = capsys.readouterr()
    (known,) = json.loads(told.out)["runs"]
    assert known["hours"] > 0 and known["money"] == pytest.approx(known["hours"]) and known["activations_mb"] > 0
    assert "cost.budget is 0; raise it or train fewer steps" in told.err


def test_the_registry_and_two_configurations_are_asked_from_the_command_line(tmp_path, monkeypatch, capsys):
    from stickgen_core.records.model_registry import ModelRegistry

    file = tmp_path / "models.json"
    monkeypatch.setenv("STICKGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STICKGEN_REGISTRY", str(file))
    for run, task, loss, config in (("a1", "small_sft", 0.5, "abc123de99"), ("a2", "small_sft", 0.3, "ffff123400"), ("a3", "large_sft", 0.1, "abc123de99")):  # fmt: skip
        made = {"run_id": run, "task": task, "config_hash": config, "checkpoint_path": f"{run}.pth", "metrics": {"val_loss": loss}}
        ModelRegistry(file).register(made | {"timestamp": "2026-01-01T00:00:00", "metadata": {}})

    def asked(*words: str, code: int = 0) -> str:
        assert main(["--profile", "test", *words]) == code
        return capsys.readouterr().out

    assert "a2.pth" in (best := asked("registry", "best", "--task", "small_sft")) and "a1.pth" not in best
    found = asked("registry", "find", "abc123de")
    assert "a1.pth" in found and "a3.pth" in found and "a2.pth" not in found
    asked("registry", "export", str(tmp_path / "models.csv"))
    assert (tmp_path / "models.csv").read_text().count("\n") == 4
    differs = asked("config", "diff", "small_sft", "small_lora", code=1)  # like diff: 1 where something differs
    assert "lora.enabled" in differs and "model.d_model" not in differs
    assert asked("config", "hash", "small_sft").strip() == run_of(settings_in(tmp_path), "small", "sft").hash
