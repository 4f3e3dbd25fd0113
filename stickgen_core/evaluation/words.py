"""Captions as word numbers: the vocabulary is that of the training captions, everything else is one unknown word."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
PADDING, UNKNOWN, EMPTY = 0, 1, 2


def split_words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


@dataclass(frozen=True)
class Vocabulary:
    """Words in order of number, starting after padding, unknown and the empty caption; `weights` is each word's rarity (idf)."""

    words: tuple[str, ...]
    weights: tuple[float, ...]
    max_words: int

    @classmethod
    def of(cls, captions: Iterable[str], max_words: int) -> "Vocabulary":
        counts: Counter[str] = Counter()
        total = 0
        for caption in captions:
            counts.update(set(split_words(caption)))
            total += 1
        words = tuple(sorted(counts))
        return cls(words, tuple(float(np.log((1 + total) / (1 + counts[w]))) + 1e-3 for w in words), max_words)

    def __len__(self) -> int:
        return len(self.words) + 3

    def numbers(self, captions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Captions -> word numbers [N,L] and valid [N,L]; padding is never valid, an empty caption is one token."""
        known = {word: place for place, word in enumerate(self.words, 3)}
        rows = [[known.get(w, UNKNOWN) for w in split_words(c)][: self.max_words] or [EMPTY] for c in captions]
        numbers = np.full((len(rows), max(map(len, rows))), PADDING, np.int64)
        for place, row in enumerate(rows):
            numbers[place, : len(row)] = row
        return numbers, numbers != PADDING

    def bags(self, numbers: np.ndarray) -> np.ndarray:
        """Unit bags of words weighted by rarity: [N,L] -> [N, words]."""
        bags = np.zeros((len(numbers), len(self)), np.float32)
        np.add.at(bags, (np.arange(len(numbers))[:, None], numbers), 1.0)
        bags *= np.concatenate([[0, 1, 1], self.weights]).astype(np.float32)
        return bags / np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1e-9)
