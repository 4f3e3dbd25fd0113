"""What a source has left in pools of shards: its own rows, and rows of others that say its words.

A merge unites the captions of equal motions, and recombined clips are told with the captions of what they were made of. Who took over
whose words is read from the shards, so it holds when the merge and its ledger are gone, and for shards that no corpus names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus.clip import made_of
from stickgen_core.corpus.shards import ARRAY_SCHEMA, DIGEST_BYTES, FIELDS, SHARD_NAME, OpenShard
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import Corrupt

# Equal in these, two clips are one motion to a merge.
MOTION = ("joints", "present", "joint_source")
# What a data set's own corpus is made from; every other corpus was made from corpora.
ORIGINAL = ("raw", "file")
TextPlace = tuple[str, int]


@dataclass(frozen=True)
class Traces:
    """Where a source is.

    texts        (shard, row) of texts that are its own, or say its words
    shards       shards that hold any of these, or its motion
    unreadable   shards that cannot be shown to hold nothing of it
    """

    source: str
    texts: frozenset[TextPlace]
    shards: frozenset[str]
    unreadable: frozenset[str]

    def mask(self, corpus: Corpus) -> pa.ChunkedArray:
        """[n] bool: clips of a corpus that are the source's, or say its words."""
        index = corpus.index
        places = zip(index["text_shard"].to_pylist(), index["text_row"].to_pylist(), strict=True)
        said = pa.chunked_array([pa.array([place in self.texts for place in places], pa.bool_())])
        return pc.or_(pc.equal(index["source"], self.source), said)


def traces_of(source: str, corpora: Sequence[Corpus], pools: Iterable[Path]) -> Traces:
    """Everything that a source left in some pools; a clip that says no more than its own data set says is not among it."""
    arrays, texts, unreadable = _opened(pools)
    ids = {clip_id for c in corpora for clip_id in c.index.filter(pc.equal(c.index["source"], source))["id"].to_pylist()}

    def owned(clip_id: str) -> bool:
        return clip_id in ids or clip_id.startswith(f"{source}/")

    motions = {_motion(digests) for _, _, clip_id, digests in _cells(arrays, "id", "field_digests") if owned(clip_id)}
    shards = {shard for shard, _, clip_id in _cells(arrays, "id") if owned(clip_id)}
    equals = {
        clip_id for _, _, clip_id, digests in _cells(arrays, "id", "field_digests") if _motion(digests) in motions and not owned(clip_id)
    }
    equals |= {clip_id for corpus in corpora for clip_id in _equals_told(corpus, source)}
    words = {text for _, _, clip_id, said in _cells(texts, "id", "text") if owned(clip_id) for text in said}
    own_words = _OwnWords(corpora)

    def says_its_words(clip_id: str, said: Iterable[str]) -> bool:
        taken = words.intersection(said) if clip_id not in equals else set(said)
        return bool(taken) and bool(taken - own_words.of(clip_id))

    telling = {(shard, row): clip_id for shard, row, clip_id, said in _cells(texts, "id", "text") if says_its_words(clip_id, said)}
    tellers = equals | set(telling.values())
    gone = {
        (shard, row)
        for shard, row, clip_id in _cells(texts, "id")
        if owned(clip_id) or (shard, row) in telling or not tellers.isdisjoint(made_of(clip_id))
    }
    return Traces(source, frozenset(gone), frozenset(shards | {shard for shard, _ in gone}), frozenset(unreadable))


def _opened(pools: Iterable[Path]) -> tuple[dict[str, OpenShard], dict[str, OpenShard], set[str]]:
    """Shards of arrays and of texts by name, and the names of those that cannot be read."""
    arrays: dict[str, OpenShard] = {}
    texts: dict[str, OpenShard] = {}
    unreadable = set()
    for path in sorted(path for pool in pools for path in pool.glob("*.arrow") if SHARD_NAME.match(path.stem)):
        try:
            shard = OpenShard(path)
        except Corrupt:
            unreadable.add(path.stem)
            continue
        if any(shard.damaged_batches()):
            unreadable.add(path.stem)
        else:
            (arrays if shard.schema == ARRAY_SCHEMA else texts)[path.stem] = shard
    return arrays, texts, unreadable


def _cells(shards: Mapping[str, OpenShard], *columns: str) -> Iterator[tuple[Any, ...]]:
    """(shard, row, then the cells of some columns) of every row."""
    for name, shard in shards.items():
        for row, cells in enumerate(shard.cells(*columns)):
            yield name, row, *cells


def _motion(field_digests: bytes) -> bytes:
    """Of a row's digests, those that make two clips one motion to a merge."""
    starts = (FIELDS.index(name) * DIGEST_BYTES for name in MOTION)
    return b"".join(field_digests[start : start + DIGEST_BYTES] for start in starts)


def _equals_told(corpus: Corpus, source: str) -> Iterator[str]:
    """Clips for which a merge dropped one of the source, as its ledger says."""
    ledger = corpus.ledger()
    told = ledger.filter(pc.and_(pc.equal(ledger["reason"], "duplicate"), pc.equal(ledger["unit"], source)))
    return (detail.removeprefix("same motion as ") for detail in told["detail"].to_pylist())


class _OwnWords:
    """What a clip's own data set says of it."""

    def __init__(self, corpora: Sequence[Corpus]):
        originals = [c for c in corpora if all(parent.partition("/")[0] in ORIGINAL for parent in c.manifest.parents)]
        self._places = {clip_id: (corpus, row) for corpus in originals for row, clip_id in enumerate(corpus.ids)}

    def of(self, clip_id: str) -> set[str]:
        if clip_id not in self._places:
            return set()
        corpus, row = self._places[clip_id]
        return {text.text for text in corpus.texts(row)}
