"""Adapters: where they sit, what trains, what they merge to, and that peft agrees."""

from pathlib import Path

import pytest
import torch

from stickgen_core.errors import ConfigError, Corrupt
from stickgen_core.model.config import LoraConfig
from stickgen_core.model.counts import parameter_table
from stickgen_core.model.denoiser import Conditions, Denoiser
from stickgen_core.model.lora import adapter_state, inject, merged_state, peft_files, target_layers, trainable
from stickgen_core.training.config import run_config, run_from_file

torch.set_num_threads(1)
CONFIGS = Path(__file__).parents[3] / "configs"
LORA = LoraConfig(enabled=True, rank=4, alpha=8.0, dropout=0.0, target_modules=("transformer_encoder", "pose_decoder"))


def adapted() -> tuple[Denoiser, dict[str, torch.Tensor]]:
    """(a model with stirred adapters, the base it was before)."""
    torch.manual_seed(0)
    model = Denoiser(run_config(CONFIGS, "test", "small", "pretrain").model).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    base = {name: value.clone() for name, value in model.state_dict().items()}
    inject(model, LORA)
    for parameter in trainable(model):
        torch.nn.init.normal_(parameter, std=0.1)
    return model, base


def answer(model: torch.nn.Module) -> torch.Tensor:
    draw = torch.Generator().manual_seed(2)
    told = Conditions(torch.randn(2, 64, generator=draw) / 8, torch.ones(2, dtype=torch.bool))
    with torch.no_grad():
        return model(torch.randn(2, 7, 1, 20, generator=draw), torch.rand(2, generator=draw), told).motion


def test_fresh_adapters_change_nothing() -> None:
    model, base = adapted()
    plain = Denoiser(model.config).eval()
    plain.load_state_dict(base)
    before = answer(plain)
    inject(plain, LORA)
    torch.testing.assert_close(answer(plain), before, atol=1e-6, rtol=0)


def test_merged_equals_unmerged() -> None:
    model, base = adapted()
    merged = Denoiser(model.config).eval()
    merged.load_state_dict(merged_state(base, adapter_state(model.state_dict()), LORA))
    torch.testing.assert_close(answer(merged), answer(model), atol=1e-6, rtol=1e-6)
    unadapted = Denoiser(model.config).eval()
    unadapted.load_state_dict(base)
    assert not torch.allclose(answer(unadapted), answer(model), atol=1e-3)


def test_only_adapters_of_the_two_modules_train() -> None:
    model, _ = adapted()
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert names and all(name.split(".")[0] in LORA.target_modules and name.endswith(("lora_A", "lora_B")) for name in names)


def test_a_second_injection_is_refused() -> None:
    model, _ = adapted()
    with pytest.raises(ConfigError, match="inject once"):
        inject(model, LORA)


def test_a_target_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="'pose_head' has no linear layer"):
        inject(Denoiser(run_config(CONFIGS, "test", "small", "pretrain").model), LORA.model_copy(update={"target_modules": ("pose_head",)}))


def test_adapters_of_another_model_do_not_merge() -> None:
    model, base = adapted()
    foreign = {name: value[:, :-1] if name.endswith("lora_A") else value for name, value in adapter_state(model.state_dict()).items()}
    with pytest.raises(Corrupt, match="does not fit"):
        merged_state(base, foreign, LORA)


def test_adapters_have_the_counted_size() -> None:
    run = run_config(CONFIGS, "full", "small", "lora")
    row = parameter_table(run.model, run.lora.rank)[-1]
    layers = (
        run.model.num_layers * (4 + 2 + 9 + 5) * run.model.d_model + (2 * run.model.d_model) + (run.model.d_model + run.model.output_dim)
    )
    assert row.ours == layers * run.lora.rank


def test_lora_switched_on_gives_the_lora_run() -> None:
    for variant in ("small", "medium", "large"):
        switched = run_from_file(CONFIGS / f"sft_{variant}.yaml", CONFIGS, "full", ["lora.enabled=true"])
        assert switched.hash == run_config(CONFIGS, "full", variant, "lora").hash


@pytest.mark.slow
def test_peft_reads_the_exported_adapters_and_agrees() -> None:
    import peft

    model, base = adapted()
    tensors, settings = peft_files(adapter_state(model.state_dict()), LORA)
    plain = Denoiser(model.config).eval()
    plain.load_state_dict(base)
    layers = target_layers(plain, LORA.target_modules)
    assert settings["target_modules"] == sorted(layers)
    config = peft.LoraConfig(r=LORA.rank, lora_alpha=LORA.alpha, lora_dropout=0.0, target_modules=layers)
    wrapped = peft.get_peft_model(plain, config).eval()
    result = peft.set_peft_model_state_dict(wrapped, tensors)
    assert not result.unexpected_keys
    torch.testing.assert_close(answer(wrapped), answer(model), atol=1e-6, rtol=1e-6)
