"""Sentence encoders by name: text in, float32 vectors out, and a digest that says by what they were made."""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stickgen_core.records.digests import digest_bytes, digest_json
from stickgen_core.text.config import TextConfig

Progress = Callable[[str, int, int], None] | None

# Encoded first into every cache and compared whenever an encoder is opened again.
GOLDEN_TEXT = "a person walks forward, stops and waves with the left hand."


@dataclass(frozen=True)
class EncoderCard:
    """What must be equal for two vectors to be comparable.

    weights     digest of weights, tokenizer and pooling configuration
    fake        True where vectors carry no meaning; such a corpus can never be reported on
    """

    name: str
    model: str
    revision: str
    weights: str
    width: int
    pooling: str
    normalised: bool
    instruction: str
    max_tokens: int
    dtype: str
    batching: str
    fake: bool = False

    @property
    def digest(self) -> str:
        return digest_json(self.notes())

    def notes(self) -> dict[str, Any]:
        """The card as JSON values, for manifests."""
        return dict(vars(self))


class Encoder(Protocol):
    """A sentence encoder; `encode` gives the same vector for a text whatever else is encoded with it."""

    card: EncoderCard

    @property
    def width(self) -> int: ...

    @property
    def digest(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, width]"""
        ...

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same as it comes: (indices, float32 [m, width]) of one canonical batch after another"""
        ...

    def token_batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(indices, float32 [m, tokens, width]) of one canonical batch after another: the states that vectors are pooled from"""
        ...

    def encode_quickly(self, texts: Sequence[str]) -> np.ndarray:
        """As `encode` without filling batches up: equal to about 1e-6, for a prompt that somebody waits for."""
        ...


def telling(progress: Progress, label: str, total: int) -> Callable[[int], None]:
    """What tells a progress callback how many of `total` are done."""
    return lambda done: progress(label, done, total) if progress is not None else None


def normal_form(text: str) -> str:
    """NFC without surrounding blanks: the only thing done to a text before it is encoded."""
    return unicodedata.normalize("NFC", text).strip()


def text_key(encoder_digest: str, text: str) -> str:
    """The key of a text's vector under one encoder: 64 hex digits."""
    return digest_bytes(f"{encoder_digest}\0{normal_form(text)}".encode())


def encoder_for(config: TextConfig) -> Encoder:
    """The encoder the configuration names; weights are read here, a missing model says how to get it."""
    if config.encoder == "hashing":
        from stickgen_core.text.hashing import HashingEncoder

        return HashingEncoder(config.hashing_width, config.batch_rows)
    from stickgen_core.text.sentence import open_bge_large, open_minilm

    return open_minilm(config) if config.encoder == "minilm" else open_bge_large(config)


def same_encoder(notes: Mapping[str, Any], encoder: Encoder) -> bool:
    """True if the `encoder_digest` in a manifest's notes is this encoder's."""
    return notes.get("encoder_digest") == encoder.digest
