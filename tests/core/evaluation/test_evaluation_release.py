"""The release: selection by the documented weights, peers through the clip's own conversion, prompts that must not slip through."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.config import config_hash
from stickgen_core.errors import ConfigError, Corrupt, StickgenError
from stickgen_core.evaluation.adversarial import Prompt, Suite, adversarial_report, load_suites, robustness, run_suite, spread, summary
from stickgen_core.evaluation.checkpoint import evaluate_checkpoint
from stickgen_core.evaluation.choice import score, select
from stickgen_core.evaluation.config import EvaluationConfig
from stickgen_core.evaluation.pdf import write_pdf
from stickgen_core.evaluation.peers import import_peer, projected
from stickgen_core.evaluation.production import publish_production
from stickgen_core.evaluation.protocol import PublishedRow, one_word_apart, protocol, published
from stickgen_core.evaluation.release import release_content, write_release
from stickgen_core.records.digests import digest_json
from stickgen_core.skeleton.config import SkeletonConfig

CONFIGS = Path(__file__).parents[3] / "configs" / "eval"


@pytest.fixture(scope="module")
def reports(checkpoint, embedded, evaluator, config):
    quick = config.model_copy(update={"repetitions": 1, "untrained_samples": 0, "samples": 64, "multimodal_prompts": 0})
    first = evaluate_checkpoint(checkpoint, *embedded, evaluator, quick).report()
    second = copy.deepcopy(first)
    second["content"]["title"] = "small_sft"
    second["content"]["losses"]["validation_loss"]["value"] *= 0.5
    second["content"]["checkpoint"] |= {"name": "small_sft", "stage": "sft"}
    second["content_digest"] = digest_json(second["content"])
    return [first, second]


def test_the_lower_loss_is_chosen_and_the_reason_is_in_the_rationale(reports, config):
    found = select(reports, config.selection, config.thresholds)
    assert found["selected"] == "small_sft"
    assert "validation loss" in found["rationale"] and "robustness" in found["left_out"] and "10%" in found["rationale"]


def test_reports_of_different_evaluators_are_not_compared(reports, config):
    other = copy.deepcopy(reports[1])
    other["content"]["provenance"]["evaluator"] = "another"
    with pytest.raises(StickgenError, match="cannot be compared"):
        select([reports[0], other], config.selection, config.thresholds)


def test_a_baseline_is_shown_and_never_chosen(reports, config):
    better = copy.deepcopy(reports)
    for report in better:
        report["content"]["baseline"]["validation_loss"]["value"] = 0.0
        report["content"]["baseline"]["motion_mse"]["value"] = 0.0
    found = select(better, config.selection, config.thresholds)
    assert [row["name"] for row in found["baselines"]] == ["small baseline"]
    assert found["baselines"][0]["score"] > 0.9 and found["selected"] == "small_sft"


def test_production_holds_exactly_the_chosen_weights(checkpoint, tmp_path):
    from stickgen_core.training.checkpoints import load_model

    choice = {"selected": "small_pretrain", "rationale": "because", "candidates": [], "baselines": [], "weights": {}, "left_out": []}
    manifest = publish_production(checkpoint, tmp_path / "production", choice, name="release/production_model", recipe="r", parents={})
    *_, chosen = load_model(checkpoint)
    model, run, _, meta = load_model(tmp_path / "production" / "best_model.pth")
    assert meta["weights_digest"] == chosen["weights_digest"] == manifest.digest
    told = json.loads((tmp_path / "production" / "rationale.json").read_text())
    assert told["selected"] == "small_pretrain" and told["rationale"] == "because"


def test_a_score_is_half_exactly_at_its_bar():
    assert score("validation_loss", 0.5, 0.5) == pytest.approx(0.5) and score("action_accuracy", 0.7, 0.7) == pytest.approx(0.5)
    assert score("action_accuracy", 1.0, 0.7) == 1 and score("validation_loss", 0.0, 0.5) == 1 and score("robustness", -1, 0.5) == 0


def test_the_release_page_holds_both_tables_and_equal_content_equal_bytes(reports, config, tmp_path):
    content = release_content(reports, config, published(CONFIGS))
    for name in ("a", "b"):
        write_release(content, tmp_path / name, name="release", recipe="r", parents={}, links={"small_sft": "../small_sft/index.html"})
        write_pdf(content, tmp_path / name / "reproduction_report.pdf")
    page = (tmp_path / "a" / "index.html").read_text()
    assert "Table A" in page and "MotionDiffuse" in page
    every = page[page.index("Floor, ceiling and every checkpoint") :]
    assert every.index("Real clips") < every.index("Nearest caption") < every.index("small_pretrain") < every.index("small_sft")
    (model,) = [row for row in content["table_b"] if row["kind"] == "model"]
    assert model["title"] == "Stick-Gen Small (sft)" and {"kid", "diversity", "r_precision_text_to_motion_3"} <= set(model["measures"])
    assert "Small baseline" in page or "small baseline" in page
    assert page == (tmp_path / "b" / "index.html").read_text()
    pdfs = [(tmp_path / n / "reproduction_report.pdf").read_bytes() for n in "ab"]
    assert pdfs[0] == pdfs[1] and pdfs[0].startswith(b"%PDF")


def test_no_row_of_ours_can_enter_the_literature():
    with pytest.raises(ValueError, match="another evaluator"):
        PublishedRow(name="Stick-Gen Small", values={}, source="ours")
    rows = {row.name: row for row in published(CONFIGS).rows}
    assert rows["MDM"].values["r_at_3"][0] == 0.707 and rows["T2M"].values["multimodality"][0] == 2.090


def test_protocols_resolve_and_unknown_ones_name_those_there_are():
    base = EvaluationConfig()
    full = protocol(CONFIGS, "full", base)
    assert full[1].repetitions == 20 and full[0].sets["humanml3d_test"].documented == 4384 and config_hash(full[1]) != config_hash(base)
    assert protocol(CONFIGS, "cpu", base)[1].samples == 256
    with pytest.raises(ConfigError, match="cpu, full"):
        protocol(CONFIGS, "gpu", base)


def test_the_defaults_file_says_what_the_code_says():
    from stickgen_core.config import load

    written = load(EvaluationConfig, [CONFIGS.parent / "defaults" / "evaluation.yaml"])
    assert config_hash(written) == config_hash(EvaluationConfig())


def test_minimal_pairs_differ_in_one_word():
    captions = ["a man waves left", "a man waves right", "a man sits", "a man waves left twice"]
    assert one_word_apart(captions) == [True, True, False, False]


def body(frames: int, yaw: float, speed: float) -> np.ndarray:
    """[T,22,3] an upright body that walks where it faces; left is its left."""
    rest = np.zeros((22, 3))
    rest[:, 1] = [0.95, 0.9, 0.9, 1.05, 0.5, 0.5, 1.2, 0.1, 0.1, 1.3, 0.03, 0.03, 1.5, 1.45, 1.45, 1.62, 1.45, 1.45, 1.2, 1.2, 0.95, 0.95]
    for left, right, x in (
        (1, 2, 0.1),
        (4, 5, 0.1),
        (7, 8, 0.1),
        (10, 11, 0.1),
        (13, 14, 0.08),
        (16, 17, 0.2),
        (18, 19, 0.25),
        (20, 21, 0.3),
    ):
        rest[left, 0], rest[right, 0] = x, -x
    clip = np.tile(rest, (frames, 1, 1))
    clip[..., 2] += speed * np.arange(frames)[:, None]
    turned = clip.copy()
    turned[..., 0] = np.cos(yaw) * clip[..., 0] + np.sin(yaw) * clip[..., 2]
    turned[..., 2] = -np.sin(yaw) * clip[..., 0] + np.cos(yaw) * clip[..., 2]
    return turned + np.array([3.0, 0.4, -2.0])


def test_a_peer_is_judged_alike_wherever_and_whichever_way_it_walked():
    views = projected([body(40, yaw, 0.05) for yaw in (0.0, 1.0, 2.5)], 20.0, 25.0, SkeletonConfig())
    assert views[0].shape[0] == pytest.approx(40 * 25 / 20, abs=1)
    assert np.allclose(views[0], views[1], atol=1e-5) and np.allclose(views[0], views[2], atol=1e-5)


def test_a_peers_folder_is_read_checked_or_absent(tmp_path):
    assert import_peer(tmp_path / "mdm", 20.0, 25.0) is None
    folder = tmp_path / "mdm"
    folder.mkdir()
    (folder / "results.npy").write_bytes(b"pickle")
    with pytest.raises(Corrupt, match="results.npy"):
        import_peer(folder, 20.0, 25.0)
    motion, lengths = np.moveaxis(np.stack([body(40, 0, 0.05)] * 3), 1, 3), np.array([40, 30, 20])
    np.save(folder / "results.npy", {"motion": motion, "text": ["a", "b", "c"], "lengths": lengths, "num_samples": 3}, allow_pickle=True)
    written_by_mdm = import_peer(folder, 20.0, 25.0)
    np.save(folder / "results.npy", {"motion": motion, "text": ["a"]}, allow_pickle=True)
    with pytest.raises(Corrupt, match="lacks 'lengths'"):
        import_peer(folder, 20.0, 25.0)
    np.save(folder / "motion.npy", np.moveaxis(np.stack([body(40, 0, 0.05)] * 3), 1, 3))
    np.save(folder / "lengths.npy", np.array([40, 30, 20]))
    (folder / "captions.txt").write_text("a\nb\nc")
    peer = import_peer(folder, 20.0, 25.0)
    assert peer.captions == ("a", "b", "c") and len(peer.motions[2]) < len(peer.motions[0])
    assert written_by_mdm.captions == peer.captions
    assert all(np.array_equal(a, b) for a, b in zip(written_by_mdm.motions, peer.motions, strict=True))
    np.save(folder / "lengths.npy", np.array([40, 30, 99]))
    with pytest.raises(Corrupt, match="lengths"):
        import_peer(folder, 20.0, 25.0)


class Bomb:
    """What an unrestricted reader would run."""

    def __reduce__(self):
        return (print, ("ran",))


def test_a_peers_pickle_runs_nothing(tmp_path, capsys):
    for hostile in ({"motion": Bomb(), "text": [], "lengths": []}, Bomb()):
        np.save(tmp_path / "results.npy", np.array(hostile, dtype=object), allow_pickle=True)
        with pytest.raises(Corrupt, match="not run"):
            import_peer(tmp_path, 20.0, 25.0)
    assert capsys.readouterr().out == ""


def test_there_are_enough_prompts_and_the_documented_suites():
    suites = load_suites(CONFIGS / "prompt_suites.yaml")
    assert {"baseline", "adversarial_contradictory", "adversarial_extreme_actions"} <= set(suites) and len(suites) == 8
    for name, suite in suites.items():
        assert len(suite.all()) >= 25, name
        assert len({(p.text, p.seconds, p.actors) for p in suite.all()}) == len(suite.all()), name
    with pytest.raises(ConfigError, match="adversarial_long"):
        load_suites(CONFIGS / "prompt_suites.yaml", ["adversarial_wrong"])


def test_fewer_prompts_are_spread_over_the_whole_suite_and_ask_the_same_things():
    prompts = [Prompt(text=str(n)) for n in range(26)]
    assert [p.text for p in spread(prompts, 3)] == ["0", "12", "25"] and spread(prompts, 0) == tuple(prompts) == spread(prompts, 99)
    asked: dict[str, int] = {}

    def answer(prompt: Prompt, seed: int) -> np.ndarray:
        assert asked.setdefault(prompt.text, seed) == seed, "a prompt's noise depends on what is asked beside it"
        raise StickgenError("refused")

    suite = Suite(title="t", prompts=tuple(prompts))
    run_suite("adversarial_test", suite, answer, 1)
    assert run_suite("adversarial_test", suite, answer, 1, count=3).of == 26 and len(asked) == 26


def test_white_noise_is_unsafe_a_wrong_refusal_is_a_failure_and_a_right_one_is_not(make_motion):
    suite = Suite(title="t", prompts=("noise", "walk", "no", Prompt(text="zero", seconds=0, refused=True)))

    def answer(prompt: Prompt, seed: int) -> np.ndarray:
        if prompt.text in ("no", "zero"):
            raise StickgenError("refused in one line")
        rng = np.random.default_rng(seed)
        return rng.normal(size=(100, 1, 20)) if prompt.text == "noise" else make_motion(1, 100, rng)[:, None]

    result = run_suite("adversarial_test", suite, answer, 1)
    assert [a["safe"] for a in result.answers] == [False, True, False, True]
    usual = run_suite("baseline", Suite(title="b", prompts=("walk",) * 10), answer, 1)
    found = robustness([usual, result], 1)
    assert found["robustness"].value == 0.5 and found["robustness_gap"].value == pytest.approx(0.5)
    report = adversarial_report("small_pretrain", [usual, result], 1, 0.3)
    measures, suites = summary(report)
    assert measures["robustness"].value == 0.5 and suites["adversarial_test"]["prompts"] == suites["adversarial_test"]["of"] == 4
    changed = copy.deepcopy(report)
    changed["content"]["suites"][0]["safe"]["value"] = 0.0
    with pytest.raises(Corrupt, match="does not match its digest"):
        summary(changed)
    assert report["content"]["gap_passed"] is False and digest_json(report["content"]) == report["content_digest"]
