"""The generator: the same request gives the same bits, bounds hold, rejected motions are drawn again and explained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from stickgen_core.config import load
from stickgen_core.curation.config import SafetyConfig
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.generation import GenerationConfig
from stickgen_core.generation.camera import camera_track
from stickgen_core.generation.generator import Generator
from stickgen_core.generation.request import Request
from stickgen_core.generation.timed import generate_timed, joined, timed_parts
from stickgen_core.model.denoiser import build_model
from stickgen_core.model.normalise import Statistics
from stickgen_core.rendering.motionfile import motion_text
from stickgen_core.text.config import TextConfig
from stickgen_core.text.encoders import encoder_for
from stickgen_core.training.checkpoints import BEST, FORMAT, save
from stickgen_core.training.config import run_config

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[3]
TEXT = TextConfig(encoder="hashing", hashing_width=32)
SIZES = [
    "model.d_model=32", "model.num_layers=1", "model.nhead=2", "model.embedding_dim=32", 'model.expected_parameters={"motion_only":null}',
    "sampler.diffusion_steps=3", "sampler.use_diffusion=true",
]  # fmt: skip


def config(**changes):
    return load(GenerationConfig, [ROOT / "configs/defaults/generation.yaml"]).model_copy(update=changes)


def statistics():
    ones = np.ones(20)
    return Statistics(ones * 0, ones * 0.1, ones, ones, np.zeros(6), np.ones(6), "corpus", "train", 1, 100, 25.0)


def run():
    return run_config(ROOT / "configs", "test", "small", "pretrain", SIZES)


def tiny(seed=0, **options):
    torch.manual_seed(seed)
    changes = options.pop("changes", {})
    model = build_model(run().model)
    with torch.no_grad():  # a fresh model answers zero; this one must answer its input
        for weights in model.parameters():
            weights.add_(0.2 * torch.randn_like(weights))
    return Generator(model, run(), statistics(), encoder_for(TEXT), config(**changes), **options)


@pytest.fixture(scope="module")
def unguarded():
    return tiny(enable_safety_check=False)


def test_the_same_request_gives_the_same_bits_and_another_seed_another_motion(unguarded):
    request = Request(("a person walks", "a person jumps"), seconds=1, seed=5)
    torch.manual_seed(99)
    first = unguarded.generate(request)
    torch.rand(7)
    again, other = unguarded.generate(request), unguarded.generate(replace(request, seed=6))
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a.motion, b.motion)
        assert not np.array_equal(a.motion, c.motion)
    assert first[0].motion.shape == (25, 1, 20)
    assert first[0].physics.shape == (25, 1, 6)


def test_people_guidance_actions_camera_and_the_preview_reach_the_model(unguarded):
    base = unguarded.generate("walk", seconds=1, actors=2)[0]
    assert base.motion.shape == (25, 2, 20)
    for change in ({"guidance": 3.0}, {"actions": 4}, {"camera": "zoom in"}, {"use_diffusion": False}, {"diffusion_steps": 2}):
        changed = unguarded.generate("walk", seconds=1, actors=2, **change)[0]
        assert not np.array_equal(changed.motion, base.motion), change
        assert changed.preview == ("use_diffusion" in change)


def test_an_empty_prompt_is_the_null_condition(unguarded):
    assert np.isfinite(unguarded.generate("", seconds=1)[0].motion).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seconds": 1000}, "seconds"), ({"seconds": float("nan")}, "seconds"), ({"actors": 99}, "actors"), ({"actors": 0}, "actors"),
        ({"diffusion_steps": 0}, "diffusion_steps"), ({"guidance": -1}, "guidance"), ({"actions": 64}, "actions"), ({"camera": "fly"}, "camera"),
        ({"actions": np.zeros(3, int)}, "actions"), ({"camera": np.zeros((25, 3))}, "camera"),
    ],
)  # fmt: skip
def test_what_exceeds_a_bound_is_named(unguarded, values, message):
    with pytest.raises(StickgenError, match=message):
        unguarded.generate("walk", **{"seconds": 1, **values})


def test_too_many_prompts_and_too_long_a_prompt(unguarded):
    with pytest.raises(StickgenError, match="prompts"):
        unguarded.generate(["a"] * 65)
    with pytest.raises(StickgenError, match="characters"):
        unguarded.generate("a" * 501)


def test_an_untrained_model_is_caught_by_the_gate_and_the_reason_is_told():
    guarded = tiny(changes={"max_attempts": 2})
    result = guarded.generate("walk", seconds=2)[0]
    assert not result.accepted
    assert result.attempts == 2
    assert "score" in result.reason and result.safety.issues
    with pytest.raises(StickgenError, match="rejected 2 times"):
        tiny(changes={"max_attempts": 2, "on_rejection": "refuse"}).generate("walk", seconds=2)


def test_a_lenient_gate_accepts_at_the_first_attempt():
    result = tiny(changes={"rejection_severity_threshold": 1.0, "min_quality_score": 0.0}, safety=SafetyConfig()).generate(
        "walk", seconds=1
    )[0]
    assert result.attempts == 1 or not result.accepted


def test_check_motion_safety_takes_arrays_and_tensors(unguarded):
    still = torch.zeros(100, 20)
    assert not unguarded.check_motion_safety(still).is_safe
    assert unguarded.check_motion_safety(still.numpy()) == unguarded.check_motion_safety(still)
    assert not unguarded.check_motion_safety(np.full((50, 20), np.nan)).is_safe


def payload(model):
    return {
        "format": FORMAT, "model_state_dict": model.state_dict(), "ema": {}, "config": run().model_dump(mode="json"), "epoch": 1, "step": 1,
        "statistics": statistics().to_dict(), "parents": {}, "base": None,
    }  # fmt: skip


def test_a_checkpoint_on_disk_gives_the_same_motion_as_the_model_in_memory(tmp_path):
    held = tiny(enable_safety_check=False)
    save(tmp_path / BEST, payload(held.model))
    found = Generator.from_checkpoint(tmp_path, config(), TEXT, enable_safety_check=False)
    assert_allclose(found.generate("walk", seconds=1)[0].motion, held.generate("walk", seconds=1)[0].motion, atol=0)


def test_no_checkpoint_no_motion(tmp_path):
    with pytest.raises(MissingInput, match="stickgen build"):
        Generator.from_checkpoint(tmp_path / "none", config(), TEXT)


def test_another_text_encoder_is_refused(tmp_path):
    held = tiny(enable_safety_check=False)
    save(tmp_path / BEST, payload(held.model) | {"encoder_digest": "0" * 64})
    with pytest.raises(StickgenError, match="text.encoder"):
        Generator.from_checkpoint(tmp_path, config(), TEXT)
    with pytest.raises(StickgenError, match="32"):
        Generator(held.model, run(), statistics(), encoder_for(TextConfig(encoder="hashing", hashing_width=64)), config())


def test_a_result_can_be_drawn_and_written(unguarded):
    result = unguarded.generate("a person waves", seconds=1, actions=1, camera="pan left and zoom out")[0]
    scene = unguarded.scene(result, ["stand", "walk"])
    assert scene.camera is not None and scene.meta["prompt"] == "a person waves"
    assert '"a person waves"' in motion_text(scene)


def test_camera_words_begin_at_the_static_view_and_go_where_they_say():
    track = camera_track("crane up and zoom in", 50, 1.5)
    assert_allclose(track[0], [0, 1, 1])
    assert_allclose(track[-1], [0, 2.5, 1.5], rtol=1e-6)


def test_timed_prompts_are_read_or_left_alone():
    parts = timed_parts("0-3 s walk forward, then turn, 3–5 s: wave")
    assert [(p.start_s, p.end_s, p.text) for p in parts] == [(0, 3, "walk forward, then turn"), (3, 5, "wave")]
    assert timed_parts("a person walks 3 steps, 2 times") == []
    with pytest.raises(StickgenError, match="from 3 s"):
        timed_parts("0-3 s walk, 4-5 s wave")


def test_a_timed_prompt_has_the_asked_length_and_joins_without_a_jump(unguarded):
    result = generate_timed(unguarded, timed_parts("0-1 s walk, 1-2 s wave"), Request(("",)))
    assert len(result.motion) == len(result.camera) == len(result.actions) == 50
    t = np.arange(30, dtype=np.float32)
    before, after = np.tile((t / 25)[:, None, None], (1, 1, 20)), np.tile((7 + t / 25)[:, None, None], (1, 1, 20))
    after[..., 1::2] = before[..., 1::2] = 1.0
    whole = joined(before, after, 10)
    assert_allclose(np.diff(whole[:, 0, 0]), 1 / 25, atol=1e-5)
