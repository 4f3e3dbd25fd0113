"""Builds that are killed, raced or starved: the next one goes on, and what comes out is the same as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ("raw", "canonical/synthetic", "canonical/deepmimic", "canonical", "corpus/merged", "corpus/curated_pretrain", "corpus/curated_sft")
SEED = 20


class Machine:
    """A data root and a DAGSTER_HOME of their own."""

    def __init__(self, home: Path):
        self.home = home
        (home / "dagster").mkdir(parents=True)
        self.environ = {**os.environ, "STICKGEN_PROFILE": "test", "STICKGEN_DATA": str(home / "data"), "DAGSTER_HOME": str(home / "dagster"),
                        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # fmt: skip

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "stickgen_pipeline.cli", *arguments]
        return subprocess.Popen(
            command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments)
        out, err = process.communicate(timeout=900)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def build(self, *selection: str) -> dict:
        done = self.run("build", *selection, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def digests(self) -> dict[str, str]:
        return {row["key"]: row["digest"] for row in json.loads(self.run("status", "--json").stdout)["artefacts"] if row["digest"]}

    def kill_while_building(self, wait_s: float, *selection: str) -> bool:
        """SIGKILL to the whole group that long after the build took its lock; false if it was done before."""
        process = self.start("build", *selection)
        lock = self.home / "data" / ".build" / "lock"
        before = lock.stat().st_mtime_ns if lock.exists() else 0
        while process.poll() is None and (not lock.exists() or lock.stat().st_mtime_ns == before):
            time.sleep(0.05)
        time.sleep(wait_s)
        killed = process.poll() is None
        if killed:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return killed


def survives(tmp_path: Path, kills: int, longest_s: float, *selection: str) -> None:
    draw = random.Random(SEED)
    calm, shaken = Machine(tmp_path / "calm"), Machine(tmp_path / "shaken")
    calm.build(*selection)
    times = [round(draw.uniform(0, longest_s), 2) for _ in range(kills)]
    landed = [shaken.kill_while_building(wait_s, *selection) for wait_s in times]
    shaken.build(*selection)
    assert shaken.digests() == calm.digests(), f"seed {SEED}, kills after {times} s, landed {landed}"
    assert shaken.build(*selection)["built"] == 0
    left = [path for path in (tmp_path / "shaken" / "data").rglob(".*.tmp")]
    assert not left, left


def test_a_killed_build_goes_on_to_the_same_digests(tmp_path):
    survives(tmp_path, 2, 4.0, *DATA)


@pytest.mark.slow
def test_many_kills_from_raw_files_to_a_checkpoint(tmp_path):
    survives(tmp_path, 25, 40.0, *DATA, "corpus", "checkpoint/small_pretrain", "checkpoint/small_sft", "checkpoint/small_lora")


def test_two_builds_at_once_one_clear_line(tmp_path):
    machine = Machine(tmp_path)
    first = machine.start("build", "raw", "canonical")
    lock = tmp_path / "data" / ".build" / "lock"
    while first.poll() is None and not (lock.exists() and lock.read_text()):
        time.sleep(0.05)
    second = machine.run("build", "raw")
    first.communicate()
    assert first.returncode == 0
    assert second.returncode == 1 and second.stderr.count("\n") == 1
    assert "already writing here" in second.stderr


def test_a_vanished_data_set_blocks_and_keeps_what_was_made_of_it(tmp_path):
    """Files of the last inventory are gone: the corpus stays, the build says so, and a person can accept it."""
    machine = Machine(tmp_path)
    raw = tmp_path / "data" / "raw" / "deepmimic"
    (raw).mkdir(parents=True)
    rows = [[0.04, 0.0, 0.9, 0.0, 1.0, 0.0, 0.0, 0.0, *([1.0, 0.0, 0.0, 0.0] * 3)] + [1.0, 0.0, 0.0, 0.0] * 6 for _ in range(120)]
    rows = [row[:44] for row in rows]
    (raw / "humanoid3d_stand.txt").write_text(json.dumps({"Loop": "none", "Frames": rows}))
    machine.build("raw/deepmimic")
    before = machine.digests()["raw/deepmimic"]
    kept = (raw / "humanoid3d_stand.txt").read_bytes()
    (raw / "humanoid3d_stand.txt").unlink()
    done = machine.run("build", "raw/deepmimic")
    assert done.returncode == 1 and "1 of 1 files are gone" in done.stderr and "datasets remove deepmimic" in done.stderr
    assert machine.digests()["raw/deepmimic"] == before
    (raw / "humanoid3d_stand.txt").write_bytes(kept)
    machine.build("raw/deepmimic")
    assert machine.digests()["raw/deepmimic"] == before
    assert "files are still there" in machine.run("datasets", "remove", "deepmimic").stderr
    (raw / "humanoid3d_stand.txt").unlink()
    assert machine.run("datasets", "remove", "deepmimic").returncode == 0
    machine.build("raw/deepmimic")
    assert machine.digests()["raw/deepmimic"] != before


def test_a_deleted_manifest_and_a_lost_dagster_home_cost_nothing_but_time(tmp_path):
    machine = Machine(tmp_path)
    selection = ("raw/synthetic", "canonical/synthetic")
    machine.build(*selection)
    before = machine.digests()
    (tmp_path / "data" / "motions_processed" / "synthetic" / "manifest.json").unlink()
    machine.environ["DAGSTER_HOME"] = str(tmp_path / "another")
    machine.build(*selection)
    assert machine.digests() == before
