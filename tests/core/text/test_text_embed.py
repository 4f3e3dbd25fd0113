"""An embedded corpus carries the keys of its captions in order, and what made them."""

import numpy as np
import pytest

from bench.clips import random_clip
from stickgen_core.corpus import CorpusWriter
from stickgen_core.sources.recording import Text
from stickgen_core.text import TextConfig, TextVectors, TokenStates, conditioning_texts, embed, encoder_for, text_key
from stickgen_core.text.tokens import verify_tokens

CONFIG = TextConfig(encoder="hashing", hashing_width=32)
TEXTS = {
    0: (Text("one", 0, 1, "caption"), Text("two", 0, 1, "template"), Text("spoken words", 0, 1, "transcript")),
    1: (Text("walk", 0, 1, "label"),),
    2: (),
    3: (Text("two", 0, 1, "caption"), Text("  ", 0, 1, "caption"), Text("three", 0, 1, "caption")),
}


@pytest.fixture
def corpus(tmp_path):
    with CorpusWriter(tmp_path / "a", shards=tmp_path / "shards", name="a") as writer:
        for number, texts in TEXTS.items():
            writer.add(random_clip(number, frames=30, texts=texts))
        return writer.publish({"kept": "note"})


def embedded(corpus, tmp_path, into="b"):
    return embed(corpus, CONFIG, tmp_path / "vectors", tmp_path / into, name="embedded")


def test_keys_stand_in_the_order_of_the_captions_and_lead_to_their_vectors(corpus, tmp_path):
    found = embedded(corpus, tmp_path)
    encoder = encoder_for(CONFIG)
    vectors = TextVectors.open(tmp_path / "vectors" / found.manifest.notes["encoder_digest"])
    for i in range(len(found)):
        said = conditioning_texts(found.texts(i))
        keys = found.index["text_keys"][i].as_py()
        assert keys == [text_key(encoder.digest, t) for t in said]
        assert found.index["has_text"][i].as_py() == bool(said)
        if said:
            np.testing.assert_array_equal(vectors.vectors(keys), encoder.encode(said))
    assert found.manifest.notes["distinct_texts"] == 3
    assert found.manifest.notes["width"] == 32 and found.manifest.notes["fake"] is True and found.manifest.notes["kept"] == "note"
    assert found.verify() == []


def test_embedding_again_is_free_and_elsewhere_equal(corpus, tmp_path):
    first = embedded(corpus, tmp_path)
    stamp = (tmp_path / "b" / "manifest.json").stat().st_mtime_ns
    assert embedded(corpus, tmp_path).digest == first.digest
    assert (tmp_path / "b" / "manifest.json").stat().st_mtime_ns == stamp
    other = embed(corpus, CONFIG, tmp_path / "other vectors", tmp_path / "c", name="embedded")
    assert other.digest == first.digest and other.manifest.notes["vectors_digest"] == first.manifest.notes["vectors_digest"]


def test_what_else_the_cache_holds_does_not_change_the_corpus(corpus, tmp_path):
    alone = embedded(corpus, tmp_path)
    more = corpus.select([0, 2], tmp_path / "less", "less", "r", ledger=[_gone(corpus, 1), _gone(corpus, 3)])
    less = embed(more, CONFIG, tmp_path / "vectors", tmp_path / "d", name="embedded")
    fresh = embed(more, CONFIG, tmp_path / "fresh", tmp_path / "e", name="embedded")
    said = [{k: v for k, v in found.manifest.notes.items() if k != "store"} for found in (less, fresh)]  # the store's seal holds the time
    assert less.digest == fresh.digest and said[0] == said[1]
    assert alone.manifest.notes["vectors_digest"] != less.manifest.notes["vectors_digest"]


def _gone(corpus, i):
    from stickgen_core.corpus import LedgerRow

    return LedgerRow("u", corpus.ids[i], "test", "left out")


def test_another_encoder_makes_another_corpus(corpus, tmp_path):
    first = embedded(corpus, tmp_path)
    wide = embed(corpus, CONFIG.model_copy(update={"hashing_width": 64}), tmp_path / "vectors", tmp_path / "b", name="embedded")
    assert wide.digest != first.digest and wide.manifest.notes["width"] == 64


def test_deleted_vectors_are_made_again(corpus, tmp_path):
    import shutil

    found = embedded(corpus, tmp_path)
    shutil.rmtree(tmp_path / "vectors")
    again = embedded(corpus, tmp_path)
    assert again.digest == found.digest and len(TextVectors.open(tmp_path / "vectors" / encoder_for(CONFIG).digest)) == 4


def test_lost_shards_are_made_again_by_embedding_again_for_each_corpus_that_names_them(corpus, tmp_path):
    config = CONFIG.model_copy(update={"token_states": True})
    less = corpus.select([0], tmp_path / "less", "less", "r", ledger=[_gone(corpus, n) for n in (1, 2, 3)])
    both = [(corpus, "b"), (less, "c")]
    first = [embed(one, config, tmp_path / "vectors", tmp_path / into, name="embedded") for one, into in both]
    folder = tmp_path / "vectors" / encoder_for(config).digest
    for shard in folder.rglob("*.arrow"):
        shard.unlink()
    again = [embed(one, config, tmp_path / "vectors", tmp_path / into, name="embedded") for one, into in reversed(both)][::-1]
    vectors, states = TextVectors.open(folder), TokenStates.open(folder, 32)
    assert vectors.verify() == [] == verify_tokens(folder)
    for before, after in zip(first, again, strict=True):
        keys = {key for row in after.index["text_keys"].to_pylist() for key in row}
        assert after.digest == before.digest and vectors.has(sorted(keys)).all() and all(key in states for key in keys)
