"""A vector depends on its text alone, is made once, and survives whatever happens to the writer."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.config import load, read_yaml
from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.text import GOLDEN_TEXT, TextConfig, TextVectors, encoder_for, ensure_vectors, text_key
from stickgen_core.text.batches import canonical_batches
from stickgen_core.text.forget import keep_only
from stickgen_core.text.hashing import HashingEncoder
from stickgen_core.text.vectors import read_shard, verify_vectors

TEXTS = [
    f"a person {verb} {where}{'.' * (n % 3)}"
    for n, verb in enumerate(["walks", "jumps high", "sits down"])
    for where in ("left", "to the right")
]


def config(**changes):
    return TextConfig(encoder="hashing", hashing_width=32, batch_rows=8, **changes)


class Counting(HashingEncoder):
    """Counts what it is asked to encode; can be made to compute something else."""

    def __init__(self, sign=1.0):
        super().__init__(32, 8)
        self.asked = []
        self.sign = sign

    def batches(self, texts):
        for indices, rows in super().batches(texts):
            self.asked += [texts[i] for i in indices]
            yield indices, self.sign * rows


def fill(folder, texts, encoder=None, flush_rows=4, flush_s=10.0):
    return ensure_vectors(texts, encoder or Counting(), folder, flush_rows=flush_rows, flush_s=flush_s, golden_cosine=0.9999)


def test_defaults_in_code_and_in_yaml_are_one():
    path = Path(__file__).parents[3] / "configs" / "defaults" / "text.yaml"
    assert load(TextConfig, [path]) == TextConfig()
    assert set(read_yaml(path)) == set(TextConfig.model_fields)


def test_a_batch_has_one_token_count_and_always_the_same_rows():
    counts = [3, 5, 3, 3, 9, 5, 3]
    seen = []
    for indices, real in canonical_batches(counts, 4):
        assert len(indices) == 4
        assert len({counts[i] for i in indices}) == 1
        assert set(indices[real:]) <= set(indices[:real])
        seen += list(indices[:real])
    assert sorted(seen) == list(range(len(counts)))


def test_every_distinct_text_is_encoded_once_and_a_second_run_encodes_nothing(tmp_path):
    first, second = Counting(), Counting()
    fill(tmp_path, TEXTS * 3, first)
    assert len(first.asked) == len(set(TEXTS)) + 1  # and the golden text
    fill(tmp_path, TEXTS, second)
    assert second.asked == []


def test_vectors_come_back_in_the_order_of_the_keys(tmp_path):
    encoder = Counting()
    vectors = fill(tmp_path, TEXTS, encoder)
    keys = [text_key(encoder.digest, t) for t in reversed(TEXTS)]
    np.testing.assert_array_equal(vectors.vectors([*keys, keys[0]])[:-1], encoder.encode(list(reversed(TEXTS))))
    assert vectors.vectors([]).shape == (0, 32)
    assert vectors.verify() == []


def test_fresh_incremental_and_shuffled_caches_are_equal(tmp_path):
    whole = fill(tmp_path / "whole", TEXTS)
    fill(tmp_path / "parts", TEXTS[3:], flush_rows=2)
    parts = fill(tmp_path / "parts", TEXTS[::-1], flush_rows=1)
    assert whole.manifest.digest == parts.manifest.digest


def test_an_unknown_key_is_named(tmp_path):
    vectors = fill(tmp_path, TEXTS)
    with pytest.raises(MissingInput, match="embed the corpus again"):
        vectors.vectors([text_key(vectors.notes["encoder_digest"], "never said")])


def test_a_flipped_bit_is_found(tmp_path):
    vectors = fill(tmp_path, TEXTS)
    shard = next(vectors.folder.glob("*.arrow"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert TextVectors.open(vectors.folder).verify()
    with pytest.raises(Corrupt, match="do not match the name"):
        fill(tmp_path, [*TEXTS, "a new text"])


def test_the_texts_of_a_lost_shard_are_encoded_again_and_no_others(tmp_path):
    whole = fill(tmp_path, TEXTS)
    lost = sorted(whole.folder.glob("*.arrow"))[0]
    gone = set(read_shard(lost)[0])
    lost.write_bytes(lost.read_bytes()[:-8])
    with pytest.raises(Corrupt, match="remove it, its texts are encoded again"):
        fill(tmp_path, TEXTS)
    lost.unlink()
    encoder = Counting()
    again = fill(tmp_path, TEXTS, encoder)
    assert {text_key(encoder.digest, text) for text in encoder.asked} == gone | {text_key(encoder.digest, GOLDEN_TEXT)}
    assert again.manifest.digest == whole.manifest.digest and again.verify() == []


def flipped(path, step=1):
    """The file with one bit turned, at one place after another; whole again in the end."""
    data = path.read_bytes()
    for place in range(0, len(data), step):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        yield place
    path.write_bytes(data)


def test_a_flipped_bit_in_manifest_or_index_is_found_and_a_damaged_index_is_one_finding(tmp_path):
    folder = fill(tmp_path, TEXTS).folder
    for _ in flipped(folder / "manifest.json"):
        assert verify_vectors(folder)
    for _ in flipped(folder / "index.parquet", step=5):
        assert len(verify_vectors(folder)) == 1
    assert verify_vectors(folder) == []


@pytest.mark.parametrize("name", ["manifest.json", "index.parquet"])
def test_a_damaged_manifest_or_index_is_written_again_from_the_shards(tmp_path, name):
    folder = fill(tmp_path, TEXTS).folder
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:99] + bytes([data[99] ^ 1]) + data[100:])
    encoder = Counting()
    assert fill(tmp_path, TEXTS, encoder).verify() == [] and encoder.asked == [GOLDEN_TEXT]


def test_a_cache_of_before_the_seal_is_read_and_its_damaged_index_is_one_line(tmp_path):
    vectors = fill(tmp_path, TEXTS)
    values = json.loads((vectors.folder / "manifest.json").read_text())
    del values["seal"], values["files"]["index.parquet"]
    (vectors.folder / "manifest.json").write_text(json.dumps(values))
    encoder = Counting()
    assert fill(tmp_path, TEXTS, encoder).verify() == [] and encoder.asked == []
    wanted, opened = [text_key(encoder.digest, text) for text in TEXTS], 0
    for _ in flipped(vectors.folder / "index.parquet", step=3):
        try:
            TextVectors.open(vectors.folder).vectors(wanted)
            opened += 1
        except StickgenError as error:
            assert "\n" not in str(error)
        verify_vectors(vectors.folder)
    assert opened


def test_an_encoder_that_computes_something_else_is_refused(tmp_path):
    fill(tmp_path, TEXTS)
    with pytest.raises(Corrupt, match="golden vector"):
        fill(tmp_path, [*TEXTS, "a new text"], Counting(sign=-1.0))


def test_a_killed_writer_loses_nothing_that_was_encoded_before_the_last_moments(tmp_path):
    script = f"""
import os, signal
from pathlib import Path
from stickgen_core.text import cache
from tests_texts import TEXTS, Counting
class Dying(Counting):
    def batches(self, texts):
        for number, batch in enumerate(super().batches(texts)):
            if number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch
cache.ensure_vectors(TEXTS, Dying(), Path({str(tmp_path / "cache")!r}), flush_rows=1000, flush_s=1e-9, golden_cosine=0.9999)
"""
    (tmp_path / "tests_texts.py").write_text(Path(__file__).read_text())
    died = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}, check=False)
    assert died.returncode == -signal.SIGKILL
    undisturbed, encoder = Counting(), Counting()
    fresh = fill(tmp_path / "other", TEXTS, undisturbed)
    again = fill(tmp_path / "cache", TEXTS, encoder)
    # three batches took their time and were written, though no thousand vectors were there and no index named them yet
    done = [len(batch) for batch, _ in Counting().batches(undisturbed.asked)][:3]
    assert 3 <= sum(done) == len(undisturbed.asked) - len(encoder.asked) < len(undisturbed.asked)
    assert again.manifest.digest == fresh.manifest.digest and again.verify() == []


def test_blanks_and_composition_do_not_make_a_new_text():
    assert text_key("d", " caf\u0065\u0301 ") == text_key("d", "caf\u00e9")
    assert text_key("d", "Walk") != text_key("d", "walk")
    assert text_key("d", "walk") != text_key("e", "walk")


def test_the_fake_encoder_is_flagged_and_knows_shared_words():
    encoder = encoder_for(config())
    assert encoder.card.fake
    a, b, c = encoder.encode(["a person waves", "the person waves", "somersault"]).astype(float)
    assert a @ b > a @ c
    np.testing.assert_allclose(np.linalg.norm(a), 1.0, rtol=1e-6)


def test_forgotten_texts_leave_the_cache_and_the_disk(tmp_path):
    encoder = encoder_for(TextConfig(encoder="hashing", hashing_width=32))
    said = [f"a person does thing {n}" for n in range(7)]
    vectors = ensure_vectors(said, encoder, tmp_path, flush_rows=3, flush_s=10, golden_cosine=0.9999)
    before = vectors.vectors([text_key(encoder.digest, text) for text in said])
    folder = tmp_path / encoder.digest
    secret = vectors.vectors([text_key(encoder.digest, said[2])]).tobytes()
    assert any(secret in path.read_bytes() for path in folder.iterdir())
    assert keep_only(folder, [text for n, text in enumerate(said) if n not in (2, 5)]) == 2
    assert not any(secret in path.read_bytes() for path in folder.iterdir())
    left = TextVectors.open(folder)
    assert left.verify() == [] and len(left) == 6 and left.manifest.counts["vectors"] == 6
    assert left.has([text_key(encoder.digest, text) for text in said]).tolist() == [True, True, False, True, True, False, True]
    np.testing.assert_array_equal(left.vectors([text_key(encoder.digest, said[6])])[0], before[6])
    assert keep_only(folder, said) == 0
    again = ensure_vectors(said, encoder, tmp_path, flush_rows=3, flush_s=10, golden_cosine=0.9999)
    np.testing.assert_array_equal(again.vectors([text_key(encoder.digest, text) for text in said]), before)
