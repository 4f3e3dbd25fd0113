"""Terminate in the UI and Ctrl-C in a build: the training saves and ends with its process, and going on gives the same bits."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from typing import Any

import psutil
import pytest

from stickgen_core.training import checkpoints
from tests.pipeline.daemon import Daemon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ASSET, FOLDER = ["checkpoint", "small_pretrain"], "checkpoints/small_pretrain"
# Long enough to be caught in the middle, saved seldom enough that the last save is the one that the interruption asked for.
LONGER = "  training: {steps: 600, save_every_steps: 100000, validate_every_steps: 300, log_every_steps: 10, warmup_steps: 2, learning_rate: 2.0e-3}"
LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
# What the button of a run's page sends.
TERMINATE = """mutation($runIds: [String!]!, $terminatePolicy: TerminateRunPolicy) { terminateRuns(runIds: $runIds, terminatePolicy: $terminatePolicy) {
    __typename ... on TerminateRunsResult { terminateRunResults { __typename } } } }"""
PLACES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
STATUS = "query($runId: ID!) { runOrError(runId: $runId) { ... on Run { status } } }"


class Site:
    """The webserver's GraphQL, as the UI uses it."""

    def __init__(self, daemon: Daemon):
        self.daemon = daemon

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.daemon.url}/graphql", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def place(self) -> dict[str, str] | None:
        """Name and location of the repository; None while the server starts."""
        try:
            nodes = self.ask(PLACES)["repositoriesOrError"].get("nodes")
        except OSError:
            return None
        return {"repositoryName": nodes[0]["name"], "repositoryLocationName": nodes[0]["location"]["name"]} if nodes else None

    def materialize(self) -> str:
        selector = {**(self.place() or {}), "pipelineName": "__ASSET_JOB", "assetSelection": [{"path": ASSET}]}
        found = self.ask(LAUNCH, params={"selector": selector, "mode": "default"})["launchPipelineExecution"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return str(found["run"]["runId"])

    def status(self, run: str) -> str:
        return str(self.ask(STATUS, runId=run)["runOrError"]["status"])


def trainer(daemon: Daemon) -> int:
    """The process that holds the checkpoint's lock; other assets may have workers of their own."""
    return int((daemon.data / "checkpoints" / ".small_pretrain.lock").read_text().split()[0])


def lasting(daemon: Daemon) -> Daemon:
    """The same project with a training that can be caught in the middle."""
    runs = daemon.home / "root" / "configs" / "runs" / "test.yaml"
    text = runs.read_text()
    short = "  training: {steps: 8, warmup_steps: 2, learning_rate: 2.0e-3}"
    assert short in text
    runs.write_text(text.replace(short, LONGER))
    return daemon


def test_ctrl_c_in_a_build_saves_the_training_begins_nothing_more_and_goes_on_to_the_same_bits(tmp_path):
    calm, home = lasting(Daemon(tmp_path / "calm")), lasting(Daemon(tmp_path / "home"))
    whole = calm.stickgen("build", "checkpoint/small_pretrain")
    assert whole.returncode == 0, whole.stderr
    assert home.stickgen("build", "corpus/embedded_pretrain", "corpus/motion_statistics").returncode == 0
    wanted = ("build", "checkpoint/small_pretrain", "checkpoint/small_sft", "evaluation/evaluator")
    build = subprocess.Popen(
        [sys.executable, "-m", "stickgen_pipeline.cli", *wanted],
        env=home.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    work = home.data / f"{FOLDER}.training"
    while not ((work / "metrics.jsonl").exists() and (work / "metrics.jsonl").read_text()):
        assert build.poll() is None, "the build ended before it trained"
        time.sleep(0.05)
    below = psutil.Process(build.pid).children(recursive=True)
    build.send_signal(signal.SIGINT)
    said, _ = build.communicate(timeout=120)
    assert build.returncode != 0 and "small_pretrain: stopped at step" in said and "state saved" in said, said
    assert not psutil.wait_procs(below, 5)[1], "a worker outlived the build"
    assert 0 < checkpoints.read(work / checkpoints.LATEST)["step"] < 600 and not (home.data / "checkpoints" / "small_sft").exists()

    again = home.stickgen(*wanted)
    assert again.returncode == 0, again.stderr
    assert home.digest(FOLDER) == calm.digest(FOLDER), "other weights than a run that was left alone"


def test_terminating_saves_and_materializing_again_goes_on_to_the_same_bits(tmp_path):
    calm, daemon = lasting(Daemon(tmp_path / "calm")), lasting(Daemon(tmp_path / "home"))
    whole = calm.stickgen("train", "small", "pretrain")
    assert whole.returncode == 0, whole.stderr
    built = daemon.stickgen("build", "corpus/embedded_pretrain", "corpus/motion_statistics")
    assert built.returncode == 0, built.stderr
    work = daemon.data / f"{FOLDER}.training"
    daemon.start()
    try:
        site = Site(daemon)
        daemon.wait("the webserver answers", site.place)
        first = site.materialize()
        daemon.wait("training has begun", lambda: (work / "metrics.jsonl").exists() and (work / "metrics.jsonl").read_text())
        process = psutil.Process(trainer(daemon))
        assert process.pid in {p.pid for p in daemon.processes()} and not (work / checkpoints.LATEST).exists()
        said = site.ask(TERMINATE, runIds=[first], terminatePolicy="SAFE_TERMINATE")["terminateRuns"]
        assert [found["__typename"] for found in said["terminateRunResults"]] == ["TerminateRunSuccess"]
        daemon.wait("the run ends", lambda: site.status(first) == "CANCELED", 120)
        daemon.wait("the trainer ends", lambda: not process.is_running(), 60)
        stopped = checkpoints.read(work / checkpoints.LATEST)["step"]
        assert 0 < stopped < 600 and daemon.digest(FOLDER) is None

        second = site.materialize()
        daemon.wait("it is trained to the end", lambda: site.status(second) in ("SUCCESS", "FAILURE"))
        assert site.status(second) == "SUCCESS", daemon.tail()
        log = (daemon.data / FOLDER / "training_verbose.log").read_text()
        assert f"resumed {checkpoints.LATEST} at step {stopped} of 600" in log
        assert daemon.digest(FOLDER) == calm.digest(FOLDER), "other weights than a run that was left alone"
    finally:
        daemon.stop()
