"""The worker process and its ends: asked to stop at any moment, or left behind by its parent, it makes nothing on."""

import json
import os
import subprocess
import threading

import pytest

from stickgen_core.errors import StickgenError
from stickgen_pipeline.compute import worker
from stickgen_pipeline.compute.worker import STOPPED, WorkerProcess
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.steps import Work, inputs_of
from tests.factories.roots import Root

# More clips than anybody waits for: minutes of work that saves nothing on the way.
ENDLESS = "datasets.synthetic.options.clips=1000000"
STEP, PATIENCE_S = "canonical/synthetic", 60.0


@pytest.fixture
def endless(tmp_path) -> tuple[WorkerProcess, Work]:
    """A worker of a root below `tmp_path`, and work that it would not end by itself."""
    root = Root(tmp_path / "data", tmp_path / "raw")
    root.build(ENDLESS, only=("raw/synthetic",))
    settings = root.settings(ENDLESS)
    steps = steps_of(settings)
    step = steps[STEP]
    return WorkerProcess(settings), Work(step.key, step.folder, step.recipe(), inputs_of(step, steps), lambda label, done, total: None)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """The child finds its folders by the environment, as in any build."""
    monkeypatch.setenv("STICKGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "raw"))


def ended(process: WorkerProcess, work: Work) -> str:
    """What `run` says in a thread of its own, as in a crew; it has to end by itself."""
    said: list[str] = []

    def run() -> None:
        try:
            process.run(steps_of(process._settings)[work.key], work)
        except StickgenError as error:
            said.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert said, "it is still at work"
    return said[0]


def test_a_stop_while_the_process_is_being_started_ends_the_step(endless, monkeypatch):
    process, work = endless
    start = subprocess.Popen

    def stopped_meanwhile(*arguments, **options):
        process.stop()
        return start(*arguments, **options)

    monkeypatch.setattr(worker.subprocess, "Popen", stopped_meanwhile)
    with process:
        assert ended(process, work) == f"{STEP}: {STOPPED}"
    assert not (work.folder / "manifest.json").exists()


def test_a_stop_before_the_process_can_listen_is_kept_for_it_and_prints_no_traceback(endless, monkeypatch, capfd):
    process, work = endless
    start = subprocess.Popen

    class StoppedAtOnce(start):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.send_signal(worker.signal.SIGINT)

    monkeypatch.setattr(worker.subprocess, "Popen", StoppedAtOnce)
    with process:
        said = ended(process, work)
    assert said == f"{STEP}: {STOPPED}" and "Traceback" not in capfd.readouterr().err


def test_a_process_whose_parent_is_gone_ends_a_step_that_saves_nothing(endless):
    """Its locks are free again at once, not after the grace that a training gets to save."""
    process, work = endless
    child = process._started()
    child.stdin.write(json.dumps({"key": work.key, "recipe": work.recipe, "inputs": dict(work.inputs)}) + "\n")
    child.stdin.flush()
    assert "progress" in child.stdout.readline()
    child.stdin.close()
    assert child.wait(worker.GRACE_S / 2) == 0
    assert not (work.folder / "manifest.json").exists()


def test_the_number_of_threads_is_the_profiles_whatever_the_shell_says(endless, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    process, _ = endless
    asked = process._settings.config.pipeline.threads
    found: dict[str, str] = {}
    monkeypatch.setattr(worker.subprocess, "Popen", lambda command, env, **options: found.update(env))
    process._started()
    assert found["OMP_NUM_THREADS"] == str(asked) != os.environ["OMP_NUM_THREADS"]
