"""Named random generators keyed by content: a draw depends on what it is for, never on what was drawn before."""

import hashlib

import numpy as np


def key64(*names: object) -> int:
    """64 bits of SHA-256 over the names, joined so that ("ab", "c") and ("a", "bc") differ."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def generator(*names: object) -> np.random.Generator:
    """A generator of its own for these names, e.g. generator(seed, "camera", clip_id)."""
    return np.random.default_rng(key64(*names))


def unit(*names: object) -> float:
    """A uniform number in [0, 1) for these names, for decisions that need one draw only."""
    return key64(*names) / 2.0**64
