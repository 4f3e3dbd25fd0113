"""Corpora for the store's tests, made from the benches' clips."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.clips import random_clip
from stickgen_core.corpus import Corpus, CorpusConfig, CorpusWriter, LedgerRow

SMALL = CorpusConfig(rows_per_batch=4, shard_mb=0.2)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Corpus]:
    """build(name, numbers=range(20), source="made", drops=0, order=1) -> a corpus at tmp_path/name over tmp_path/shards."""

    def make(
        name: str = "a", numbers=range(20), *, source: str = "made", drops: int = 0, order: int = 1, layout=SMALL, root=tmp_path, **changes
    ) -> Corpus:
        with CorpusWriter(
            root / name, shards=root / "shards", name=f"canonical/{name}", recipe="r1", parents={"raw": "0"}, layout=layout
        ) as writer:
            for number in list(numbers)[::order]:
                writer.add(random_clip(number, source=source, frames=25 + number % 7, actors=1 + number % 2, **changes))
            for number in range(drops):
                writer.drop(LedgerRow(f"file{number}", "", "read", "wrong_shape", "expected [T, 22, 3]", file=f"raw/{number}.npz"))
            return writer.publish({"made_for": "a test"})

    return make
