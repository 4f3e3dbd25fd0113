"""What decides an artefact's content beside its inputs: the code version of its stage and the configuration that it reads.

Raise a stage's number when its code gives other results; everything made by it then becomes stale, and nothing else.
"""

from typing import Any

from stickgen_core.records.digests import digest_json
from stickgen_core.settings import Settings

VERSIONS = {
    "raw": 1, "canonical": 1, "merged": 1, "curated": 1, "embedded": 1, "statistics": 1,
    "evaluator": 2, "panel": 1, "critic": 2, "checkpoint": 1, "adversarial": 1, "report": 3, "bench": 2, "selection": 2, "production": 1,
    "reproduction": 2, "page": 1, "motions": 1, "export": 2, "videos": 1, "parallax": 1,
}  # fmt: skip


def recipe(settings: Settings, stage: str, *sections: str, **more: Any) -> str:
    """Digest of a stage's version, the seed, the named configuration sections and whatever else decides."""
    return digest_json(
        {
            "stage": stage,
            "version": VERSIONS[stage],
            "seed": settings.config.seed,
            "sections": settings.digest(*sections) if sections else "",
            **more,
        }
    )
