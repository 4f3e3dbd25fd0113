"""The command line as a person meets it: quick to start, one line for a failure, exit codes, JSON that parses."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def stickgen(*arguments: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    values = {**os.environ, "STICKGEN_PROFILE": "test", "STICKGEN_DATA": str(home / "data"), "DAGSTER_HOME": str(home / "dagster"),
              "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environ}  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "stickgen_pipeline.cli", *arguments], env=values, capture_output=True, text=True, timeout=300, check=False
    )


def test_help_is_there_before_anyone_notices(tmp_path):
    times = []
    for _ in range(3):
        started = time.perf_counter()
        done = stickgen("--help", home=tmp_path)
        times.append(time.perf_counter() - started)
    assert done.returncode == 0 and "build" in done.stdout
    assert min(times) < 0.5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("build", "no/such_step"), "names no step"),
        (("corpus", "show", "canonical/nobody"), "neither a corpus of the graph nor a folder"),
        (("-c", "pipelin.workers=3", "status"), "no section 'pipelin'"),
        (("-c", "pipeline.worker=3", "status"), "did you mean"),
        (("datasets", "check", "amas"), "no data set 'amas'"),
        (("report",), "no report yet"),
    ],
)
def test_a_failure_is_one_line_that_says_what_to_do(tmp_path, arguments, says):
    done = stickgen(*arguments, home=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_wrong_usage_is_exit_code_2(tmp_path):
    assert stickgen("train", "tiny", "pretrain", home=tmp_path).returncode == 2


@pytest.mark.parametrize("command", [("status",), ("plan",), ("datasets",), ("doctor",), ("config", "show"), ("registry", "list")])
def test_json_is_one_value_on_standard_output(tmp_path, command):
    done = stickgen(*command, "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None


def test_a_data_set_that_is_not_there_says_where_to_get_it(tmp_path):
    found = {row["name"]: row for row in json.loads(stickgen("datasets", "--json", home=tmp_path).stdout)}
    assert found["amass"]["state"] == "missing" and "http" in found["amass"]["get"]
    assert found["synthetic"]["state"] == "generated"


def test_the_profile_decides_the_folders_and_the_hash(tmp_path):
    values = [stickgen("--profile", name, "config", "hash", home=tmp_path).stdout for name in ("demo", "test")]
    assert len({*values}) == 2


def test_an_override_reaches_the_run_and_an_unknown_run_key_is_refused(tmp_path):
    shown = stickgen("-c", "training.learning_rate=0.125", "config", "show", "small_sft", "--json", home=tmp_path)
    assert json.loads(shown.stdout)["training"]["learning_rate"] == 0.125
    refused = stickgen("-c", "training.learnin_rate=0.1", "config", "show", "small_sft", home=tmp_path)
    assert refused.returncode == 1 and "learning_rate" in refused.stderr
