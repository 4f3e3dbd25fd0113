"""Settings of the body: where the head ends and from which side the stick plane is seen."""

from typing import Literal

from pydantic import Field

from stickgen_core.config import Section


class SkeletonConfig(Section):
    """How joints become sticks.

    layout            stick20 (five segments) or stick48 (twelve)
    head_top_factor   head top = head joint + factor x (head − neck); 1.5 brings the top of the head to standing height
    azimuth_deg       direction of view onto the stick plane; 45 shows forward travel and left/right alike
    """

    layout: Literal["stick20", "stick48"] = "stick20"
    head_top_factor: float = Field(default=1.5, gt=0, le=4)
    azimuth_deg: float = Field(default=45.0, ge=-180, le=180)
