"""A fake encoder for tests: hashed words and character n-grams, no weights, no torch, flagged `fake`."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from stickgen_core.records.digests import digest_bytes
from stickgen_core.text.batches import assembled, rows_canonically
from stickgen_core.text.encoders import EncoderCard, normal_form

_RECIPE = "words, word pairs and character 3-grams; signed buckets of blake2b-64; L2"


class HashingEncoder:
    """Texts that share words and letters point the same way; nothing else is known of meaning."""

    def __init__(self, width: int, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        self.card = EncoderCard(
            name="hashing", model="hashing", revision="1", weights=digest_bytes(_RECIPE.encode()), width=width, pooling="sum",
            normalised=True, instruction="", max_tokens=0, dtype="float32", batching=f"{batch_rows} rows of one token count", fake=True,
        )  # fmt: skip

    @property
    def width(self) -> int:
        return self.card.width

    @property
    def digest(self) -> str:
        return self.card.digest

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return assembled(len(texts), self.width, self.batches(texts))

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return rows_canonically([_features(text) for text in texts], self._batch_rows, self._forward)

    def token_batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for n, text in enumerate(texts):
            words = normal_form(text).lower().split() or [""]
            yield np.array([n]), self._forward([_features(word) for word in words])[None]

    def encode_quickly(self, texts: Sequence[str]) -> np.ndarray:
        return self._forward([_features(text) for text in texts])

    def _forward(self, batch: list[tuple[str, ...]]) -> np.ndarray:
        vectors = np.zeros((len(batch), self.width))
        for row, features in zip(vectors, batch, strict=True):
            for feature in features:
                bits = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
                row[(bits >> 1) % self.width] += 1.0 if bits & 1 else -1.0
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)


def _features(text: str) -> tuple[str, ...]:
    words = normal_form(text).lower().split()
    joined = f" {' '.join(words)} "
    pairs = [f"{a}_{b}" for a, b in zip(words, words[1:], strict=False)]
    return (*words, *pairs, *(joined[i : i + 3] for i in range(len(joined) - 2)))
