"""A finished run becomes a checkpoint: the release file, the manifest last, then one rename."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stickgen_core.records.digests import digest_file
from stickgen_core.records.manifest import FileRecord, Manifest, write_manifest
from stickgen_core.training import checkpoints
from stickgen_core.training.journal import METRICS
from stickgen_core.training.starting import Origin

LOSSES = ("train_loss", "val_loss", "best_val_loss")
# Figures of the machine, which another machine would not repeat: kept in `made`, not in what is compared.
OF_THE_MACHINE = ("frames_per_s", "peak_share", "memory_gb")


def publish(
    work: Path, out: Path, origin: Origin, counts: Mapping[str, int], metrics: Mapping[str, float], notes: Mapping[str, Any], made: Mapping[str, Any]
) -> Manifest:  # fmt: skip
    """The working folder becomes `out`; a reader sees the old checkpoint or the new one."""
    best = checkpoints.read(work / checkpoints.BEST)
    checkpoints.write_release(work, best)
    (work / checkpoints.PREVIOUS).unlink(missing_ok=True)
    digest = checkpoints.weights_digest(checkpoints.weights_of(work, best))
    names = [p.name for p in sorted(work.iterdir()) if p.suffix in (".pth", ".safetensors")] + [METRICS, "config.yaml"]
    files = {name: FileRecord((work / name).stat().st_size, digest_file(work / name)) for name in names}
    told = {"best_step": best["step"], **counts, **{name: metrics[name] for name in LOSSES if name in metrics}}
    kept = {name: value for name, value in metrics.items() if name not in OF_THE_MACHINE}
    figures = {name: metrics[name] for name in OF_THE_MACHINE if name in metrics}
    manifest = Manifest(
        origin.name, "checkpoint", digest, origin.recipe, origin.parents, told, files, {"metrics": kept, **notes}, {**made, **figures}
    )  # fmt: skip
    write_manifest(work, manifest)
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    work.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    return manifest


def forget_old_epochs(work: Path, keep: int | None) -> None:
    """Only the newest `keep` periodic checkpoints stay; None keeps all."""
    saved = sorted(work.glob("checkpoint_epoch_*.pth"), key=lambda p: int(p.stem.rpartition("_")[2]))
    for path in saved[:-keep] if keep else []:
        path.unlink(missing_ok=True)
