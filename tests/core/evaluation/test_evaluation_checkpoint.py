"""One checkpoint judged from end to end: deterministic, cached where it may be, refused where it does not fit."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.evaluation.checkpoint import Bench, evaluate_checkpoint
from stickgen_core.evaluation.fits import checkpoint_fits
from stickgen_core.evaluation.gallery import FIGURES_NAME, load_figures
from stickgen_core.evaluation.items import choose, read_items
from stickgen_core.evaluation.panel import Panel
from stickgen_core.evaluation.protocol import Protocol
from stickgen_core.evaluation.report import read_report, validate, write_report
from stickgen_core.evaluation.sampling import Sampler
from stickgen_core.records.environment import torch_threads

SETS = {
    "toy_test": {"split": "test", "sources": ["toy"], "documented": 500},
    "pairs": {"split": "test", "pairs": True},
    "waving": {"split": "test", "caption_words": ["waves"]},
    "elsewhere": {"split": "test", "sources": ["humanml3d"], "documented": 4384},
}
PROTOCOL = Protocol(title="t", note="n", evaluation={"samples": 256, "repetitions": 3}, sets=SETS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("rows")


@pytest.fixture(scope="module")
def bench(cache, evaluator):
    return Bench(protocol=PROTOCOL, panel=Panel({"seed_7": evaluator}, {}), cache=cache)


@pytest.fixture(scope="module")
def result(checkpoint, embedded, evaluator, config, bench):
    return evaluate_checkpoint(checkpoint, *embedded, evaluator, config, bench)


def test_the_report_is_valid_complete_and_names_its_inputs(result, embedded, evaluator):
    report = result.report()
    validate(report)
    assert json.loads(json.dumps(report)) == report
    provenance = report["content"]["provenance"]
    assert provenance["corpus"] == embedded[0].digest and provenance["evaluator"] == evaluator.digest and provenance["n"] == 96
    rows = [row["name"] for row in report["content"]["rows"]]
    assert (rows[0], rows[-1]) == ("real", "model")
    assert {"shuffled", "retrieval", "untrained", "null_text", "real_halves", "mirrored"} <= set(rows)
    assert result.measure("fid").note == "not computed: N < 2,000"
    assert 0 <= result.measure("action_accuracy").low <= result.measure("action_accuracy").high <= 1
    assert result.measure("motion_mse").value > 0.3
    assert {bar["name"] for bar in report["content"]["thresholds"]} >= {"pose_mse", "action_accuracy", "fid", "validation_loss"}


def test_a_reference_of_training_clips_is_named_warned_of_and_not_lent(
    result, checkpoint, embedded, evaluator, config, monkeypatch, tmp_path
):
    """All 96 test clips are judged, so 96 of the 384 training clips are compared with."""
    provenance = result.content["provenance"]
    assert (provenance["reference_split"], provenance["reference_n"], provenance["train_n"]) == ("train", 96, 288)
    assert any("to 96 training clips, not to held-out ones" in warning for warning in result.content["warnings"])
    write_report(result, tmp_path / "r", name="n", recipe="r", parents={})
    page = (tmp_path / "r" / "index.html").read_text()
    assert "96 real to compare with (train), 288 training clips to borrow from" in page and "to 96 training clips, not to held-out" in page

    class Stop(Exception):
        pass

    def rows(judge, items, train, *, nearest, **_):
        assert len(nearest) and not {train.ids[row] for row in nearest} & set(judge.reference.ids)
        raise Stop

    monkeypatch.setattr("stickgen_core.evaluation.checkpoint.honesty_rows", rows)
    with pytest.raises(Stop):
        evaluate_checkpoint(checkpoint, *embedded, evaluator, config)


def test_a_held_out_reference_leaves_every_training_clip_to_borrow(checkpoint, embedded, evaluator, config):
    short = config.model_copy(
        update={"samples": 48, "repetitions": 1, "untrained_samples": 0, "sweep": config.sweep.model_copy(update={"samples": 0})}
    )
    content = evaluate_checkpoint(checkpoint, *embedded, evaluator, short).content
    assert (content["provenance"]["reference_split"], content["provenance"]["train_n"]) == ("test", 384)
    assert not any("training clips" in warning for warning in content["warnings"])


def test_rows_that_can_only_borrow_from_the_reference_are_warned_of(checkpoint, embedded, evaluator, config):
    short = {"repetitions": 1, "untrained_samples": 0, "sweep": config.sweep.model_copy(update={"samples": 0})}
    content = evaluate_checkpoint(checkpoint, *embedded, evaluator, config.model_copy(update={"reference_clips": 384, **short})).content
    assert content["provenance"]["train_n"] == 384
    assert any("are measured against what they borrow" in warning for warning in content["warnings"])


def test_equal_work_gives_equal_digests_and_known_rows_are_not_measured_again(
    result, checkpoint, embedded, evaluator, config, cache, bench
):
    stored = sorted(cache.iterdir())
    written = [p.stat().st_mtime_ns for p in stored]
    again = evaluate_checkpoint(checkpoint, *embedded, evaluator, config, bench)
    assert again.digest == result.digest and again.made["wall_s"] >= 0
    assert [p.stat().st_mtime_ns for p in sorted(cache.iterdir())] == written


def test_judging_computes_on_its_own_threads_and_leaves_the_process_as_it_was(checkpoint, embedded, evaluator, config, bench):
    with torch_threads(3):
        again = evaluate_checkpoint(checkpoint, *embedded, evaluator, config, bench)
        assert torch.get_num_threads() == 3 and again.made["threads"] == config.evaluator.threads


def test_a_report_survives_the_disk_and_a_changed_number_is_noticed(result, tmp_path):
    write_report(result, tmp_path / "r", name="evaluation/small_pretrain_report", recipe="r", parents={})
    assert read_report(tmp_path / "r")["content_digest"] == result.digest
    path = tmp_path / "r" / "report.json"
    path.write_text(path.read_text().replace('"n": 96', '"n": 97', 1))
    with pytest.raises(StickgenError, match="digest"):
        read_report(tmp_path / "r")


def test_a_sample_does_not_depend_on_its_batch(checkpoint, embedded, config):
    corpus, vectors = embedded
    items = read_items(corpus, choose(corpus, "test", 6, 1), 1)
    together = Sampler.of(checkpoint, vectors, seed=1, batch=6).draw(items)
    alone = Sampler.of(checkpoint, vectors, seed=1, batch=1).draw(items)
    other = Sampler.of(checkpoint, vectors, seed=1, batch=6).draw(items, repetition=1)
    for a, b, c in zip(together.motions, alone.motions, other.motions, strict=True):
        assert np.allclose(a, b, atol=1e-4) and not np.allclose(a, c, atol=1e-2)


def test_a_missing_checkpoint_or_a_foreign_encoder_is_refused(checkpoint, embedded, evaluator, config, tmp_path):
    corpus, vectors = embedded
    with pytest.raises(MissingInput, match="no checkpoint"):
        evaluate_checkpoint(tmp_path, corpus, vectors, evaluator, config)

    class Wide:
        width = 99

    with pytest.raises(StickgenError, match="64 wide, found 99"):
        evaluate_checkpoint(checkpoint, corpus, Wide(), evaluator, config)


def test_the_page_stands_alone_and_shows_every_row(result, tmp_path):
    write_report(result, tmp_path / "r", name="n", recipe="r", parents={})
    page = (tmp_path / "r" / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    for row in result.content["rows"]:
        assert row["title"].replace("'", "&#x27;") in page or row["title"] in page
    assert "not computed: N &lt; 2,000" in page and result.content["provenance"]["corpus"][:12] in page
    assert page.count("sg-data") >= 1 and len(page) < 4_000_000


def test_a_checkpoint_corpus_or_evaluator_that_does_not_fit_is_refused(checkpoint, corpus, embedded, evaluator, config):
    """Each digest is held against the others before a single clip is drawn."""
    whole, vectors = embedded
    with pytest.raises(StickgenError, match="statistics of corpus"):
        evaluate_checkpoint(checkpoint, corpus, vectors, evaluator, config)
    foreign = replace(evaluator, card={**evaluator.card, "corpus": "f" * 64})
    with pytest.raises(StickgenError, match="taught on corpus ffffffffffff"):
        evaluate_checkpoint(checkpoint, whole, vectors, foreign, config)
    with pytest.raises(StickgenError, match="taught on corpus ffffffffffff"):
        evaluate_checkpoint(checkpoint, whole, vectors, evaluator, config, Bench(panel=Panel({"seed_7": foreign}, {})))
    sampler = Sampler.of(checkpoint, vectors, seed=1)
    stale = replace(sampler, meta={**sampler.meta, "parents": {"corpus/embedded_sft": "a" * 64}})
    with pytest.raises(StickgenError, match="which is bbbbbbbbbbbb now"):
        checkpoint_fits(stale, whole, {"corpus/embedded_sft": "b" * 64})
    checkpoint_fits(stale, whole, {"corpus/embedded_sft": "a" * 64})
    other = replace(sampler, meta={**sampler.meta, "encoder_digest": "e" * 64})
    with pytest.raises(StickgenError, match="trained with text encoder eeeeeeeeeeee"):
        checkpoint_fits(other, whole, {})


def test_each_set_holds_its_own_clips_and_names_its_documented_size(result, embedded):
    sets = result.content["sets"]
    assert (sets["toy_test"]["actual"], sets["toy_test"]["n"], sets["toy_test"]["documented"]) == (96, 96, 500)
    assert sets["waving"]["actual"] == 24 and sets["waving"]["n"] == 24
    # "waves the left hand" and "waves the right hand", "walks slowly" and "walks fast": one word apart; so are "a person" and "someone"-less rest.
    assert sets["pairs"]["actual"] >= 48 and sets["pairs"]["n"] == 32
    assert sets["elsewhere"]["n"] == 0 and "no clip of this set" in sets["elsewhere"]["note"] and sets["elsewhere"]["documented"] == 4384
    assert sets["toy_test"]["real"]["action_accuracy"]["value"] > sets["toy_test"]["model"]["action_accuracy"]["value"]
    assert "samples 96 instead of 256" in result.content["provenance"]["protocol_departures"]
    assert any("samples 96 instead of 256" in warning for warning in result.content["warnings"])


def test_the_same_evaluator_twice_on_the_panel_says_the_same(result):
    first, second = result.content["panel"].values()
    assert first == second and set(first) == {"r_precision_text_to_motion_3", "kid", "action_accuracy"}


def test_the_worst_clips_are_worse_than_those_shown_first(result, tmp_path):
    content = result.content
    shown = {clip["id"] for clip in content["clips"]}
    assert len(content["failures"]) == 2 and not shown & {clip["id"] for clip in content["failures"]}
    assert all(not clip["safe"] or clip["farther_than"] > 0.9 for clip in content["failures"])
    write_report(result, tmp_path / "r", name="n", recipe="r", parents={})
    again = load_figures(tmp_path / "r" / FIGURES_NAME)
    assert [f.id for f in again] == [clip["id"] for clip in content["clips"]]
    assert all(np.array_equal(a.motion, b.motion) for a, b in zip(again, result.figures.figures, strict=True))


def test_the_sweep_varies_one_setting_at_a_time_and_never_on_what_is_judged(result, config):
    points = result.content["sweep"]["points"]
    assert [(p["varied"], p["guidance"], p["steps"]) for p in points] == [
        ("guidance", 1.0, 4),
        ("steps", result.content["sweep"]["own"]["guidance"], 2),
    ]
    assert type(config.sweep)().split == "val"


@pytest.mark.slow
def test_embedded_features_of_four_thousand_clips_are_scored_within_a_minute():
    from stickgen_core.evaluation.distances import frechet_distance
    from stickgen_core.evaluation.retrieval import r_precision, unit_vectors

    rng = np.random.default_rng(0)
    text, motion, real = (unit_vectors(rng.normal(size=(4000, 256))) for _ in range(3))
    started = time.process_time()
    frechet_distance(motion, real)
    r_precision(text, motion, seed=0, size=32, reshuffles=20, resamples=1000)
    assert time.process_time() - started < 60


def test_whatever_enters_a_model_lies_on_its_device(checkpoint, embedded):
    """On a device without memory every operation checks where its tensors lie, and only the way back to the host fails."""
    corpus, vectors = embedded
    items = read_items(corpus, choose(corpus, "test", 3, 1), 1)
    sampler = Sampler.of(checkpoint, vectors, seed=1)
    elsewhere = replace(sampler, model=sampler.model.to("meta"), device=torch.device("meta"))
    for ask in (
        lambda: elsewhere.draw(items),
        lambda: elsewhere.draw(items, text=False),
        lambda: elsewhere.mean_prediction(items),
        lambda: elsewhere.untrained().draw(items),
        lambda: elsewhere.held_out_loss(corpus, "test", 4),
    ):
        with pytest.raises(NotImplementedError, match="copy out of meta tensor"):
            ask()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what is asked for")
def test_a_device_that_is_not_there_is_refused_by_its_key(checkpoint, embedded, evaluator, config):
    with pytest.raises(StickgenError, match=r"evaluation\.device: cuda is asked for, but this machine has none"):
        evaluate_checkpoint(checkpoint, *embedded, evaluator, config.model_copy(update={"device": "cuda"}))
