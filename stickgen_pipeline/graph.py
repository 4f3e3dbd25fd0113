"""All steps of a profile, stage by stage."""

from stickgen_core.settings import Settings
from stickgen_pipeline.assets.canonical import canonical_steps
from stickgen_pipeline.assets.checkpoints import checkpoint_steps
from stickgen_pipeline.assets.corpus import corpus_steps
from stickgen_pipeline.assets.evaluation import evaluation_steps
from stickgen_pipeline.assets.exports import export_steps
from stickgen_pipeline.assets.raw import raw_steps
from stickgen_pipeline.assets.release import release_steps
from stickgen_pipeline.assets.rendering import rendering_steps
from stickgen_pipeline.assets.text import text_steps
from stickgen_pipeline.steps import Step


def steps_of(settings: Settings) -> dict[str, Step]:
    stages = (
        raw_steps, canonical_steps, corpus_steps, text_steps, rendering_steps, checkpoint_steps, evaluation_steps, release_steps, export_steps,
    )  # fmt: skip
    return {step.key: step for stage in stages for step in stage(settings)}
