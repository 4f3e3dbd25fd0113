"""Which texts describe motion: captions and templates. A transcript says what was spoken, a label names a class."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus import Corpus
from stickgen_core.sources.recording import CONDITIONING_KINDS


def describing(corpus: Corpus) -> pa.Table:
    """The rows of `corpus.text_table()` that a model may be conditioned on; blank texts are none."""
    table = corpus.text_table()
    spoken = pc.and_(pc.is_in(table["kind"], pa.array(CONDITIONING_KINDS)), pc.not_equal(pc.utf8_trim_whitespace(table["text"]), ""))
    return table.filter(spoken)


def is_described(corpus: Corpus) -> np.ndarray:
    """[n] bool: clips with at least one caption or template."""
    found = np.zeros(len(corpus), bool)
    found[describing(corpus)["clip"].to_numpy()] = True
    return found
