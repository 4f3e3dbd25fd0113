"""Settings of the canonical clip (docs/design.md, "The canonical clip")."""

from pydantic import Field

from stickgen_core.config import Section


class CanonicalConfig(Section):
    """How a recording becomes clips; a change of any of these makes other clips.

    fps                     rate of every clip
    max_frames, min_frames  a longer recording becomes equal windows; a shorter window goes to the ledger
    ground_percentile       of the lowest joint height over the whole recording: the ground
    heading_min_share       flattened length of the left-right line against its full length, below which it says nothing of heading
    text_min_share          a window inherits a text that lies in it, or covers it, by this share
    span_min_s              a captioned span at least this long also becomes a clip of its own
    min_rate_hz, max_rate_hz  rates outside are errors of the file
    max_extent_m            a joint further from the first pelvis than this is not a measurement
    """

    fps: float = Field(default=25.0, gt=0)
    max_frames: int = Field(default=500, ge=2)
    min_frames: int = Field(default=25, ge=2)
    ground_percentile: float = Field(default=2.0, ge=0, le=50)
    heading_min_share: float = Field(default=0.2, ge=0, le=1)
    text_min_share: float = Field(default=0.8, gt=0, le=1)
    span_min_s: float = Field(default=1.0, gt=0)
    min_rate_hz: float = Field(default=5.0, gt=0)
    max_rate_hz: float = Field(default=1000.0, gt=0)
    max_extent_m: float = Field(default=500.0, gt=0)
