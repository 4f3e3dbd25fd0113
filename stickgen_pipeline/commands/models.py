"""Commands around models: train and evaluate one, count parameters, generate, and the registry of what was trained."""

import argparse
from pathlib import Path
from typing import Any

from stickgen_core.errors import MissingInput
from stickgen_core.records.model_registry import ModelRegistry
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import answer, settings_of, table
from stickgen_pipeline.profile import run_of


def train(options: argparse.Namespace) -> int:
    """One checkpoint through the graph, so that it is recorded, reused and resumed like any other."""
    settings = settings_of(options)
    run = run_of(settings, options.variant, options.stage)
    if options.dry_run:
        from stickgen_pipeline.commands.dry_run import dry_run

        return dry_run(options, settings, run)
    if options.resume_from:
        options.config_override = [*options.config_override, f"training.resume_from={Path(options.resume_from).absolute()}"]
    return _build(options, f"checkpoint/{run.name}")


def evaluate(options: argparse.Namespace) -> int:
    """The report of one checkpoint, through the graph."""
    return _build(options, f"evaluation/{options.variant}_{options.stage}_report")


def _build(options: argparse.Namespace, key: str) -> int:
    from stickgen_pipeline.commands.build import build

    options.selection, options.only = [key], False
    return build(options)


def params(options: argparse.Namespace) -> int:
    """Parameters by part, counted on the built model, beside the documented totals."""
    from stickgen_core.model.denoiser import build_model

    settings = settings_of(options)
    rows: list[tuple[Any, ...]] = []
    values = {}
    for variant in [options.variant] if options.variant else settings.config.pipeline.variants:
        run = run_of(settings, variant, "pretrain")
        model = build_model(run.model)
        parts = {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}
        total = sum(p.numel() for p in model.parameters())
        documented = run.model.expected_parameters.motion_only
        values[variant] = {"parts": {k: v for k, v in parts.items() if v}, "total": total, "documented": documented}
        rows += [(variant, name, f"{count:,}", f"{count / total:.1%}") for name, count in parts.items() if count]
        rows.append((variant, "total", f"{total:,}", f"documented {documented:,}" if documented else "sizes of this profile"))
    return answer(options, values, table(("variant", "part", "parameters", ""), rows))


def registry(settings: Settings) -> ModelRegistry:
    return ModelRegistry(settings.places.registry_file)


def registry_list(options: argparse.Namespace) -> int:
    return _entries(options, registry(settings_of(options)).entries())


def registry_best(options: argparse.Namespace) -> int:
    return _entries(options, [registry(settings_of(options)).best(options.task, options.metric, options.mode)])


def registry_find(options: argparse.Namespace) -> int:
    return _entries(options, registry(settings_of(options)).by_config_hash(options.config_hash))


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


def checkpoint_of(settings: Settings, name: str | None) -> Path:
    """A checkpoint's folder by name; without one, the best SFT model of the registry, else whichever is there."""
    if name:
        variant, _, stage = name.partition("_")
        folder = settings.places.checkpoint(variant, stage) if stage else Path(name)
        if not folder.exists():
            raise MissingInput(f"{name}: no such checkpoint ({folder}); `stickgen status` lists what is there")
        return folder
    for variant in ("medium", "small", "large"):
        for stage in ("sft", "pretrain"):
            if (settings.places.checkpoint(variant, stage) / "manifest.json").exists():
                return settings.places.checkpoint(variant, stage)
    raise MissingInput(f"{settings.places.checkpoints}: no checkpoint here yet; run `stickgen build`")


def generate(options: argparse.Namespace) -> int:
    """Motion from words; what the safety gate says of it is printed with it."""
    from stickgen_core.generation.generator import Generator
    from stickgen_core.sources.actions import load_actions
    from stickgen_pipeline.commands.pictures import write_scene

    settings = settings_of(options)
    config = settings.config
    folder = checkpoint_of(settings, options.model)
    generator = Generator.from_checkpoint(folder, config.generation, config.text, config.curation.safety)
    seed = config.seed if options.seed is None else options.seed
    longest = generator.run.data.max_frames / generator.fps
    seconds = min(config.generation.default_seconds, longest) if options.frames is None else options.frames / generator.fps
    (result,) = generator.generate([options.prompt], seconds=seconds, seed=seed)
    scene = generator.scene(result, [action.name for action in load_actions().rows])
    path = write_scene(scene, Path(options.output or f"{_slug(options.prompt)}.motion"), settings)
    gate = "accepted" if result.accepted else f"rejected by the safety gate: {result.reason}"
    values = {
        "path": str(path),
        "model": folder.name,
        "seed": seed,
        "frames": len(result.motion),
        "accepted": result.accepted,
        "reason": result.reason,
    }
    return answer(options, values, f"{path}: {len(result.motion)} frames by {folder.name}, seed {seed}, {gate}")


def _slug(text: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in text.lower()).split())[:60] or "motion"
