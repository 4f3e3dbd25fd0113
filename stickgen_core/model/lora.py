"""Low-rank adapters: y = W x + (alpha/rank)·B A x with W frozen. Forty lines of our own instead of peft.

Importing peft costs 14 CPU-seconds (it imports transformers) and would be needed wherever an adapter is served; the adapters
themselves are peft's (same arithmetic, same initialisation, exported under its names), which a test checks against peft.
"""

import math
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from stickgen_core.errors import ConfigError, Corrupt
from stickgen_core.model.config import LoraConfig

DOWN, UP = "lora_A", "lora_B"


class AdaptedLinear(nn.Module):
    """A frozen linear layer with an adapter; it begins as the layer itself, because B starts at zero."""

    def __init__(self, base: nn.Linear, config: LoraConfig):
        super().__init__()
        self.base, self.scale = base, config.alpha / config.rank
        self.lora_A = nn.Parameter(base.weight.new_empty(config.rank, base.in_features))
        self.lora_B = nn.Parameter(base.weight.new_zeros(base.out_features, config.rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + F.linear(F.linear(self.dropout(x), self.lora_A), self.lora_B) * self.scale


def target_layers(model: nn.Module, targets: tuple[str, ...]) -> list[str]:
    """Names of the linear layers below the target modules, in order."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name.split(".")[0] in targets]


def inject(model: nn.Module, config: LoraConfig) -> list[str]:
    """Freeze the model and put an adapter on each target layer; only adapters train afterwards. A second injection is refused."""
    if any(isinstance(module, AdaptedLinear) for module in model.modules()):
        raise ConfigError("lora: this model has adapters already; adapters inject once")
    names = target_layers(model, config.target_modules)
    missing = [t for t in config.target_modules if not any(name.split(".")[0] == t for name in names)]
    if missing:
        raise ConfigError(
            f"lora.target_modules: {missing[0]!r} has no linear layer; the model has {', '.join(n for n, _ in model.named_children())}"
        )
    model.requires_grad_(False)
    for name in names:
        parent, _, leaf = name.rpartition(".")
        owner = model.get_submodule(parent)
        setattr(owner, leaf, AdaptedLinear(getattr(owner, leaf), config))
    return names


def adapter_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The adapters of a model's state dict, and nothing of its base."""
    return {name: value for name, value in state.items() if name.endswith((DOWN, UP))}


def merged_state(base: Mapping[str, Tensor], adapters: Mapping[str, Tensor], config: LoraConfig) -> dict[str, Tensor]:
    """A plain state dict whose weights hold the adapters: W + (alpha/rank)·B A."""
    state = dict(base)
    for name, down in adapters.items():
        if not name.endswith(DOWN):
            continue
        layer = name.removesuffix(f".{DOWN}")
        up = adapters.get(f"{layer}.{UP}")
        weight = base.get(f"{layer}.weight")
        if up is None or weight is None or weight.shape != (up.shape[0], down.shape[1]):
            raise Corrupt(f"adapter {layer}: does not fit the base model; load it with the checkpoint that it was trained on")
        state[f"{layer}.weight"] = weight + (config.alpha / config.rank) * (up @ down)
    return state


def peft_files(adapters: Mapping[str, Tensor], config: LoraConfig) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The adapters as peft names them (adapter_model.safetensors) and its adapter_config.json."""
    tensors = {}
    for name, value in adapters.items():
        layer, _, kind = name.rpartition(".")
        tensors[f"base_model.model.{layer}.{kind}.weight"] = value.contiguous()
    layers = sorted({name.rpartition(".")[0] for name in adapters})
    settings: dict[str, object] = {
        "peft_type": "LORA", "task_type": None, "r": config.rank, "lora_alpha": config.alpha, "lora_dropout": config.dropout,
        "target_modules": layers, "bias": "none", "inference_mode": True, "base_model_name_or_path": None,
    }  # fmt: skip
    return tensors, settings


def trainable(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]
