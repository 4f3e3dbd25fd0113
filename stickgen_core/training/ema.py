"""The exponential moving average of the weights: what is validated, sampled and released."""

import torch
from torch import Tensor, nn


class Ema:
    """A float32 shadow of the trainable parameters; decay grows from 0, so that short runs are averaged too."""

    def __init__(self, model: nn.Module, decay: float, warmup: float):
        self.decay, self.warmup = decay, warmup
        self.names = [name for name, p in model.named_parameters() if p.requires_grad]
        self._live = [p for p in model.parameters() if p.requires_grad]
        self.shadow = [p.detach().clone().float() for p in self._live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After optimiser step number `step` (from 1)."""
        decay = min(self.decay, (1 + step) / (self.warmup + step))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self._live], 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(zip(self.names, self.shadow, strict=True))

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, shadow in zip(self.names, self.shadow, strict=True):
            shadow.copy_(state[name])

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange live and averaged weights; a second call brings them back exactly."""
        for live, shadow in zip(self._live, self.shadow, strict=True):
            kept = live.detach().clone()
            live.copy_(shadow)
            shadow.copy_(kept)
