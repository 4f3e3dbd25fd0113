"""Embedding a corpus: a selection of the same clips that carries the keys of their texts' vectors."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stickgen_core.corpus import Corpus, current
from stickgen_core.curation.captions import describing
from stickgen_core.records.digests import digest_bytes, digest_entries, digest_json
from stickgen_core.sources.recording import CONDITIONING_KINDS, Text
from stickgen_core.text.cache import ensure_vectors, ready_vectors
from stickgen_core.text.config import TextConfig
from stickgen_core.text.encoders import GOLDEN_TEXT, Encoder, Progress, encoder_for, text_key
from stickgen_core.text.tokens import ensure_tokens, tokens_ready
from stickgen_core.text.vectors import TextVectors

RECIPE_VERSION = 1
READ_AT_ONCE = 8192  # vectors


def conditioning_texts(texts: Iterable[Text]) -> list[str]:
    """The texts of a clip that a model may be conditioned on, in order: `text_keys` stands in this order."""
    return [t.text for t in texts if t.describes]


def embed_recipe(encoder: Encoder, token_states: bool = False) -> str:
    tokens = {"token_states": True} if token_states else {}
    return digest_json({"embed": RECIPE_VERSION, "encoder": encoder.digest, "kinds": CONDITIONING_KINDS, **tokens})


def embed(
    corpus: Corpus, config: TextConfig, cache: Path, into: Path, *, name: str, encoder: Encoder | None = None, progress: Progress = None
) -> Corpus:
    """Encode what the cache lacks and publish the corpus with `text_keys` (list of hex keys) and `has_text` for every clip.

    The manifest's notes say by which encoder (`encoder_digest`, width, pooling, revision, golden digest) and `vectors_digest` is over
    exactly the vectors that these clips use; with `token_states` in the configuration those of every token are kept as well.
    """
    encoder = encoder or encoder_for(config)
    parents = {corpus.manifest.name: corpus.digest}
    recipe = embed_recipe(encoder, config.token_states)
    ready = current(into, recipe, parents)
    if ready is not None and _cached(ready, encoder, cache, config.token_states):
        return ready
    keys, distinct = keys_of(corpus, encoder.digest)
    vectors = ensure_vectors(
        distinct.values(), encoder, cache, flush_rows=config.flush_rows, flush_s=config.flush_s, golden_cosine=config.golden_cosine,
        progress=progress,
    )  # fmt: skip
    notes = _notes(corpus, encoder, vectors, distinct)
    if config.token_states:
        states = ensure_tokens(distinct.values(), encoder, cache, flush_rows=config.flush_rows, flush_s=config.flush_s, progress=progress)
        notes["token_states_digest"] = states.digest(sorted(distinct))
    annotations = {"text_keys": keys, "has_text": pc.greater(pc.list_value_length(keys), 0)}
    everything = np.arange(len(corpus))
    return corpus.select(everything, into, name, recipe, annotations=annotations, notes=notes, parents=parents)


def _cached(embedded: Corpus, encoder: Encoder, cache: Path, token_states: bool) -> bool:
    """Whether the cache still holds what an embedded corpus names."""
    folder, keys = cache / encoder.digest, pc.unique(pc.list_flatten(embedded.index["text_keys"])).to_pylist()
    vectors = ready_vectors(folder, [text_key(encoder.digest, GOLDEN_TEXT), *keys])
    return vectors is not None and (not token_states or tokens_ready(folder, encoder.width, keys))


def keys_of(corpus: Corpus, encoder_digest: str) -> tuple[pa.Array, dict[str, str]]:
    """(list<string> of keys for each clip, key -> text for each distinct text)."""
    table = describing(corpus)
    coded = table["text"].combine_chunks().dictionary_encode()
    said = coded.dictionary.to_pylist()
    key_of = [text_key(encoder_digest, text) for text in said]
    offsets = np.searchsorted(table["clip"].to_numpy(), np.arange(len(corpus) + 1))
    flat = pa.array(key_of, pa.string()).take(coded.indices)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat), dict(zip(key_of, said, strict=True))


def _notes(corpus: Corpus, encoder: Encoder, vectors: TextVectors, distinct: Mapping[str, str]) -> dict[str, Any]:
    """Which encoder, how many texts, and the digest of just the vectors in use, whatever else the cache holds."""
    keys = sorted(distinct)
    portions = (keys[start : start + READ_AT_ONCE] for start in range(0, len(keys), READ_AT_ONCE))
    rows = ((key, digest_bytes(row.tobytes())) for some in portions for key, row in zip(some, vectors.vectors(some), strict=True))
    used = digest_entries("vectors.v1", rows)
    carried = {k: v for k, v in corpus.manifest.notes.items() if k != "store"}
    return {
        **carried, "encoder_digest": encoder.digest, "encoder": encoder.card.notes(), "width": encoder.width, "fake": encoder.card.fake,
        "golden_text": GOLDEN_TEXT, "golden_key": text_key(encoder.digest, GOLDEN_TEXT), "golden_digest": vectors.notes["golden_digest"],
        "vectors_digest": used, "distinct_texts": len(keys),
    }  # fmt: skip
