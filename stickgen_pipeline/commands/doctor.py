"""`stickgen doctor`: what this machine has, held against what the work needs."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from stickgen_core.errors import StickgenError
from stickgen_core.records.environment import capture, git_state, versions
from stickgen_core.settings import Settings
from stickgen_core.sources.inventory import survey
from stickgen_pipeline import needs
from stickgen_pipeline.commands.common import answer, settings_of, table

NEEDED = ("torch", "numpy", "pyarrow", "pydantic", "dagster", "sentence-transformers", "peft", "safetensors", "duckdb")
Finding = tuple[str, str, str]


def doctor(options: argparse.Namespace) -> int:
    """A check list with an exit code: 1 if something that is needed is not there."""
    settings = settings_of(options)
    found = list(findings(settings))
    values = {
        "profile": settings.profile,
        "environment": capture(settings.root),
        "checks": [{"check": c, "state": s, "says": t} for c, s, t in found],
    }
    answer(options, values, table(("check", "state", ""), found))
    return 1 if any(state == "failed" for _, state, _ in found) else 0


def findings(settings: Settings) -> Iterator[Finding]:
    ok = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield "python", "ok" if ok else "failed", f"{sys.version.split()[0]} (3.11 or 3.12)"
    have = versions(NEEDED)
    missing = [name for name in NEEDED if name not in have]
    yield (
        "packages",
        "failed" if missing else "ok",
        f"missing: {', '.join(missing)}; run `make setup`" if missing else ", ".join(f"{n} {v}" for n, v in have.items()),
    )
    yield _torch()
    yield _gpu()
    yield _determinism()
    yield from ((found.name, found.state, found.says) for found in needs.findings(settings))
    yield _writable("data root", settings.places.data)
    home = Path(os.environ.get("DAGSTER_HOME") or settings.root / "dagster_home")
    yield _writable("DAGSTER_HOME", home) if home.is_absolute() else ("DAGSTER_HOME", "failed", f"{home}: expected an absolute path")
    here = sum(
        survey(spec, settings.places.raw_of(name)).state != "missing" for name, spec in settings.registry.items() if spec.kind == "real"
    )
    real = sum(spec.kind == "real" for spec in settings.registry.values())
    yield "data sets", "ok" if here else "note", f"{here} of {real} on the disk below {settings.places.raw}; `stickgen datasets` lists them"
    yield "configuration", "ok", f"profile {settings.profile}, hash {settings.digest()[:12]}"
    state = git_state(settings.root)
    yield (
        "code",
        "note" if state and state["dirty"] else "ok",
        f"commit {state['commit'][:12]}{', changed since' if state['dirty'] else ''}" if state else "not a git checkout",
    )


def _gpu() -> Finding:
    if shutil.which("nvidia-smi") is None:
        return "gpu", "note", "none; training runs on the CPU (the demo needs no more)"
    import subprocess

    names = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"], capture_output=True, text=True, check=False
    ).stdout
    return "gpu", "ok" if names.strip() else "note", "; ".join(names.strip().splitlines()) or "nvidia-smi lists none"


def _determinism() -> Finding:
    """What makes two runs give the same bits beside the seeds; the trainer sets the rest itself."""
    asked = {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    unset = [f"{name}={value}" for name, value in asked.items() if not os.environ.get(name)]
    return (
        "determinism",
        "note" if unset else "ok",
        f"not set here: {', '.join(unset)}; training sets what it needs" if unset else "flags are set",
    )


def _torch() -> Finding:
    """The build of torch that is installed, told without importing it."""
    version = versions(("torch",)).get("torch", "")
    if shutil.which("nvidia-smi") and "+cpu" in version:
        return "torch", "note", f"{version} is the CPU build, although there is a GPU; STICKGEN_TORCH=cuda make setup"
    return "torch", "ok" if version else "failed", version or "not installed; run `make setup`"


def _writable(name: str, folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StickgenError(f"{folder}: cannot be made ({error.strerror}); set another folder in .env") from None
    return name, "ok" if os.access(folder, os.W_OK) else "failed", str(folder)
