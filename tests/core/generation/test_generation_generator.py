"""The generator: the same request gives the same bits, bounds hold, rejected motions are drawn again and explained."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.testing import assert_allclose

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.safety import SafetyResult
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.generation.camera import camera_track
from stickgen_core.generation.generator import Generator
from stickgen_core.generation.picture import Picture, condition_of
from stickgen_core.generation.request import Request
from stickgen_core.generation.timed import Window, agreeing, stitched, timed_parts, windows_of
from stickgen_core.model.normalise import Normaliser
from stickgen_core.rendering.motionfile import motion_text
from stickgen_core.text.config import TextConfig
from stickgen_core.text.encoders import encoder_for
from stickgen_core.training.checkpoints import BEST, FORMAT, save
from stickgen_core.training.images import DECODERS
from tests.core.generation.generation_tiny import TEXT, config, run, statistics, tiny

torch.set_num_threads(1)


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
    assert timed_parts("a person walks 3 steps, 2 times") == ()
    with pytest.raises(StickgenError, match="from 3 s"):
        timed_parts("0-3 s walk, 4-5 s wave")


def test_windows_overlap_round_the_moment_where_the_text_changes():
    windows = windows_of(timed_parts("0-3 s walk, 3-5 s wave"), 25.0, 0.4, 250)
    assert windows == (Window(0, 80, "walk"), Window(70, 125, "wave"))
    with pytest.raises(StickgenError, match="at least 0.4 s"):
        windows_of(timed_parts("0-3 s walk, 3-3.2 s wave"), 25.0, 0.4, 250)
    with pytest.raises(StickgenError, match="too long"):
        windows_of(timed_parts("0-3 s walk, 3-5 s wave"), 25.0, 0.4, 60)


def test_windows_are_stitched_where_the_figure_stands_without_a_jump():
    t = torch.arange(30) / 25
    before, after = (torch.zeros(30, 1, 20) for _ in range(2))
    before[..., 0::2], after[..., 0::2] = t[:, None, None], 7 + t[:, None, None]
    whole, shifts = stitched([before, after], [Window(0, 30, "a"), Window(20, 50, "b")])
    assert_allclose(np.diff(whole[:, 0, 0]), 1 / 25, atol=1e-5)
    assert_allclose(shifts[1].numpy(), 20 / 25 - 7, atol=1e-5)


def acceleration(motion):
    """[T-2] largest second difference of a frame."""
    return np.abs(np.diff(motion[:, 0], n=2, axis=0)).max(-1)


def test_a_timed_prompt_is_one_motion_of_the_asked_length_with_a_caption_a_part(unguarded):
    result = unguarded.generate("0-1 s walk, 1-2 s wave", seed=3)[0]
    assert len(result.motion) == len(result.camera) == len(result.actions) == 50
    assert [(c.text, c.start_s, c.end_s) for c in result.captions] == [("walk", 0, 1), ("wave", 1, 2)]
    assert np.array_equal(result.motion, unguarded.generate("0-1 s walk, 1-2 s wave", seed=3)[0].motion)
    bends = acceleration(result.motion)
    assert bends[18:31].max() < 1.5 * np.delete(bends, slice(18, 31)).max(), "the join bends more than the rest"


def test_windows_agree_wherever_they_show_the_same_moment():
    windows = windows_of(timed_parts("0-1 s walk, 1-2 s wave, 2-3 s sit"), 25.0, 0.4, 250)
    normaliser = Normaliser(statistics())
    longest = max(w.stop - w.start for w in windows)
    clean = torch.randn((3, longest, 2, 20), generator=torch.Generator().manual_seed(1))
    metres = normaliser.metres(agreeing(normaliser, windows)(clean))
    for n in range(2):
        first, second = windows[n], windows[n + 1]
        overlap = first.stop - second.start
        gap = metres[n, first.stop - first.start - overlap : first.stop - first.start] - metres[n + 1, :overlap]
        # One sideways offset a person and nothing else is between them.
        assert_allclose(gap[..., 1::2].numpy(), 0, atol=1e-4)
        assert_allclose((gap[..., 0::2] - gap[:1, :, :1]).numpy(), 0, atol=1e-4)


def test_timed_and_plain_prompts_share_a_batch_in_their_order(unguarded):
    mixed = unguarded.generate(["sit", "0-1 s walk, 1-2 s wave", "jump"], seed=2)
    assert [r.prompt for r in mixed] == ["sit", "0-1 s walk, 1-2 s wave", "jump"]
    assert len(mixed[1].motion) == 50
    with pytest.raises(StickgenError, match="leave seconds out"):
        unguarded.generate("0-1 s walk, 1-2 s wave", seconds=5)


def test_a_negative_prompt_pushes_away_and_an_empty_one_changes_nothing(unguarded):
    plain = unguarded.generate("walk", seconds=1, guidance=3.0)[0].motion
    away = unguarded.generate("walk", seconds=1, guidance=3.0, negative="run")[0].motion
    same = unguarded.generate("walk", seconds=1, guidance=3.0, negative="  ")[0].motion
    assert np.array_equal(plain, same)
    assert not np.allclose(plain, away)
    # Guided away from itself the prompt is all that is left: the guidance cancels.
    itself = unguarded.generate("walk", seconds=1, guidance=3.0, negative="walk")[0].motion
    assert_allclose(itself, unguarded.generate("walk", seconds=1, guidance=1.0)[0].motion, atol=1e-4)
    with pytest.raises(StickgenError, match="guidance above 1"):
        unguarded.generate("walk", seconds=1, guidance=1.0, negative="run")


def test_progress_counts_steps_and_an_exception_from_it_ends_the_work(unguarded):
    seen = []
    unguarded.generate("walk", lambda *event: seen.append(event), seconds=1, diffusion_steps=3)
    assert seen == [("attempt 1", 1, 3), ("attempt 1", 2, 3), ("attempt 1", 3, 3)]

    def stop(label, done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        unguarded.generate("walk", stop, seconds=1)


def png(size=40):
    buffer = io.BytesIO()
    PIL.Image.new("RGBA", (size, size), (200, 30, 30, 128)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_reaches_a_multimodal_checkpoint_only_and_within_bounds(unguarded):
    with pytest.raises(StickgenError, match="without pictures"):
        unguarded.generate("walk", seconds=1, picture=Picture(png()))
    seeing = tiny(enable_safety_check=False, multimodal=True, changes={"max_image_px": 64})
    plain = seeing.generate("walk", seconds=1)[0].motion
    shown = seeing.generate("walk", seconds=1, picture=Picture(png()))[0].motion
    aside = seeing.generate("walk", seconds=1, picture=Picture(png(), (4, 1, 0, 0, 1, 0, 40)))[0].motion
    assert not np.allclose(plain, shown) and not np.allclose(shown, aside)
    for bad, message in (
        (Picture(b"no picture"), "not a readable"),
        (Picture(png(100)), "max_image_px"),
        (Picture(png(), (1, 2)), "viewpoint"),
    ):
        with pytest.raises(StickgenError, match=message):
            seeing.generate("walk", seconds=1, picture=bad)


def test_a_picture_is_the_same_numbers_as_in_training(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    assert np.array_equal(DECODERS["pil"](tmp_path / "a.png", (32, 32)), condition_of(Picture(png()), (32, 32), config())[0])


def test_of_several_rejected_samples_the_best_is_returned():
    scores = iter([0.1, 0.25, 0.2])
    held = tiny(changes={"max_attempts": 3})
    held.gate = SimpleNamespace(
        judge=lambda motion, fps: SafetyResult(False, next(scores)), reason=lambda result: f"score {result.overall_score}"
    )
    result = held.generate("walk", seconds=1)[0]
    assert (result.attempts, result.reason) == (3, "score 0.25")
    scores = iter([0.1, 0.25, 0.2])
    with pytest.raises(StickgenError, match="rejected 3 times"):
        held.generate("walk", seconds=1, on_rejection="refuse")
