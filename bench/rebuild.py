"""What asking again costs: a build of the data stages, the same build with nothing changed, and `status`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import Measure
from stickgen_core.errors import StickgenError

DATA = ("raw", "canonical", "corpus/merged", "corpus/curated_pretrain", "corpus/curated_sft")


def run(quick: bool) -> list[Measure]:
    repeats = 1 if quick else 5
    with tempfile.TemporaryDirectory(prefix="stickgen-bench-") as folder:
        environment = {**os.environ, "STICKGEN_PROFILE": "test", "STICKGEN_DATA": f"{folder}/data", "DAGSTER_HOME": f"{folder}/dagster"}
        Path(environment["DAGSTER_HOME"]).mkdir()

        def timed(*arguments: str) -> tuple[float, dict[str, int]]:
            started = time.perf_counter()
            command = [sys.executable, "-m", "stickgen_pipeline.cli", *arguments, "--json"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise StickgenError(f"stickgen {' '.join(arguments)} failed: {done.stderr.strip().splitlines()[-1:]}")
            return time.perf_counter() - started, json.loads(done.stdout)

        first, built = timed("build", *DATA)
        again = [timed("build", *DATA) for _ in range(repeats)]
        status = min(timed("status")[0] for _ in range(repeats))
    return [
        Measure("first_build", first, "s", f"{built['built']} artefacts built"),
        Measure("no_op_build", min(seconds for seconds, _ in again), "s", f"first build {first:.1f} s", at_most=30.0),
        Measure("no_op_built", max(found["built"] for _, found in again), "artefacts", at_most=0),
        Measure("status", status, "s", at_most=10.0),
    ]
