"""The denoiser: documented sizes, what may and may not change a prediction, where gradients go."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stickgen_core.errors import ConfigError
from stickgen_core.model.config import ModelConfig
from stickgen_core.model.counts import parameter_table
from stickgen_core.model.denoiser import Conditions, Denoiser, build_model
from stickgen_core.model.images import build_fusion, build_image_encoder
from stickgen_core.training.config import VARIANTS, run_config

torch.set_num_threads(1)
CONFIGS = Path(__file__).parents[3] / "configs"


def tiny() -> ModelConfig:
    return run_config(CONFIGS, "test", "medium", "pretrain").model


def stirred(config: ModelConfig, multimodal: bool = False) -> Denoiser:
    """A model whose zero-initialised ends have been moved, so that everything reaches the output."""
    torch.manual_seed(0)
    model = Denoiser(config, multimodal).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def inputs(
    batch: int = 3, frames: int = 9, actors: int = 2, width: int = 20, text: int = 64
) -> tuple[torch.Tensor, torch.Tensor, Conditions]:
    draw = torch.Generator().manual_seed(1)
    conditions = Conditions(
        torch.nn.functional.normalize(torch.randn(batch, text, generator=draw), dim=-1), torch.tensor([True, False, True][:batch]),
        torch.randint(-1, 5, (batch, frames, actors), generator=draw), torch.randn(batch, frames, 3, generator=draw),
    )  # fmt: skip
    return torch.randn(batch, frames, actors, width, generator=draw), torch.rand(batch, generator=draw), conditions


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("multimodal", [False, True])
def test_totals_are_the_documented_ones(variant: str, multimodal: bool) -> None:
    config = run_config(CONFIGS, "full", variant, "pretrain").model
    with torch.device("meta"):
        total = sum(p.numel() for p in build_model(config, multimodal).parameters())
    expected = {"small": ("7.2", "11.7"), "medium": ("20.6", "25.1"), "large": ("44.6", "71.3")}[variant][multimodal]
    assert f"{total / 1e6:.1f}" == expected


@pytest.mark.parametrize(
    ("variant", "encoder", "text"), [("small", "6.3", 656_640), ("medium", "18.9", 1_083_264), ("large", "42.0", 1_575_424)]
)
def test_documented_parts(variant: str, encoder: str, text: int) -> None:
    rows = {row.part: row for row in parameter_table(run_config(CONFIGS, "full", variant, "pretrain").model)}
    assert f"{rows['transformer_encoder'].ours / 1e6:.1f}" == encoder
    assert rows["text_projection"].ours == text


def test_a_layer_costs_sixteen_squared_widths() -> None:
    config = run_config(CONFIGS, "full", "small", "pretrain").model
    with torch.device("meta"):
        layer = Denoiser(config).transformer_encoder.layers[0]
    matrices = sum(p.numel() for p in layer.parameters() if p.dim() == 2)
    assert matrices == 16 * config.d_model**2


def test_a_size_that_was_not_promised_is_refused() -> None:
    config = run_config(CONFIGS, "full", "small", "pretrain").model.model_copy(update={"num_actions": 63})
    with torch.device("meta"), pytest.raises(ConfigError, match="7,249,561 parameters.*expected_parameters"):
        build_model(config)


@pytest.mark.parametrize(("name", "millions"), [("lightweight_cnn", 2.1), ("resnet", 11.7), ("mini_vit", 4.4)])
def test_image_encoders_have_the_documented_sizes_and_ignore_neighbours(name: str, millions: float) -> None:
    torch.manual_seed(0)
    encoder = build_image_encoder(name, 1024).eval()
    assert abs(sum(p.numel() for p in encoder.parameters()) / 1e6 - millions) < 0.05
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(images)[:1], encoder(images[:1]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "count"), [("gated", 2_368_522), ("concat", 6_310_912), ("film", 4_209_664), ("cross_attention", 14_960_640)]
)
def test_fusions_have_their_sizes(name: str, count: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in build_fusion(name, 1024, 1024, 7, 1024, 0.1).parameters()) == count


def test_padding_never_reaches_a_prediction() -> None:
    model = stirred(tiny())
    noisy, time, conditions = inputs()
    valid = torch.ones(noisy.shape[:3], dtype=torch.bool)
    valid[0, 6:] = False
    valid[1, 4:, 1] = False
    loud = torch.where(valid[..., None], noisy, 1e3)
    with torch.no_grad():
        a, b = model(noisy, time, conditions, valid).motion, model(loud, time, conditions, valid).motion
        torch.testing.assert_close(a[valid], b[valid], atol=1e-5, rtol=0)
        short = replace(
            conditions,
            actions=conditions.actions[:1, :6],
            camera=conditions.camera[:1, :6],
            text=conditions.text[:1],
            has_text=conditions.has_text[:1],
        )
        alone = model(noisy[:1, :6], time[:1], short).motion
    torch.testing.assert_close(a[:1, :6], alone, atol=1e-5, rtol=1e-4)


def test_batch_order_changes_nothing() -> None:
    model = stirred(tiny())
    noisy, time, c = inputs()
    order = torch.tensor([2, 0, 1])
    turned = Conditions(c.text[order], c.has_text[order], c.actions[order], c.camera[order])
    with torch.no_grad():
        torch.testing.assert_close(
            model(noisy, time, c).motion[order], model(noisy[order], time[order], turned).motion, atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("change", ["text", "time", "camera", "actions", "person"])
def test_every_condition_matters(change: str) -> None:
    model = stirred(tiny())
    noisy, time, c = inputs()
    told = {
        "text": replace(c, text=-c.text),
        "camera": replace(c, camera=c.camera + 1),
        "actions": replace(c, actions=(c.actions + 2) % 5),
    }.get(change, c)
    moved = time + 0.1 if change == "time" else time
    seen = noisy.flip(2) if change == "person" else noisy
    with torch.no_grad():
        before, after = model(noisy, time, c).motion, model(seen, moved, told).motion
    assert not torch.allclose(before, after.flip(2) if change == "person" else after, atol=1e-3)


def test_hidden_actions_and_absent_actions_are_the_same() -> None:
    model = stirred(tiny())
    noisy, time, c = inputs()
    with torch.no_grad():
        a = model(noisy, time, replace(c, actions=torch.full_like(c.actions, -1))).motion
        torch.testing.assert_close(a, model(noisy, time, replace(c, actions=None)).motion)


@pytest.mark.parametrize("multimodal", [False, True])
def test_no_parameter_is_without_a_gradient(multimodal: bool) -> None:
    model = stirred(tiny(), multimodal).train()
    noisy, time, c = inputs()
    c = replace(c, image=torch.randn(3, 3, 32, 32), viewpoint=torch.randn(3, 7), has_image=torch.tensor([True, False, False]))
    out = model(noisy, time, c)
    (out.motion.square().sum() + out.physics.square().sum() + out.actions.square().sum()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert all(name.startswith("fusion") and name.endswith("bias") and not multimodal for name in still), still


def test_too_many_people_are_refused() -> None:
    noisy, time, _ = inputs(actors=5)
    with pytest.raises(ConfigError, match="5 people.*max_actors"):
        stirred(tiny())(noisy, time, Conditions(torch.zeros(3, 64), torch.ones(3, dtype=torch.bool)))
