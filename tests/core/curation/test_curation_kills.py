"""Killed at any moment, the chain from sources to vectors, run again, ends where an undisturbed run ends."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CHAIN = """
import sys
from pathlib import Path
from stickgen_core.corpus import Corpus
from stickgen_core.curation import curate, merge
from stickgen_core.curation.config import CurationConfig
from stickgen_core.text import TextConfig, embed
sources, out = Path(sys.argv[1]), Path(sys.argv[2])
config = CurationConfig(infeasible="relax")
corpora = [Corpus.open(sources / name) for name in ("alpha", "beta", "gamma")]
merged = merge(corpora, config, out / "merged", shards=sources / "shards", cache=out / "measured")
print(merged.digest)
for stage in ("pretrain", "sft"):
    curated = curate(merged, stage, config, out / stage)
    text = TextConfig(encoder="hashing", flush_rows=3)
    print(embed(curated, text, out / "vectors", out / f"{stage}_embedded", name=stage).digest, Corpus.open(out / f"{stage}_embedded").verify())
"""


def run(sources, out, after_s=None):
    """The chain in a process of its own, killed after some time; its output, or None if it died."""
    process = subprocess.Popen([sys.executable, "-c", CHAIN, sources, out], stdout=subprocess.PIPE, text=True, cwd=ROOT,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    try:
        return process.communicate(timeout=after_s)[0]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return None


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_at_random_moments_change_nothing(tmp_path):
    from stickgen_core.corpus import CorpusWriter
    from tests.core.curation.test_curation_merge import bank

    for name in ("alpha", "beta", "gamma"):
        texts = [(f"a person of {name} does thing {n}",) for n in range(40)]
        with CorpusWriter(tmp_path / name, shards=tmp_path / "shards", name=f"canonical/{name}") as writer:
            for n, one in enumerate(bank(name, 40, texts=("said",))):
                writer.add(
                    type(one)(**{**vars(one), "texts": tuple(t.__class__(texts[n][0], t.start_s, t.end_s, t.kind) for t in one.texts)})
                )
            writer.publish()
    start = time.monotonic()
    undisturbed = run(tmp_path, tmp_path / "undisturbed")
    whole_s = time.monotonic() - start
    assert undisturbed and undisturbed.count("[]") == 2
    moments, killed = random.Random(7), 0
    for attempt in range(50):
        # Three kills in a row on one folder, then a run to the end: leftovers of several deaths add up.
        folder = tmp_path / f"killed{attempt // 3}"
        killed += run(tmp_path, folder, moments.uniform(0.3, 1.0) * whole_s) is None
        if attempt % 3 == 2:
            assert run(tmp_path, folder) == undisturbed
            assert not [p for p in folder.rglob("*.tmp")]
    assert killed >= 25
