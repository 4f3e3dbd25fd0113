"""How long the graph takes to load, and the command line to answer: what a person waits for before anything happens."""

import os
import subprocess
import sys
import time

from bench.measure import Measure

LOAD = "import stickgen_pipeline.definitions as d; from stickgen_core.settings import load_settings; d.build_definitions(load_settings())"
ONLY_DAGSTER = "import dagster"


def run(quick: bool) -> list[Measure]:
    repeats = 2 if quick else 5
    environment = {**os.environ, "STICKGEN_PROFILE": "test"}

    def best(*arguments: str) -> float:
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, env=environment, capture_output=True)
            times.append(time.perf_counter() - started)
        return min(times)

    dagster = best("-c", ONLY_DAGSTER)
    return [
        Measure("load", best("-c", LOAD), "s", f"import dagster alone {dagster:.2f} s", at_most=10.0),
        Measure("help", best("-m", "stickgen_pipeline.cli", "--help"), "s", at_most=0.5),
    ]
