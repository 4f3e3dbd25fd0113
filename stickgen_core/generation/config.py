"""What a prompt may ask for, and when a generated motion is refused."""

from typing import Literal

from pydantic import Field

from stickgen_core.config import Section


class GenerationConfig(Section):
    """Bounds of a request and the safety gate (documented: severity 0.7, quality 0.3).

    max_attempts   samples drawn for a prompt before its last rejected one is dealt with
    on_rejection   return it with the reason, or refuse with an error
    join_s         overlap in which two parts of a timed prompt are blended
    camera_reach   how far the camera words move: metres of travel, and the factor of a zoom
    """

    default_seconds: float = Field(gt=0)
    min_seconds: float = Field(default=0.4, gt=0)
    max_seconds: float = Field(gt=0)
    max_actors: int = Field(ge=1)
    max_batch: int = Field(ge=1)
    max_text_chars: int = Field(ge=1)
    max_diffusion_steps: int = Field(default=200, ge=1)
    max_guidance: float = Field(default=20.0, gt=0)
    rejection_severity_threshold: float = Field(ge=0, le=1)
    min_quality_score: float = Field(ge=0, le=1)
    max_attempts: int = Field(ge=1)
    on_rejection: Literal["return", "refuse"] = "return"
    join_s: float = Field(default=0.4, gt=0)
    camera_reach: float = Field(default=1.5, gt=1)
