"""Killed at any moment, the chain from sources to vectors, run again, ends where an undisturbed run ends."""

import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stickgen_core.corpus import Corpus, CorpusWriter
from stickgen_core.curation import curate, merge
from stickgen_core.curation.config import CurationConfig
from stickgen_core.text import TextConfig, embed
from tests.core.curation.test_curation_merge import bank

SOURCES = ("alpha", "beta", "gamma")
KILLS = 50


def chain(sources: Path, out: Path) -> None:
    """Merge, both stages and their vectors; what came out is written beside the folder, last."""
    config = CurationConfig(infeasible="relax")
    start = time.monotonic()
    corpora = [Corpus.open(sources / name) for name in SOURCES]
    merged = merge(corpora, config, out / "merged", shards=sources / "shards", cache=out / "measured")
    lines = [merged.digest]
    for stage in ("pretrain", "sft"):
        curated = curate(merged, stage, config, out / stage)
        text = TextConfig(encoder="hashing", flush_rows=3)
        lines.append(embed(curated, text, out / "vectors", out / f"{stage}_embedded", name=stage).digest)
    seconds = time.monotonic() - start
    out.with_suffix(".result").write_text("\n".join([*lines, f"{seconds}"]))


def run(context, sources, out, after_s=None):
    """(digests, seconds) of the chain in a process of its own, or None if it was killed before it ended."""
    out.with_suffix(".result").unlink(missing_ok=True)
    process = context.Process(target=chain, args=(sources, out))
    process.start()
    process.join(after_s)
    process.kill()
    process.join()
    if process.exitcode != 0:
        return None
    *digests, seconds = out.with_suffix(".result").read_text().split("\n")
    return digests, float(seconds)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_at_random_moments_change_nothing(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.core.curation.test_curation_kills"])
    for name in SOURCES:
        with CorpusWriter(tmp_path / name, shards=tmp_path / "shards", name=f"canonical/{name}") as writer:
            for n, one in enumerate(bank(name, 40)):
                writer.add(replace(one, texts=tuple(replace(text, text=f"a person of {name} does thing {n}") for text in one.texts)))
            writer.publish()
    run(context, tmp_path, tmp_path / "warm")
    undisturbed, whole_s = run(context, tmp_path, tmp_path / "undisturbed")
    moments, killed = random.Random(7), 0
    for attempt in range(KILLS):
        out = tmp_path / f"out{attempt}"
        killed += run(context, tmp_path, out, moments.uniform(0.02, 1.0) * whole_s) is None
        # Leftovers of one death meet those of a second in every other folder.
        killed += attempt % 2 == 0 and run(context, tmp_path, out, moments.uniform(0.02, 0.6) * whole_s) is None
        found, _ = run(context, tmp_path, out)
        assert found == undisturbed
        assert Corpus.open(out / "sft_embedded").verify() == []
        assert not list(out.rglob("*.tmp"))
    assert killed >= KILLS // 2
