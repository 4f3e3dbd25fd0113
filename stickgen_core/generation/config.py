"""What a prompt may ask for, and when a generated motion is refused."""

from typing import Literal

from pydantic import Field

from stickgen_core.config import Section


class ServiceConfig(Section):
    """`stickgen serve`.

    host               loopback; another address needs a token in the environment variable STICKGEN_SERVICE_TOKEN
    queue              jobs that may wait; one more is told to come back after about `retry_after_s`
    timeout_s          from a request's arrival to its answer; what takes longer is given up
    max_body_kb        of a request; a picture travels in it as base64
    body_timeout_s     for a request's body to arrive
    keep_jobs          finished jobs whose result can still be fetched, oldest forgotten first
    keep_mb            bytes of results kept at most
    max_connections    open at once; more are answered 503
    heartbeat_s        between signs of life on a progress stream
    """

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    queue: int = Field(ge=1)
    retry_after_s: int = Field(ge=1)
    timeout_s: float = Field(gt=0)
    max_body_kb: int = Field(ge=1)
    body_timeout_s: float = Field(gt=0)
    keep_jobs: int = Field(ge=1)
    keep_mb: float = Field(gt=0)
    max_connections: int = Field(ge=1)
    heartbeat_s: float = Field(gt=0)


class GenerationConfig(Section):
    """Bounds of a request and the safety gate (documented: severity 0.7, quality 0.3).

    max_attempts      samples drawn for a prompt before its best rejected one is dealt with
    on_rejection      return it with the reason, or refuse with an error; a request may ask for either
    join_s            overlap of two parts of a timed prompt, on which they are drawn to agree
    camera_reach      how far the camera words move: metres of travel, and the factor of a zoom
    max_image_*       of a picture as a condition: its file, and its sides in pixels
    image_viewpoint   camera of a picture that comes without one: position and target in metres, field of view in degrees
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
    join_s: float = Field(default=0.8, gt=0)
    camera_reach: float = Field(default=1.5, gt=1)
    max_image_kb: int = Field(ge=1)
    max_image_px: int = Field(ge=16)
    image_viewpoint: tuple[float, float, float, float, float, float, float]
    service: ServiceConfig
