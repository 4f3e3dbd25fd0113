"""`stickgen parallax`: views of a corpus in true 3D for multimodal training; says what it will cost before it starts."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from stickgen_core.corpus import Clip, Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.rendering import RenderingConfig
from stickgen_core.rendering.parallax import Outcome, estimate, people, write_parallax
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import answer, corpus_folder, note, settings_of, size
from stickgen_pipeline.commands.generate import action_names

SOURCE = "corpus/embedded_pretrain"


def parallax(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    config = with_options(settings.config.rendering, options)
    corpus = Corpus.open(corpus_folder(settings, options.corpus))
    chosen = chosen_rows(corpus, config.parallax.clips)
    count = sum(people(corpus, chosen))
    expected = estimate(count, config)
    root = Path(options.output) if options.output else settings.places.parallax
    told = {"root": str(root), "clips": len(chosen), "people": count, "frames": expected.frames, "bytes": expected.bytes,
            "budget_bytes": int(config.parallax.budget_gb * 1e9)}  # fmt: skip
    line = f"{root}: {expected.frames} frames of {count} people in {len(chosen)} clips, about {size(expected.bytes)}"
    if options.estimate:
        return answer(options, told, f"{line} (budget {config.parallax.budget_gb:g} GB)")
    note(line)
    outcome = draw(settings, config, corpus, chosen, root)
    values = {**told, "written": outcome.written, "kept": outcome.kept, "left_out": outcome.left_out, "bytes_written": outcome.bytes}
    text = (
        f"{root}: {outcome.written} people drawn ({size(outcome.bytes)}), {outcome.kept} already there, {outcome.left_out} without joints"
    )
    return answer(options, values, text)


def chosen_rows(corpus: Corpus, most: int) -> list[int]:
    """All clips, or `most` of them spread evenly over the corpus."""
    if not len(corpus):
        raise StickgenError(f"{corpus.folder}: 0 clips, nothing to draw")
    if not most or most >= len(corpus):
        return list(range(len(corpus)))
    return sorted({round(n * (len(corpus) - 1) / max(most - 1, 1)) for n in range(most)})


def draw(settings: Settings, config: RenderingConfig, corpus: Corpus, chosen: list[int], root: Path, progress: object = None) -> Outcome:
    def clips() -> Iterator[Clip]:
        for row in chosen:
            yield corpus.clip(row)

    return write_parallax(
        clips(), root, config, fps=settings.config.canonical.fps, seed=settings.config.seed, actors=sum(people(corpus, chosen)),
        progress=progress or _progress, action_names=action_names(),  # type: ignore[arg-type]
    )  # fmt: skip


def _progress(label: str, done: int, total: int) -> None:
    if done == total or done % max(total // 10, 1) == 0:
        note(f"{label} {done}/{total}")


def with_options(config: RenderingConfig, options: argparse.Namespace) -> RenderingConfig:
    """Options given on the command line over the configuration, checked like it."""
    wanted = {"views": options.views, "frames_per_view": options.frames_per_view, "size_px": options.size, "clips": options.clips,
              "packed": options.packed or None}  # fmt: skip
    changes = {key: value for key, value in wanted.items() if value is not None}
    return RenderingConfig.model_validate({**config.model_dump(), "parallax": {**config.parallax.model_dump(), **changes}})
