"""Which sentence encoder turns captions into vectors, and how its batches are made."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from stickgen_core.config import Section


class TextConfig(Section):
    """The text room.

    encoder         minilm (packaged, for demo and tests) | bge-large (the documented one) | hashing (fake, needs no weights)
    bge_folder      a folder with a downloaded bge-large; empty means the local Hugging Face cache
    bge_revision    the commit of BAAI/bge-large-en-v1.5 that is used
    device          where sentences are encoded; the cached vector is the authority, whatever made it
    threads         CPU threads while encoding: another number may change the last bits of a fresh vector
    batch_rows      rows of every batch; a batch holds one exact token count and is filled up by repetition
    flush_rows      new vectors between two shards ...
    flush_s         ... if encoding them does not take longer than this: what a killed run loses at most
    golden_cosine   how close a fresh golden vector must be to the cached one, as cosine
    hashing_width   width of the fake encoder
    token_states    also keep the states of every token, for models that attend to words; some fifteen times the space
    """

    encoder: Literal["minilm", "bge-large", "hashing"] = "minilm"
    bge_folder: str = ""
    bge_revision: str = "d4aa6901d3a41ba39fb536a557fa166f842b0e09"
    device: str = "cpu"
    threads: PositiveInt = 1
    batch_rows: PositiveInt = 64
    flush_rows: PositiveInt = 4096
    flush_s: PositiveFloat = 10.0
    golden_cosine: float = Field(default=0.9999, gt=0, le=1)
    hashing_width: PositiveInt = 384
    token_states: bool = False
