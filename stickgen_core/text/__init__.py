"""Sentence encoders and their content-addressed cache."""

from stickgen_core.text.cache import ensure_vectors
from stickgen_core.text.config import TextConfig
from stickgen_core.text.embed import conditioning_texts, embed, embed_recipe
from stickgen_core.text.encoders import GOLDEN_TEXT, Encoder, EncoderCard, encoder_for, text_key
from stickgen_core.text.tokens import TokenStates, ensure_tokens
from stickgen_core.text.vectors import TextVectors

__all__ = [
    "GOLDEN_TEXT", "Encoder", "EncoderCard", "TextConfig", "TextVectors", "TokenStates", "conditioning_texts", "embed", "embed_recipe", "encoder_for",
    "ensure_tokens", "ensure_vectors", "text_key",
]  # fmt: skip
