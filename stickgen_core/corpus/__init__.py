"""The store: immutable shards, indexes, selections, ledgers, export."""

from stickgen_core.corpus.check import BadClip
from stickgen_core.corpus.clip import ARRAY_FIELDS, Clip
from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.corpus.ledger import LedgerRow
from stickgen_core.corpus.store import Corpus, current, union
from stickgen_core.corpus.writer import CorpusWriter

__all__ = ["ARRAY_FIELDS", "BadClip", "Clip", "Corpus", "CorpusConfig", "CorpusWriter", "LedgerRow", "current", "union"]
