"""Settings of pictures: frame sizes, styles, framing, faces, video, parallax views."""

from typing import Literal

from pydantic import Field

from stickgen_core.config import Section

StyleName = Literal["normal", "sketch", "ink", "neon"]


class FaceConfig(Section):
    """Faces and hands. A change of expression takes `transition_s`; mouths open and close at `<mode>_hz`."""

    transition_s: float = Field(default=0.3, gt=0)
    talk_hz: float = 4.0
    shout_hz: float = 2.5
    whisper_hz: float = 5.0
    sing_hz: float = 1.2
    smallest_head_px: float = 10.0


class VideoConfig(Section):
    """Moving pictures. `crf` and `preset` are x264's; a caption takes a bar of `caption_px` at the bottom."""

    fps: int = Field(default=25, ge=1, le=120)
    crf: int = Field(default=20, ge=0, le=51)
    preset: str = "veryfast"
    caption_px: int = Field(default=44, ge=0)
    caption_font_px: int = Field(default=17, ge=6)
    gif_fps: int = Field(default=20, ge=1, le=50)
    longest_s: float = Field(default=120.0, gt=0)


class ParallaxConfig(Section):
    """True 3D views of clips that have joints.

    views, frames_per_view   cameras a clip and moments a camera; 1 frame a view is named view_00000.png, more view_00000_f000.png
    orbit_deg                how far a camera travels round the figure during its frames
    clips                    how many clips of the corpus, evenly spread; 0 means all
    packed                   shards of about `shard_mb` instead of a file a frame
    kib_per_frame            what a frame costs on disk, measured, for the estimate made before the first file
    budget_gb                a run whose estimate exceeds it is refused
    """

    size_px: int = Field(default=512, ge=16, le=4096)
    views: int = Field(default=8, ge=1, le=100_000)
    frames_per_view: int = Field(default=1, ge=1, le=1000)
    orbit_deg: float = Field(default=40.0, ge=0, le=360)
    elevation_deg: tuple[float, float] = (-5.0, 35.0)
    fov_deg: tuple[float, float] = (25.0, 55.0)
    margin: float = Field(default=0.12, ge=0, lt=0.45)
    png_compression: int = Field(default=3, ge=0, le=9)
    clips: int = Field(default=0, ge=0)
    packed: bool = False
    shard_mb: float = Field(default=256.0, gt=0)
    kib_per_frame: float = Field(default=14.0, gt=0)
    budget_gb: float = Field(default=20.0, gt=0)


class RenderingConfig(Section):
    """How a motion becomes a picture.

    motion_decimals     of numbers in .motion files; three are millimetres
    joints_of_people    a .motion file of more people leaves the 3D joints out
    crowd_joint_unit_m  what joints are counted in where there is more than one person
    margin              free border as a part of the frame
    smallest_figure     a clip that would show its figure smaller than this part of the height is followed by the camera instead
    stroke_m            thickness of a limb in metres
    """

    width_px: int = Field(default=640, ge=16, le=4096)
    height_px: int = Field(default=480, ge=16, le=4096)
    wide_px: int = Field(default=960, ge=16, le=4096)
    style: StyleName = "normal"
    margin: float = Field(default=0.08, ge=0, lt=0.45)
    smallest_figure: float = Field(default=0.45, gt=0, le=1)
    follow_s: float = Field(default=0.8, gt=0)
    stroke_m: float = Field(default=0.055, gt=0)
    elevation_deg: float = 12.0
    azimuth_deg: float = 35.0
    fov_deg: float = Field(default=35.0, ge=0, lt=120)
    motion_decimals: int = Field(default=3, ge=1, le=6)
    joints_of_people: int = Field(default=2, ge=0)
    crowd_joint_unit_m: float = Field(default=0.01, gt=0, le=1)
    face: FaceConfig = FaceConfig()
    video: VideoConfig = VideoConfig()
    parallax: ParallaxConfig = ParallaxConfig()
