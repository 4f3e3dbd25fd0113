"""`stickgen parallax`: views of a corpus in true 3D for multimodal training; says what it will cost before it starts."""

import argparse
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.rendering import RenderingConfig
from stickgen_core.rendering.parallax import estimate, people, spread_rows, write_corpus_parallax
from stickgen_pipeline.commands.common import answer, corpus_folder, note, settings_of, size
from stickgen_pipeline.commands.generate import action_names


def parallax(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    config = with_options(settings.config.rendering, options)
    corpus = Corpus.open(corpus_folder(settings, options.corpus))
    chosen = spread_rows(corpus, config.parallax.clips)
    count = sum(people(corpus, chosen))
    expected = estimate(count, config)
    root = Path(options.output) if options.output else settings.places.parallax
    told = {"root": str(root), "clips": len(chosen), "people": count, "frames": expected.frames, "bytes": expected.bytes,
            "budget_bytes": int(config.parallax.budget_gb * 1e9)}  # fmt: skip
    line = f"{root}: {expected.frames} frames of {count} people in {len(chosen)} clips, about {size(expected.bytes)}"
    if options.estimate:
        return answer(options, told, f"{line} (budget {config.parallax.budget_gb:g} GB)")
    note(line)
    outcome = write_corpus_parallax(
        corpus,
        chosen,
        root,
        config,
        fps=settings.config.canonical.fps,
        seed=settings.config.seed,
        progress=_progress,
        action_names=action_names(),
    )
    values = {**told, "written": outcome.written, "kept": outcome.kept, "left_out": outcome.left_out, "bytes_written": outcome.bytes}
    text = (
        f"{root}: {outcome.written} people drawn ({size(outcome.bytes)}), {outcome.kept} already there, {outcome.left_out} without joints"
    )
    return answer(options, values, text)


def _progress(label: str, done: int, total: int) -> None:
    if done == total or done % max(total // 10, 1) == 0:
        note(f"{label} {done}/{total}")


def with_options(config: RenderingConfig, options: argparse.Namespace) -> RenderingConfig:
    """Options given on the command line over the configuration, checked like it."""
    wanted = {"views": options.views, "frames_per_view": options.frames_per_view, "size_px": options.size, "clips": options.clips,
              "packed": options.packed or None}  # fmt: skip
    changes = {key: value for key, value in wanted.items() if value is not None}
    return RenderingConfig.model_validate({**config.model_dump(), "parallax": {**config.parallax.model_dump(), **changes}})
