"""One checkpoint judged from end to end: deterministic, cached where it may be, refused where it does not fit."""

import json
import time

import numpy as np
import pytest

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.evaluation.checkpoint import evaluate_checkpoint
from stickgen_core.evaluation.items import choose, read_items
from stickgen_core.evaluation.report import read_report, validate, write_report
from stickgen_core.evaluation.sampling import Sampler


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("rows")


@pytest.fixture(scope="module")
def result(checkpoint, embedded, evaluator, config, cache):
    return evaluate_checkpoint(checkpoint, *embedded, evaluator, config, cache=cache)


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


def test_equal_work_gives_equal_digests_and_known_rows_are_not_measured_again(result, checkpoint, embedded, evaluator, config, cache):
    stored = sorted(cache.iterdir())
    written = [p.stat().st_mtime_ns for p in stored]
    again = evaluate_checkpoint(checkpoint, *embedded, evaluator, config, cache=cache)
    assert again.digest == result.digest and again.made["wall_s"] >= 0
    assert [p.stat().st_mtime_ns for p in sorted(cache.iterdir())] == written


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
