"""`stickgen verify checkpoint|data|training|results`: check lists with evidence; exit code 1 if a line failed."""

import argparse

from stickgen_pipeline import evidence, verification
from stickgen_pipeline.commands.common import answer, settings_of, table
from stickgen_pipeline.evidence import Line


def verify(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    if options.what == "checkpoint":
        pipeline = settings.config.pipeline
        names = options.names or [f"{v}_{s}" for v in pipeline.variants for s in pipeline.stages
                                  if (settings.places.checkpoint(v, s) / "manifest.json").exists()]  # fmt: skip
        lines = [line for name in names for line in verification.checkpoint(settings, name)]
        if not names:
            lines = [Line("checkpoints", "not done", f"none in {settings.places.checkpoints}; run `stickgen train small pretrain`")]
    else:
        lines = list(getattr(verification, options.what)(settings))
    text = f"{table(('check', 'state', 'evidence'), evidence.rows(lines))}\n{evidence.summary(lines)}"
    answer(options, {"profile": settings.profile, "lines": evidence.as_json(lines)}, text)
    return 1 if any(line.state == "failed" for line in lines) else 0
