"""The commands and assets that judge: what they accept, what they refuse in one line, and what each asset hangs on."""

import json
from pathlib import Path

import pytest

from stickgen_core.errors import ConfigError, MissingInput
from stickgen_core.evaluation.config import ThresholdsConfig
from stickgen_core.records.manifest import Manifest
from stickgen_pipeline.cli import main, parser
from stickgen_pipeline.commands.evaluation import _holds
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import resolve

ENTRY = {"run_id": "20261121_000000_small_sft", "task": "small_sft", "config_hash": "abcdef", "metrics": {"val_loss": 0.35}}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("task=small_sft", True), ("task!=small_sft", False), ("task=small", False), ("task~small", True), ("metrics.val_loss<0.4", True),
        ("metrics.val_loss>=0.4", False), ("metrics.fid<4", False), ("config_hash=abc", True), ("run_id~2026", True), ("nobody=1", False),
    ],
)  # fmt: skip
def test_a_condition_on_a_registered_model_holds_or_not(condition, holds):
    assert _holds(ENTRY, condition) is holds


@pytest.mark.parametrize(
    ("condition", "says"), [("task", "expected KEY=VALUE"), ("metrics.val_loss<small", "is a number"), ("task<3", "is text")]
)
def test_a_condition_that_cannot_be_asked_is_refused(condition, says):
    with pytest.raises(ConfigError, match=says):
        _holds(ENTRY, condition)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STICKGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STICKGEN_PROFILE", "test")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["evaluate"], "name one of the nine"),
        (["evaluate", "--checkpoint", "nowhere.pth"], "no such checkpoint"),
        (["evaluate", "--all", "--where", "task=small_sft"], "no registered model is task=small_sft"),
        (["compare", "one", "other"], "no report, several-seed run or checkpoint"),
        (["verify-results", "one", "--expected", "none.yaml"], "no report, several-seed run or checkpoint"),
        (["adversarial", "--checkpoint", "nowhere"], "no trained model here"),
        (["bench", "--protocol", "huge"], "no such protocol (there are cpu, full)"),
    ],
)
def test_what_is_missing_is_one_line(home, capsys, arguments, says):
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1


def test_a_run_is_held_against_what_was_expected_of_it(home, capsys):
    run = home / "run"
    run.mkdir()
    (run / "metadata.yaml").write_text("run_id: 20261121_000000_x\nmetrics: {val_loss: 0.35, pose_mse: 0.2}\n")
    expected = home / "expected.json"
    expected.write_text(json.dumps({"measures": {"val_loss": 0.36, "pose_mse": {"below": 0.05}}}))
    assert main(["verify-results", str(run), "--expected", str(expected), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["measures"]["val_loss"]["passed"] and not told["measures"]["pose_mse"]["passed"] and not told["passed"]
    expected.write_text(json.dumps({"measures": {"val_loss": 0.36}}))
    assert main(["verify-results", str(run), "--expected", str(expected)]) == 0


def test_the_documented_suite_names_and_seeds_are_taken_as_they_stand():
    asked = parser().parse_args(
        ["adversarial", "--checkpoint", "P", "--suites", "adversarial_contradictory", "adversarial_extreme_actions"]
    )
    assert asked.suites == ["adversarial_contradictory", "adversarial_extreme_actions"]
    assert parser().parse_args(["train", "small", "pretrain", "--seeds", "42", "123"]).seeds == [42, 123]
    assert parser().parse_args(["train", "small", "pretrain", "--seeds"]).seeds == []
    assert resolve("test").config.evaluation.seeds == (42, 123, 456, 789, 1024)


def test_every_report_hangs_on_its_judge_its_panel_and_its_prompts_and_answers_for_every_bar():
    steps = steps_of(resolve("test"))
    report = steps["evaluation/small_sft_report"]
    assert set(report.parents) == {"checkpoint/small_sft", "corpus/embedded_pretrain", "evaluation/evaluator", "evaluation/evaluator_panel",
                                   "evaluation/small_sft_adversarial"}  # fmt: skip
    asked = {check.name: check for check in report.checks}
    assert {f"{name}_met" for name in ThresholdsConfig.model_fields} | {"report_holds"} == set(asked)
    bars = [{"name": "fid", "title": "FID", "value": None, "limit": 15.0, "passes": "below", "passed": None, "unit": "", "note": "N < 2,000"},
            {"name": "robustness", "title": "R", "value": 0.9, "limit": 0.5, "passes": "above", "passed": True, "unit": "share", "note": ""}]  # fmt: skip
    manifest = Manifest("r", "report", "d", "r", notes={"thresholds": bars})
    undecided = asked["fid_met"].test(manifest, Path(), False)
    assert not undecided.passed and "not decided: N < 2,000" in undecided.text
    assert asked["robustness_met"].test(manifest, Path(), False).passed
    assert not asked["pose_mse_met"].test(manifest, Path(), False).passed, "a bar that the report does not have is not met"


def test_the_production_model_follows_the_choice_and_its_gate_holds_it_to_it(tmp_path, monkeypatch):
    monkeypatch.setenv("STICKGEN_DATA", str(tmp_path))
    settings = resolve("test")
    step = steps_of(settings)["release/production_model"]
    assert step.folder == settings.places.checkpoints / "production" and "release/model_selection" in step.parents
    with pytest.raises(MissingInput):
        step.checks[0].test(Manifest("p", "checkpoint", "d", "r", notes={"selected": "small_sft"}), step.folder, True)


def test_a_changed_prompt_or_protocol_reaches_only_what_reads_it(tmp_path):
    plain = steps_of(resolve("test"))
    fewer = steps_of(resolve("test", overrides=["evaluation.adversarial.prompts=2"]))
    moved = {key for key in plain if plain[key].version != fewer[key].version}
    assert {f"evaluation/{v}_{s}_adversarial" for v in ("small", "medium", "large") for s in ("pretrain", "sft", "lora")} <= moved
    assert not any(key.startswith(("raw/", "canonical/", "corpus/", "checkpoint/")) for key in moved)
