"""The machine: which device, which arithmetic, how many processes, and what makes a run repeatable on it."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stickgen_core.errors import ConfigError
from stickgen_core.model.memory import keep_freed_memory
from stickgen_core.records.environment import torch_threads
from stickgen_core.training.config import TrainingConfig

# What a repeatable run needs in its environment. A hash seed works from the start of a process on: the worker process gets it at birth,
# a process that is running already hands it to its children.
REPEATABLE = {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


@dataclass(frozen=True)
class Machine:
    """Where this process computes; `world` processes share each optimiser step."""

    device: torch.device
    rank: int
    world: int

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def autocast(self) -> Any:
        """bfloat16 on CUDA; float32 elsewhere (bfloat16 autocast is 3 x slower on a CPU without it)."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    def summed(self, tensors: list[Tensor]) -> None:
        """Add tensors over all processes, in place, in one exchange."""
        if self.world == 1:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        torch.distributed.all_reduce(flat)
        for t, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            t.copy_(part.view_as(t))

    def gathered(self, value: Any) -> list[Any]:
        """The value of every process, in order of rank."""
        if self.world == 1:
            return [value]
        values = [None] * self.world
        torch.distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        if self.world > 1:
            torch.distributed.barrier()

    def any(self, flag: bool) -> bool:
        """True if the flag is set in any process."""
        if self.world == 1:
            return flag
        told = torch.tensor([float(flag)], device=self.device)
        torch.distributed.all_reduce(told)
        return bool(told.item())


def chosen_device(name: str, key: str = "training.device") -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"{key}: cuda is asked for, but this machine has none; use auto or cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"{key}: mps is asked for, but this machine has none; use auto or cpu")
    return torch.device(name)


@contextmanager
def machine_for(config: TrainingConfig) -> Iterator[Machine]:
    """Set up the device and, under torchrun, the process group; settings are put back on the way out."""
    device, world = chosen_device(config.device), int(os.environ.get("WORLD_SIZE", 1))
    rank = int(os.environ.get("RANK", 0))
    strict, coarse = torch.are_deterministic_algorithms_enabled(), torch.backends.cuda.matmul.allow_tf32
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
    keep_freed_memory()
    if config.deterministic:
        for name, value in REPEATABLE.items():
            os.environ.setdefault(name, value)
        torch.use_deterministic_algorithms(True)
    started = world > 1 and not torch.distributed.is_initialized()
    if started:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with torch_threads(config.threads):
            yield Machine(device, rank, world)
    finally:
        if started:
            torch.distributed.destroy_process_group()
        torch.use_deterministic_algorithms(strict)
        torch.backends.cuda.matmul.allow_tf32 = coarse


def of_memory(error: BaseException) -> bool:
    """Did an allocation fail? Devices raise a class of their own, the CPU's allocator a RuntimeError, NumPy a MemoryError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator: " in str(error)


def environment(machine: Machine) -> dict[str, Any]:
    """What a repeated run must share for equal bits, as plain values."""
    facts: dict[str, Any] = {
        "torch": str(torch.__version__), "python": platform.python_version(), "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(), "device": machine.device.type,
        "world": machine.world, "hash_seed": os.environ.get("PYTHONHASHSEED", ""), "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""),
    }  # fmt: skip
    if machine.device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(machine.device), "cuda": str(torch.version.cuda)}
    return facts
