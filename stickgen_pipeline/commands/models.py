"""Commands around models: train one, count parameters, generate, and the registry of what was trained."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stickgen_core.errors import ConfigError
from stickgen_core.records.model_registry import ModelRegistry
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import answer, note, settings_of, table
from stickgen_pipeline.profile import run_of

if TYPE_CHECKING:
    from stickgen_core.training.config import RunConfig

# As many digits of a hash as the documents quote.
HASH_DIGITS = 8


def train(options: argparse.Namespace) -> int:
    """One checkpoint through the graph, so that it is recorded, reused and resumed like any other."""
    _switch_to_adapters(options)
    settings = settings_of(options)
    if options.dry_run:
        from stickgen_pipeline.commands.dry_run import dry_run

        return dry_run(options, settings)
    if not options.variant or not options.stage:
        raise ConfigError("train: name a variant and a stage, such as `stickgen train small pretrain`; only --dry-run answers for all nine")
    if options.seeds is not None:
        from stickgen_pipeline.commands.evaluation import train_seeds

        return train_seeds(options)
    run = run_of(settings, options.variant, options.stage)
    if options.profiling:
        from stickgen_pipeline.commands.profiled import profiled

        return profiled(options, settings, run)
    if options.resume_from:
        _resume_from(Path(options.resume_from).absolute(), run)
    return _build(options, f"checkpoint/{run.name}")


def _switch_to_adapters(options: argparse.Namespace) -> None:
    """`lora.enabled=true` on SFT is the LoRA run of that variant: the same checkpoint of the graph, whoever asks for it."""
    said = [text for text in options.config_override if text.partition("=")[0].strip() == "lora.enabled"]
    if not said or options.stage == "pretrain":
        return  # on pretraining the configuration refuses it
    options.config_override = [text for text in options.config_override if text not in said]
    if said[-1].partition("=")[2].strip().lower() == "true":
        options.stage = "lora"


def _resume_from(path: Path, run: "RunConfig") -> None:
    """The option outranks the environment, which outranks the configuration; the worker process reads it from there."""
    from stickgen_core.training.starting import RESUME_VARIABLE, run_in

    found = run_in(path)
    if found != run.name:
        raise ConfigError(f"{path}: a state of {found}, not of {run.name}")
    os.environ[RESUME_VARIABLE] = str(path)


def verify_config(settings: Settings, variant: str, stage: str) -> None:
    """Say whether the checkpoint was trained with the configuration that holds now; a difference is a warning, not an error."""
    from stickgen_core.records.manifest import read_manifest

    trained = str(read_manifest(settings.places.checkpoint(variant, stage)).notes["config_hash"])[:HASH_DIGITS]
    current = run_of(settings, variant, stage).hash[:HASH_DIGITS]
    if trained == current:
        note(f"Config hash {current} matches the checkpoint's.")
    else:
        note(f"Config hash mismatch! Checkpoint config hash: {trained}, Current config hash: {current}. This may affect reproducibility.")


def _build(options: argparse.Namespace, key: str) -> int:
    from stickgen_pipeline.commands.build import build

    options.selection, options.only = [key], False
    return build(options)


def params(options: argparse.Namespace) -> int:
    """Parameters by part, counted on the built model, beside the documented figures and why some of those cannot hold."""
    from stickgen_core.model.counts import image_table, parameter_table

    settings = settings_of(options)
    counted = {}
    for variant in [options.variant] if options.variant else settings.config.pipeline.variants:
        run = run_of(settings, variant, "lora")
        counted[variant] = parameter_table(run.model, run.lora.rank, run.lora.target_modules)
    if options.images:
        counted["images"] = image_table(run_of(settings, "small", "pretrain").model)
    rows = [(name, row.part, f"{row.ours:,}", row.documented, row.note) for name, parts in counted.items() for row in parts]
    values = {name: [vars(row) for row in parts] for name, parts in counted.items()}
    return answer(options, values, table(("model", "part", "parameters", "documented", "where they differ"), rows))


def registry(settings: Settings) -> ModelRegistry:
    return ModelRegistry(settings.places.registry_file)


def registry_list(options: argparse.Namespace) -> int:
    found = registry(settings_of(options))
    return _entries(options, found.by_task(options.task) if options.task else found.entries())


def registry_rebuild(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    count = registry(settings).rebuild(settings.places.outputs)
    return answer(options, {"models": count}, f"{settings.places.registry_file}: {count} models, from {settings.places.outputs}")


def registry_best(options: argparse.Namespace) -> int:
    return _entries(options, [registry(settings_of(options)).best(options.task, options.metric, options.mode)])


def registry_find(options: argparse.Namespace) -> int:
    """Runs of one configuration; of several it is said whether they agree as they should on different hardware."""
    settings = settings_of(options)
    found = registry(settings)
    agreed = found.agreement(options.config_hash, "best_val_loss")
    if agreed is not None:
        allowed = run_of(settings, "small", "pretrain").training.tolerance
        verdict = "within" if agreed[1] <= allowed else "not within"
        note(
            f"{agreed[0]} runs of this configuration: best validation losses differ by {agreed[1]:.2%}, {verdict} the {allowed:.0%} of training.tolerance"
        )
    return _entries(options, found.by_config_hash(options.config_hash))


def registry_export(options: argparse.Namespace) -> int:
    count = registry(settings_of(options)).export_csv(Path(options.path))
    return answer(options, {"path": options.path, "models": count}, f"{options.path}: {count} models")


def _entries(options: argparse.Namespace, entries: list[dict[str, Any]]) -> int:
    rows = [(e["run_id"], e["task"], str(e["config_hash"])[:8], _metrics(e["metrics"]), e["checkpoint_path"]) for e in entries]
    return answer(
        options, entries, table(("run", "task", "config", "metrics", "checkpoint"), rows) if rows else "no trained model here yet"
    )


def _metrics(metrics: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in list(metrics.items())[:3])
