"""Captions as the token states of a frozen language model (DistilBERT, MPNet): the evaluator's words where such a model is on the disk.

Its weights are read, never trained, and never those of the sentence encoder that the generator listens to: shared quirks raise R-precision.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stickgen_core.errors import ConfigError, MissingInput
from stickgen_core.text.sentence import weights_digest

OWN = "tokens"


class TokenStates:
    """One model folder in the Hugging Face layout; weights are loaded at the first caption."""

    def __init__(self, folder: Path, most: int):
        if not (folder / "config.json").is_file() or not (folder / "model.safetensors").is_file():
            raise MissingInput(
                f"{folder}: no language model here (config.json, model.safetensors, tokenizer); download DistilBERT or MPNet into it, "
                f"or set evaluation.evaluator.text_branch={OWN}"
            )
        self.folder, self.most = folder, most

    @cached_property
    def digest(self) -> str:
        return weights_digest(self.folder)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        tokenizer = AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)
        return tokenizer, AutoModel.from_pretrained(str(self.folder), local_files_only=True).eval().float()

    @property
    def width(self) -> int:
        return int(self._loaded[1].config.hidden_size)

    def states(self, captions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Last hidden states [N,L,H] float32 and valid [N,L]; an empty caption has the model's own first and last token."""
        tokenizer, model = self._loaded
        told = tokenizer(list(captions), padding=True, truncation=True, max_length=self.most, return_tensors="pt")
        with torch.no_grad():
            found = model(**told).last_hidden_state
        return found.numpy(), told["attention_mask"].bool().numpy()


def states_of(text_branch: str, most: int, generator_weights: str | None = None) -> TokenStates | None:
    """The model that the configuration names, or None for the evaluator's own word encoder.

    generator_weights   digest of the sentence encoder that conditions the generators; the same model is refused
    """
    if text_branch == OWN:
        return None
    found = TokenStates(Path(text_branch).expanduser(), most)
    if generator_weights and found.digest == generator_weights:
        raise ConfigError(
            f"evaluation.evaluator.text_branch: {text_branch} is the encoder that the generators are conditioned on; choose another"
        )
    return found
