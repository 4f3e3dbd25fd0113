"""From a plan to the tensors that the denoiser is told: text vectors, actions, camera, a picture; and those of the negative prompt."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from stickgen_core.generation.camera import STATIC
from stickgen_core.generation.config import GenerationConfig
from stickgen_core.generation.picture import condition_of
from stickgen_core.generation.request import Plan
from stickgen_core.model.denoiser import Conditions
from stickgen_core.text.encoders import Encoder, normal_form

HIDDEN_ACTION = -1
# Text vectors kept for prompts that come again: 6 MB at 384 numbers each.
KNOWN_TEXTS = 4096


class Conditioner:
    """Encodes what a plan says for one model on one device."""

    def __init__(self, encoder: Encoder, image_size: tuple[int, int], config: GenerationConfig, device: torch.device):
        self.encoder, self.image_size, self.config, self.device = encoder, image_size, config, device
        self._known: dict[str, np.ndarray] = {}

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """[n, E] float32; zeros for an empty text, which is the null condition."""
        found = np.zeros((len(texts), self.encoder.width), np.float32)
        for place, text in enumerate(texts):
            if text.strip():
                found[place] = self._vector(normal_form(text))
        return found

    def _vector(self, text: str) -> np.ndarray:
        """One text at a time, so that a prompt's bits do not depend on its company; within 1e-6 of the vectors that training cached."""
        if text not in self._known:
            if len(self._known) >= KNOWN_TEXTS:
                self._known.clear()
            self._known[text] = self.encoder.encode_quickly([text])[0]
        return self._known[text]

    def of(self, plan: Plan, texts: Sequence[str], vectors: np.ndarray, spans: Sequence[tuple[int, int]]) -> Conditions:
        """Conditions of one row a text, over the frames [start, stop) of the plan; shorter rows are padded."""
        rows, frames = len(texts), max(stop - start for start, stop in spans)
        actions = np.full((rows, frames, plan.actors), HIDDEN_ACTION, np.int64)
        camera = np.tile(np.array(STATIC, np.float32), (rows, frames, 1))
        for n, (start, stop) in enumerate(spans):
            actions[n, : stop - start], camera[n, : stop - start] = plan.actions[start:stop], plan.camera[start:stop]
        told = Conditions(
            text=self.tensor(vectors),
            has_text=torch.tensor([bool(text.strip()) for text in texts], device=self.device),
            actions=torch.from_numpy(actions).to(self.device),
            camera=self.tensor(camera),
        )
        if plan.picture is None:
            return told
        image, viewpoint = condition_of(plan.picture, self.image_size, self.config)
        return replace(
            told, image=self.tensor(image).expand(rows, *image.shape), viewpoint=self.tensor(viewpoint).expand(rows, len(viewpoint)),
            has_image=torch.ones(rows, dtype=torch.bool, device=self.device),
        )  # fmt: skip

    def against(self, plan: Plan, asked: Conditions) -> Conditions | None:
        """The same with the negative prompt in the text's place and without the picture."""
        if not plan.negative:
            return None
        unwanted = self.tensor(self.vectors([plan.negative])).expand_as(asked.text)
        hidden = None if asked.has_image is None else torch.zeros_like(asked.has_image)
        return replace(asked, text=unwanted, has_text=torch.ones_like(asked.has_text), has_image=hidden)

    def tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self.device)
