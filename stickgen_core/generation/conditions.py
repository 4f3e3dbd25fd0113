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
from stickgen_core.text.encoders import Encoder

HIDDEN_ACTION = -1


class Conditioner:
    """Encodes what a plan says for one model on one device."""

    def __init__(self, encoder: Encoder, image_size: tuple[int, int], config: GenerationConfig, device: torch.device):
        self.encoder, self.image_size, self.config, self.device = encoder, image_size, config, device

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """[n, E] float32 by the full, batch-exact encoder; zeros for an empty text, which is the null condition."""
        found = np.zeros((len(texts), self.encoder.width), np.float32)
        told = [place for place, text in enumerate(texts) if text.strip()]
        if told:
            found[told] = self.encoder.encode([texts[place] for place in told])
        return found

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
