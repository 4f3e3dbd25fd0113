"""Merging, curating and joining vectors for as many clips as a corpus of 40 GB has: how far memory grows with the number of clips."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.clips import random_clip
from bench.corpus import chain_measures
from bench.measure import Measure

GIGABYTES, QUICK_GIGABYTES = 40, 1
FRAMES = 150


def run(quick: bool) -> list[Measure]:
    return list(_measures(QUICK_GIGABYTES if quick else GIGABYTES))


def _measures(gigabytes: float) -> Iterator[Measure]:
    clip = random_clip(0, frames=FRAMES)
    size = sum(values.nbytes for values in vars(clip).values() if hasattr(values, "nbytes"))
    count = int(gigabytes * 1e9 / size)
    yield Measure("clips", count, "clips", f"{gigabytes:g} GB of clips of {FRAMES} frames, {size / 1e3:.1f} kB each")
    with tempfile.TemporaryDirectory(prefix="stickgen-bench-") as folder:
        yield from (measure for measure in chain_measures(Path(folder), count, limited=False) if "near_duplicates" not in measure.name)
