"""Recording to clips: resample, window, orient, project, derive physics and camera; a raw folder to its canonical corpus."""

from stickgen_core.canonical.clips import clips_of
from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.canonical.convert import convert, recipe_of, why_absent

__all__ = ["CanonicalConfig", "clips_of", "convert", "recipe_of", "why_absent"]
