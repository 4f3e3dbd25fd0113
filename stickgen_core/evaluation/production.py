"""The chosen checkpoint at its documented place: `checkpoints/production/best_model.pth`, whole in itself, with the reasons beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.report import dumps
from stickgen_core.model.config import LoraConfig
from stickgen_core.records.digests import digest_file
from stickgen_core.records.manifest import FileRecord, Manifest, read_manifest, write_manifest
from stickgen_core.records.publish import publish_text
from stickgen_core.training import checkpoints

BEST_MODEL, RATIONALE = "best_model.pth", "rationale.json"


def publish_production(
    chosen: Path, folder: Path, choice: Mapping[str, Any], *, name: str, recipe: str, parents: Mapping[str, str]
) -> Manifest:
    """Write the choice's weights and rationale; adapters are merged, so that the file needs no other. It loads to the same weights or fails."""
    source = checkpoints.checkpoint_file(chosen)
    payload = checkpoints.read(source)
    folder.mkdir(parents=True, exist_ok=True)
    if payload["base"] is not None:
        whole = checkpoints.weights_of(source.parent, payload)
        run = {**payload["config"], "lora": {**payload["config"]["lora"], "enabled": False}}
        payload = {**payload, "model_state_dict": whole, "ema": {}, "base": None, "config": run, "merged_from": read_manifest(chosen).name}
        LoraConfig.model_validate(run["lora"])
    checkpoints.save(folder / BEST_MODEL, payload)
    weights = checkpoints.weights_digest(checkpoints.weights_of(folder, checkpoints.read(folder / BEST_MODEL)))
    expected = checkpoints.weights_digest(checkpoints.weights_of(source.parent, checkpoints.read(source)))
    if weights != expected:
        raise StickgenError(f"{folder / BEST_MODEL}: holds weights {weights[:12]}, the chosen {choice['selected']} has {expected[:12]}")
    told = {"selected": choice["selected"], "rationale": choice["rationale"], "weights": weights, "candidates": choice["candidates"],
            "baselines": choice["baselines"], "documented_weights": choice["weights"], "left_out": choice["left_out"]}  # fmt: skip
    publish_text(folder / RATIONALE, dumps(told))
    files = {file: FileRecord((folder / file).stat().st_size, digest_file(folder / file)) for file in (BEST_MODEL, RATIONALE)}
    notes = {"selected": choice["selected"], "rationale": choice["rationale"]}
    manifest = Manifest(name=name, kind="checkpoint", digest=weights, recipe=recipe, parents=dict(parents), files=files, notes=notes)
    write_manifest(folder, manifest)
    return manifest
