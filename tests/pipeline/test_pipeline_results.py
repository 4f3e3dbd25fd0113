"""Every command that judges, run for real over one small root: what it prints as JSON, what it leaves on the disk, twice the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stickgen_core.evaluation.production import BEST_MODEL, publish_production
from stickgen_core.evaluation.report import read_report
from stickgen_core.records.digests import digest_json
from stickgen_core.training.checkpoints import load_model
from stickgen_pipeline.cli import main
from tests.factories.roots import CLIPS

torch.set_num_threads(1)
STAGES = ("small_pretrain", "small_sft", "small_lora")
OWN = tuple(
    part
    for override in (
        f"datasets.synthetic.options.clips={CLIPS}", 'pipeline.variants=["small"]', "evaluation.untrained_samples=8", "evaluation.resamples=50",
        "evaluation.reshuffles=3",
    )
    for part in ("-c", override)
)  # fmt: skip


@pytest.fixture(scope="module")
def home(pristine, tmp_path_factory):
    """A root whose three checkpoints of small were judged by `stickgen bench`."""
    root = tmp_path_factory.mktemp("results")
    shutil.copytree(pristine.folder, root / "data")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"STICKGEN_PROFILE": "test", "STICKGEN_DATA": root / "data", "DATA_ROOT": pristine.raw,
                            "DAGSTER_HOME": root / "dagster", "OMP_NUM_THREADS": "1"}.items():  # fmt: skip
            patch.setenv(name, str(value))
        assert main([*OWN, "bench", "--json"]) == 0
        yield root / "data"


@pytest.fixture
def stickgen(home, capsys):
    """Run a command; gives its JSON."""

    def call(*arguments, code=0):
        capsys.readouterr()
        assert main([*OWN, *arguments, "--json"]) == code, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return call


def test_bench_leaves_a_page_a_pdf_a_choice_and_its_weights(home):
    release = json.loads((home / "eval_results/release/release.json").read_text())
    assert digest_json(release["content"]) == release["content_digest"]
    assert set(release["content"]["reports"]) == set(STAGES)
    assert (home / "eval_results/release/index.html").stat().st_size > 10_000
    assert (home / "reports/reproduction_report.pdf").read_bytes().startswith(b"%PDF")
    choice = json.loads((home / "eval_results/model_selection/selection.json").read_text())
    assert choice["selected"] in STAGES and choice["selected"] in choice["rationale"]
    rationale = json.loads((home / "checkpoints/production/rationale.json").read_text())
    assert rationale["selected"] == choice["selected"] and rationale["rationale"] == choice["rationale"]
    *_, chosen = load_model(home / "checkpoints" / choice["selected"])
    *_, published = load_model(home / "checkpoints/production" / BEST_MODEL)
    assert published["weights_digest"] == chosen["weights_digest"] == rationale["weights"]


def test_any_checkpoint_is_judged_on_any_fitting_corpus_and_twice_alike(home, stickgen, tmp_path):
    file = next((home / "checkpoints/small_sft").glob("*best*.pth"))
    first = stickgen("evaluate", "--checkpoint", str(file), "--data", "corpus/embedded_pretrain", "--output", str(tmp_path / "one"))
    folder = home / "curated/pretrain_data_embedded"
    again = stickgen(
        "evaluate", "--checkpoint", str(file.parent), "--data", str(folder), "--name", "small_sft", "--output", str(tmp_path / "two")
    )
    assert first["digest"] == again["digest"] == read_report(tmp_path / "one")["content_digest"]
    assert first["name"] == "small_sft" and (tmp_path / "one/index.html").is_file() and first["validation_loss"] > 0
    assert stickgen("compare", str(tmp_path / "one"), str(tmp_path / "two"), "--tolerance", "0")["equal"]
    assert (
        stickgen("verify-results", str(tmp_path / "one"), "--expected", "configs/eval/expected/documented.yaml", code=1)["passed"] is False
    )


def test_every_registered_model_that_meets_the_conditions_is_judged(home, stickgen):
    found = stickgen("evaluate", "--all", "--where", "task=small_pretrain")
    assert [told["task"] for told in found] == ["small_pretrain"]
    report = read_report(home / "eval_results/own" / found[0]["name"])
    assert report["content_digest"] == found[0]["digest"] and report["content"]["title"] == found[0]["name"]
    graph = read_report(home / "eval_results/small_pretrain")
    assert report["content"]["checkpoint"]["weights"] == graph["content"]["checkpoint"]["weights"]
    assert report["content"]["losses"] == graph["content"]["losses"]


def test_the_documented_suites_are_asked_of_any_checkpoint(home, stickgen):
    asked = ("--suites", "adversarial_contradictory", "adversarial_extreme_actions", "--prompts", "2")
    found = stickgen("adversarial", "--checkpoint", str(home / "checkpoints/small_sft"), *asked)
    stored = json.loads(Path(found["report"]).read_text(encoding="utf-8"))
    assert found["report"].startswith(str(home / "eval_results/adversarial/small_sft_")) and stored["content"] == found["content"]
    assert [s["name"] for s in found["content"]["suites"]] == ["adversarial_contradictory", "adversarial_extreme_actions"]
    assert all(s["prompts"] == 2 and len(s["answers"]) == 2 and s["of"] >= 25 for s in found["content"]["suites"])
    assert found["content"]["gap_passed"] is None, "there is no gap without the baseline suite"
    assert stickgen("adversarial", "small_sft", *asked)["content_digest"] == found["content_digest"]


def test_reports_are_where_report_says(stickgen):
    pages = stickgen("report")
    assert {"release", *STAGES, "reproduction_report"} <= set(pages)
    assert stickgen("report", "small_lora")["small_lora"].endswith("small_lora/index.html")


@pytest.mark.slow
def test_several_seeds_are_trained_judged_aggregated_and_compared(home, stickgen):
    found = stickgen("train", "small", "pretrain", "--seeds", "42", "123", "456")["content"]
    assert found["seeds"] == [42, 123, 456]
    loss = found["measures"]["validation_loss"]
    assert set(loss["points"]) == {"42", "123", "456"} and loss["summary"]["low"] < loss["summary"]["value"] < loss["summary"]["high"]
    assert loss["shapiro"]["power"] < 0.1 and "decides nothing" in loss["shapiro"]["note"]
    graph = json.loads((home / "eval_results/small_pretrain/report.json").read_text())
    assert found["weights"]["42"] == graph["content"]["checkpoint"]["weights"], "a seed's run is the run of that seed"
    tasks = {entry["task"] for entry in stickgen("registry", "list")}
    assert {f"small_pretrain_seed_{seed}" for seed in (42, 123, 456)} <= tasks
    folder = str(home / "eval_results/seeds/small_pretrain")
    same = stickgen("compare", folder, folder)
    assert same["family"] == len(same["measures"]) and not any(m["differs"] for m in same["measures"].values())


def test_adapters_that_are_chosen_are_published_whole(home, tmp_path):
    adapters = home / "checkpoints/small_lora"
    choice = {"selected": "small_lora", "rationale": "because", "candidates": [], "baselines": [], "weights": {}, "left_out": []}
    manifest = publish_production(adapters, tmp_path / "production", choice, name="release/production_model", recipe="r", parents={})
    shutil.move(tmp_path / "production" / BEST_MODEL, tmp_path / "elsewhere.pth")  # no base lies beside it
    whole, run, _, meta = load_model(tmp_path / "elsewhere.pth")
    adapted, _, _, chosen = load_model(adapters)
    assert not run.lora.enabled and meta["weights_digest"] == chosen["weights_digest"] == manifest.digest
    *_, base = load_model(home / "checkpoints/small_sft")
    assert base["weights_digest"] != manifest.digest, "the adapters learned something"
    for name, value in whole.state_dict().items():
        assert np.isfinite(value.numpy()).all(), name
    assert {name.split(".lora")[0] for name in whole.state_dict()} == {name for name in whole.state_dict()}
    assert sum(p.numel() for p in whole.parameters()) == sum(p.numel() for p in adapted.parameters())
