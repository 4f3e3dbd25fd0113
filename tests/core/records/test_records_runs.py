"""Run folders, the registry, the environment and the retention matrix."""

import csv
import json
import multiprocessing
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.environment import capture, git_state
from stickgen_core.records.model_registry import ModelRegistry
from stickgen_core.records.retention import BY_KEY, MATRIX, kept
from stickgen_core.records.runs import Run, list_runs

NOON = datetime(2026, 1, 2, 12, 30, 45, tzinfo=UTC)


def start(outputs: Path, name: str = "first", task: str = "pretrain") -> Run:
    return Run.create(
        outputs, name, task=task, config_yaml="seed: 42\n", config_hash="abc123de99", environment={"python": "3.11"}, now=NOON
    )


def test_a_run_folder_holds_what_the_documents_say(tmp_path):
    run = start(tmp_path)
    assert run.run_id == "20260102_123045_first"
    assert {p.name for p in run.folder.iterdir()} == {"config.yaml", "metadata.yaml"}
    run.log("epoch 1 loss 0.5")
    run.log("epoch 2 loss 0.4")
    assert re.fullmatch(r"\S+Z epoch 1 loss 0.5\n\S+Z epoch 2 loss 0.4\n", (run.folder / "training_verbose.log").read_text())
    assert Run.open(run.folder).metadata()["status"] == "running"
    run.finish("completed", metrics={"val_loss": 0.4}, checkpoint=tmp_path / "m.pth")
    found = yaml.safe_load((run.folder / "metadata.yaml").read_text())
    assert found["metrics"] == {"val_loss": 0.4} and found["checkpoint_path"].endswith("m.pth") and found["config_hash"] == "abc123de99"


def test_two_runs_of_one_name_and_second_do_not_share_a_folder(tmp_path):
    assert start(tmp_path).folder != start(tmp_path).folder
    assert [run.run_id for run in list_runs(tmp_path)] == ["20260102_123045_first", "20260102_123045_first-2"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x\n"])
def test_a_run_name_never_leaves_its_folder(tmp_path, name):
    with pytest.raises(StickgenError, match="run name"):
        start(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_not_runs_are_passed_over_and_named_when_opened(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "20260102_123045_torn").mkdir()
    assert list_runs(tmp_path) == []
    with pytest.raises(MissingInput, match="not a run folder"):
        Run.open(tmp_path / "videos")
    (tmp_path / "videos" / "metadata.yaml").write_text("[1, 2")
    with pytest.raises(Corrupt, match="not valid YAML"):
        Run.open(tmp_path / "videos")


def entry(run_id: str, task: str = "pretrain", value: float = 1.0, config_hash: str = "abc123de99") -> dict:
    return {
        "run_id": run_id, "task": task, "config_hash": config_hash, "checkpoint_path": f"{run_id}.pth", "metrics": {"val_loss": value},
        "timestamp": f"2026-01-01T00:00:{run_id[-1]}", "metadata": {},
    }  # fmt: skip


def test_the_registry_answers_by_task_config_and_best_metric(tmp_path):
    registry = ModelRegistry(tmp_path / "registry" / "model_registry.json")
    assert registry.entries() == []
    for number, value in enumerate([0.5, 0.3, 0.3, float("inf")][:3]):
        registry.register(entry(f"r{number}", value=value))
    registry.register(entry("r9", task="sft", value=0.1, config_hash="ffff"))
    assert registry.best("pretrain", "val_loss", "min")["run_id"] == "r1"
    assert registry.best("pretrain", "val_loss", "max")["run_id"] == "r0"
    assert [e["run_id"] for e in registry.by_config_hash("abc123de")] == ["r0", "r1", "r2"]
    assert [e["run_id"] for e in registry.by_task("sft")] == ["r9"]
    registry.register(entry("r0", value=0.01))
    assert registry.best("pretrain", "val_loss", "min")["run_id"] == "r0" and len(registry.entries()) == 4
    with pytest.raises(MissingInput, match="no 'sft' model with metric 'fid'"):
        registry.best("sft", "fid", "min")
    with pytest.raises(StickgenError, match="missing task"):
        registry.register({k: v for k, v in entry("r5").items() if k != "task"})


def test_the_registry_exports_csv(tmp_path):
    registry = ModelRegistry(tmp_path / "r.json")
    registry.register(entry("r0") | {"metrics": {"a": 1.0}})
    registry.register(entry("r1") | {"metrics": {"b": 2.0}})
    assert registry.export_csv(tmp_path / "r.csv") == 2
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert rows[0]["a"] == "1.0" and rows[0]["b"] == "" and rows[1]["run_id"] == "r1"


def test_a_damaged_registry_is_rebuilt_from_the_run_folders(tmp_path):
    done, torn = start(tmp_path / "outputs", "done"), start(tmp_path / "outputs", "torn")
    done.finish("completed", metrics={"val_loss": 0.2}, checkpoint=Path("m.pth"))
    torn.finish("interrupted")
    path = tmp_path / "r.json"
    for damage in ("[{", "{}", '[{"run_id": 1}]'):
        path.write_text(damage)
        with pytest.raises(Corrupt, match="rebuild it from the run folders"):
            ModelRegistry(path).entries()
    assert ModelRegistry(path).rebuild(tmp_path / "outputs") == 1
    assert ModelRegistry(path).best("pretrain", "val_loss", "min")["run_id"] == done.run_id


def _register_many(path: str, first: int) -> None:
    for number in range(first, first + 10):
        ModelRegistry(Path(path)).register(entry(f"run{number}"))


def test_concurrent_writers_lose_no_entry(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_register_many, args=(str(tmp_path / "r.json"), start)) for start in (0, 10, 20, 30)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert {e["run_id"] for e in ModelRegistry(tmp_path / "r.json").entries()} == {f"run{n}" for n in range(40)}


def test_a_writer_that_waits_too_long_says_so(tmp_path):
    registry = ModelRegistry(tmp_path / "r.json", wait_s=0.05)
    with ModelRegistry(tmp_path / "r.json")._writing(), pytest.raises(StickgenError, match="another process has been writing"):
        registry.register(entry("r0"))


def test_the_environment_is_json_and_holds_no_secret(monkeypatch, tmp_path):
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "STICKGEN_API_KEY", "DATABASE_PASSWORD"):
        monkeypatch.setenv(name, "do-not-write-me")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = capture(tmp_path)
    text = json.dumps(found)
    assert "do-not-write-me" not in text and found["variables"]["OMP_NUM_THREADS"] == "1"
    assert found["python"].startswith("3.") and found["packages"]["numpy"] and found["cores"] >= 1
    assert found["git"] is None


def test_the_environment_names_the_commit(tmp_path):
    import subprocess

    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tmp_path / "f").write_text("1")
    for arguments in (["init", "-q"], ["add", "f"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    state = git_state(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{40}", state["commit"]) and state["dirty"] is False
    (tmp_path / "f").write_text("2")
    assert git_state(tmp_path)["dirty"] is True


def test_capturing_does_not_load_torch():
    import subprocess

    code = "import sys; from stickgen_core.records.environment import capture; assert capture()['torch'] is None; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_the_matrix_has_the_documented_rows_and_classes():
    documented = {row.artefact: row.retention for row in MATRIX if row.documented}
    assert documented == {
        "Raw MoCap / skeleton sequences": "critical", "Text / label annotations": "critical", "Upstream metadata & licenses": "recommended",
        "Canonical per-dataset motion": "recommended", "Merged dataset": "optional", "Merge statistics": "recommended",
        "Curated pretrain split": "recommended", "Curated SFT split": "recommended", "Curation report": "recommended",
        "Embedded pretrain dataset": "critical", "Embedded SFT dataset": "critical", "Web viewer motion exports": "recommended",
        "Temporary parallax motion exports": "discardable", "Parallax PNG frames": "optional", "Parallax metadata": "recommended",
        "Test/debug videos": "discardable", "Evaluation / demo videos": "optional",
    }  # fmt: skip
    assert len(BY_KEY) == len(MATRIX) and kept("merged").regenerated_from == "canonical"
    assert all(row.regenerated_from for row in MATRIX if row.retention in ("optional", "discardable"))


def test_runs_of_one_configuration_are_held_against_each_other(tmp_path):
    registry = ModelRegistry(tmp_path / "registry.json")
    entry = {"task": "small_sft", "config_hash": "abc123de99", "checkpoint_path": "x", "timestamp": "t"}
    registry.register({**entry, "run_id": "here", "metrics": {"best_val_loss": 0.50}})
    assert registry.agreement("abc123de", "best_val_loss") is None, "one run agrees with nobody"
    registry.register({**entry, "run_id": "there", "metrics": {"best_val_loss": 0.51}})
    registry.register({**entry, "run_id": "other", "config_hash": "ffff", "metrics": {"best_val_loss": 9.0}})
    runs, spread = registry.agreement("abc123de", "best_val_loss")
    assert runs == 2 and spread == pytest.approx(0.02)
