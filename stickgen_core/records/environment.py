"""What a result was made with: interpreter, packages, processor, threads, commit. Never a host name, a user or a secret."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "pyarrow", "pydantic", "sentence-transformers", "transformers", "peft", "safetensors", "dagster", "duckdb")
# A list of what may be written, not of what must not: a new token variable can never slip through.
VARIABLES = (
    "STICKGEN_PROFILE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED", "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG",
    "ATEN_CPU_CAPABILITY", "MKL_CBWR", "WORLD_SIZE",
)  # fmt: skip


def capture(repository: Path | None = None) -> dict[str, Any]:
    """The environment as plain JSON values; of torch and CUDA only what a program that has loaded torch can see."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": memory_gb(),
        "packages": versions(PACKAGES),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "git": git_state(repository) if repository else None,
        "torch": torch_state(),
    }


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's model name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None


def git_state(repository: Path) -> dict[str, Any] | None:
    """The commit and whether the tree differs from it; None outside a repository or without git."""
    commit = _git(repository, "rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "dirty": bool(_git(repository, "status", "--porcelain", "--untracked-files=no"))}


def _git(repository: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Fix torch's thread count for a block, because another one may change last bits; None leaves it. The next step finds it as it was."""
    import torch

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def torch_state() -> dict[str, Any] | None:
    """Threads, CPU capability and GPUs as torch sees them; None in a program that has not loaded torch, which this never does."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda"):
        return None
    state: dict[str, Any] = {
        "version": str(torch.__version__), "threads": torch.get_num_threads(), "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "deterministic": torch.are_deterministic_algorithms_enabled(), "gpus": [],
    }  # fmt: skip
    if torch.cuda.is_available():
        state["cuda"] = torch.version.cuda
        state["gpus"] = [
            {"name": p.name, "memory_gb": round(p.total_memory / 1e9, 1)}
            for p in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        ]
    return state
