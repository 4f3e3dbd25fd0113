"""What a machine has against what each stage and each variant needs: disk with room to spare, memory, GPU memory, hours, money."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from stickgen_core.config import Section, load
from stickgen_core.records.environment import memory_gb
from stickgen_core.settings import Settings

State = Literal["ok", "failed", "note"]
# The system keeps a little of the memory that a machine was bought with.
SEEN_SHARE = 0.95


class Need(Section):
    """What a group or `<variant>_<stage>` takes; None where nobody measured or documented it."""

    source: Literal["documented", "measured"]
    disk_gb: float | None = None
    memory_gb: float | None = None
    vram_gb: float | None = None
    hours: float | None = None
    usd: float | None = None


class Needs(Section):
    """configs/needs.yaml."""

    spare: float
    full: Mapping[str, Need]
    demo: Mapping[str, Need]
    test: Mapping[str, Need]


@dataclass(frozen=True)
class Finding:
    """One line: what was asked of the machine, and what it has."""

    name: str
    state: State
    says: str


@cache
def _needs(path: Path) -> Needs:
    return load(Needs, [path])


def needs_of(settings: Settings, keys: Iterable[str] | None = None) -> dict[str, Need]:
    """Needs by stage; with step keys (checkpoint/small_sft, corpus/merged), those of the stages that they are in."""
    mine: dict[str, Need] = dict(getattr(_needs(settings.configs / "needs.yaml"), settings.profile))
    if keys is None:
        return mine
    wanted = {name for key in keys for name in _stages_of(key)}
    return {stage: need for stage, need in mine.items() if stage in wanted}


def _stages_of(key: str) -> tuple[str, ...]:
    """Names under which a step's needs may stand."""
    group, _, leaf = key.partition("/")
    return (leaf, leaf.partition("_")[0]) if group == "checkpoint" else (group,)


def vram_gb() -> float | None:
    """Memory of the largest GPU that the driver shows; None without one."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    sizes = [float(line) / 1024 for line in done.stdout.split() if line.replace(".", "").isdigit()]
    return max(sizes, default=None)


def free_gb(place: Path) -> tuple[float, Path]:
    """Free space of the file system that a folder is or will be on."""
    there = next(p for p in (place, *place.parents) if p.exists())
    return shutil.disk_usage(there).free / 1e9, there


def held_gb(folder: Path) -> float:
    """What is there already needs no room again."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e9


def findings(settings: Settings, keys: Iterable[str] | None = None) -> Iterator[Finding]:
    """This machine against the needs of a profile, or of the stages of some of its steps."""
    needs = needs_of(settings, keys)
    if not needs:
        return
    spare = _needs(settings.configs / "needs.yaml").spare
    free, place = free_gb(settings.places.data)
    wanted = sum(need.disk_gb or 0.0 for need in needs.values())
    missing = wanted * spare if keys is not None else max(0.0, wanted * spare - held_gb(settings.places.data))
    sources = " and ".join(sorted({need.source for need in needs.values()}))
    to_come = f"{missing:.2f} GB still wanted with {spare - 1:.0%} to spare"
    yield Finding(
        "disk", "ok" if free >= missing else "failed", f"{free:.1f} GB free at {place}; {wanted:.2f} GB in all ({sources}), {to_come}"
    )
    memory = memory_gb()
    stage, most = max(((name, need.memory_gb or 0.0) for name, need in needs.items()), key=lambda item: item[1])
    enough = memory is None or memory >= most * SEEN_SHARE
    yield Finding(
        "memory", "ok" if enough else "failed", f"{memory or 'unknown'} GB; {most:g} GB wanted by {stage} ({needs[stage].source})"
    )
    have = vram_gb()
    for name, need in needs.items():
        if need.vram_gb:
            found = f"the largest GPU has {have:.0f} GB" if have else "there is no GPU here"
            yield Finding(
                f"gpu, {name}", "ok" if have and have >= need.vram_gb else "note", f"{need.vram_gb:g} GB wanted ({need.source}); {found}"
            )


def cost_of(settings: Settings, keys: Iterable[str]) -> tuple[float, float]:
    """Hours and dollars that the tables name for the stages of these steps, data preparation among them."""
    needs = needs_of(settings, keys).values()
    return sum(need.hours or 0.0 for need in needs), sum(need.usd or 0.0 for need in needs)
