"""Several seeds and verification: aggregated by definition, refused where the judge differs, and a resumed run equal to the last bit."""

import copy
import json

import numpy as np
import pytest
import torch

from stickgen_core.errors import ConfigError, Corrupt, StickgenError
from stickgen_core.evaluation.seeds import aggregate_reports, compare_aggregates, validated
from stickgen_core.evaluation.verification import compare_checkpoints, compare_reports, expectations, relative_difference, verify
from stickgen_core.records.digests import digest_json


def report(seed: int, **values: float) -> dict:
    measures = {
        name: {"value": v, "low": v - 0.1, "high": v + 0.1, "n": 96, "unit": "share", "over": "items", "note": ""}
        for name, v in values.items()
    }
    content = {
        "title": f"small_seed_{seed}", "rows": [{"kind": "model", "measures": measures}], "losses": {}, "robustness": {},
        "checkpoint": {"weights": f"w{seed}"},
        "provenance": {"evaluator": "e", "corpus": "c", "config": "k", "seed": 42, "protocol": "cpu", "n": 96, "split": "test"},
    }  # fmt: skip
    return {"content": content, "content_digest": digest_json(content)}


def reports(shift: float = 0.0) -> dict[int, dict]:
    noise = np.random.default_rng(0).normal(0, 0.01, 5)
    return {s: report(s, kid=0.5 + shift + float(e)) for s, e in zip((42, 123, 456, 789, 1024), noise, strict=True)}


def test_an_aggregate_holds_every_point_a_t_interval_and_powerless_tests():
    found = aggregate_reports("small_pretrain", reports())
    kid = found["content"]["measures"]["kid"]
    values = np.array(list(kid["points"].values()))
    assert set(kid["points"]) == {"42", "123", "456", "789", "1024"}
    assert kid["summary"]["high"] - kid["summary"]["value"] == pytest.approx(2.7764 * values.std(ddof=1) / np.sqrt(5), rel=1e-4)
    assert kid["shapiro"]["power"] == 0.17 and "decides nothing" in kid["shapiro"]["note"]
    assert validated(found, "here") is found["content"]
    found["content"]["measures"]["kid"]["points"]["42"] = 0.0
    with pytest.raises(Corrupt, match="digest"):
        validated(found, "here")


def test_seeds_judged_differently_or_not_differing_are_refused():
    other = reports()
    other[42]["content"]["provenance"]["evaluator"] = "another"
    with pytest.raises(StickgenError, match="different evaluators"):
        aggregate_reports("small_pretrain", other)
    same = reports()
    same[42]["content"]["checkpoint"]["weights"] = same[123]["content"]["checkpoint"]["weights"]
    with pytest.raises(StickgenError, match="same weights"):
        aggregate_reports("small_pretrain", same)


def test_a_shift_is_found_by_welch_and_more_sharply_by_pairs_and_equal_runs_do_not_differ():
    plain, moved = (aggregate_reports("a", reports(shift))["content"] for shift in (0.0, 0.05))
    found = compare_aggregates(plain, moved)["measures"]["kid"]
    assert found["differs"] and found["difference"] == pytest.approx(0.05)
    assert found["paired"]["low"] == pytest.approx(0.05, abs=1e-6)
    assert not compare_aggregates(plain, plain)["measures"]["kid"]["differs"]
    assert found["levene"]["power"] == 0.08


def test_measures_that_no_seed_moves_are_not_said_to_differ():
    two = [
        aggregate_reports("a", {s: report(s, kid=0.5 + n * s / 1000, fid=9.0 + n, frozen=0.0) for s in (42, 123, 456)})["content"]
        for n in range(1, 3)
    ]
    found = compare_aggregates(*two)
    assert found["measures"]["fid"]["differs"] is None and "neither group varies" in found["measures"]["fid"]["note"]
    assert found["measures"]["frozen"]["p"] == 1 and found["measures"]["frozen"]["differs"] is False
    assert found["family"] == 2 and found["measures"]["fid"]["p_holm"] is None
    json.dumps(found, allow_nan=False)


def test_reports_are_compared_within_a_tolerance_and_only_by_one_judge():
    a, b = report(1, kid=1.0, mm_dist=1.0), report(2, kid=1.05, mm_dist=1.3)
    found = compare_reports(a, b, 0.1)
    assert found["measures"]["kid"]["within"] and not found["measures"]["mm_dist"]["within"] and not found["within"]
    assert found["measures"]["kid"]["overlap"] and not found["measures"]["mm_dist"]["overlap"]
    assert compare_reports(a, a, 0.0)["equal"]
    foreign = copy.deepcopy(b)
    foreign["content"]["provenance"]["corpus"] = "another"
    with pytest.raises(StickgenError, match="judged by different"):
        compare_reports(a, foreign, 0.1)


def test_the_difference_has_no_side():
    assert relative_difference(1.0, 2.0) == relative_difference(2.0, 1.0) == 0.5
    assert relative_difference(0.0, 0.0) == 0.0 and relative_difference(-1.0, 1.0) == 2.0


def test_expectations_are_values_or_bars_and_a_missing_number_never_passes(tmp_path):
    path = tmp_path / "expected.yaml"
    path.write_text(
        "tolerance: 0.1\nmeasures:\n  kid: 1.0\n  fid: {below: 15}\n  accuracy: {above: 0.7}\n  gone: {below: 1}\n  tight: {value: 1.0, tolerance: 0.01}\n"
    )
    found = verify({"kid": 1.05, "fid": 20.0, "accuracy": 0.8, "tight": 1.05}, expectations(path))
    assert {name: v["passed"] for name, v in found.items()} == {"kid": True, "fid": False, "accuracy": True, "gone": False, "tight": False}
    assert found["gone"]["note"] == "not measured"
    path.write_text("measures: {kid: {note: nothing}}\n")
    with pytest.raises(ConfigError, match="give a value"):
        verify({"kid": 1.0}, expectations(path))
    with pytest.raises(ConfigError, match="no such file"):
        expectations(tmp_path / "none.yaml")


def test_checkpoints_are_equal_to_the_last_bit_or_not_equal(checkpoint, tmp_path):
    import shutil

    from stickgen_core.training.checkpoints import BEST, read, save
    from stickgen_core.training.journal import METRICS

    one, twin = tmp_path / "one", tmp_path / "twin"
    for folder, speed, loss in ((one, 900.0, 0.5), (twin, 300.0, 0.5)):
        shutil.copytree(checkpoint, folder)
        (folder / METRICS).write_text(
            json.dumps({"step": 2, "kind": "train", "loss": loss, "frames_per_s": speed, "peak_share": speed}) + "\n"
        )
    assert compare_checkpoints(one, twin)["equal"], "how fast a machine was is no result"
    (twin / METRICS).write_text(json.dumps({"step": 2, "kind": "train", "loss": 0.5000001}) + "\n")
    found = compare_checkpoints(one, twin)
    assert not found["equal"] and found["log"]["first_difference"] == [2, "train", "loss"]
    payload = read(twin / BEST)
    name = next(iter(payload["model_state_dict"]))
    payload["model_state_dict"][name].view(-1)[0] += torch.finfo(torch.float32).eps
    save(twin / BEST, payload)
    found = compare_checkpoints(checkpoint, twin)
    assert not found["equal"] and 0 < found["files"][BEST]["model_state_dict"] < 1e-6
    with pytest.raises(StickgenError, match="give two checkpoint folders"):
        compare_checkpoints(checkpoint, tmp_path)
