"""What may be asked over the wire, checked by shape here and by bound in the generator, and how an answer looks."""

import base64
import binascii
import json
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stickgen_core.generation.picture import Picture
from stickgen_core.generation.request import Request
from stickgen_core.generation.service.refusal import Refusal

Format = Literal["json", "motion", "mp4"]


class GenerateBody(BaseModel):
    """One request. Left out values are the checkpoint's own; a timed prompt, "0-3 s walk, 3-5 s wave", says its own length."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    prompt: str | list[str] = Field(description="what the person does; a list gives one motion each")
    seconds: float | None = Field(default=None, description="length of every motion")
    seed: int = Field(default=0, ge=0, lt=2**63, description="the same request with the same seed gives the same bits")
    guidance: float | None = Field(default=None, description="how strongly the prompt is followed; 1 is the model's own distribution")
    use_diffusion: bool | None = Field(default=None, description="false: a quick one-step preview, not a sample")
    diffusion_steps: int | None = None
    negative: str = Field(default="", description="what to move away from; needs a guidance above 1")
    action: str | None = Field(default=None, description="name of one of the 64 actions, for the whole motion")
    actions: list[int] | None = Field(default=None, description="an action id a frame; -1 leaves it open")
    camera: str | list[Annotated[list[float], Field(min_length=3, max_length=3)]] | None = Field(
        default=None, description="camera words (zoom in, pan left, crane up, joined by and) or x, y, zoom a frame"
    )
    actors: int = 1
    image: str | None = Field(default=None, description="base64 of a PNG or JPEG, for a multimodal checkpoint")
    viewpoint: Annotated[list[float], Field(min_length=7, max_length=7)] | None = Field(
        default=None, description="camera of the image: position and target in metres, vertical field of view in degrees"
    )
    on_rejection: Literal["return", "refuse"] | None = Field(
        default=None, description="what becomes of a motion that the safety gate rejects"
    )
    format: Format = Field(default="json", description="json holds all motions; motion and mp4 are the file of a single one")
    style: Literal["normal", "sketch", "ink", "neon"] | None = Field(default=None, description="of an mp4")

    @field_validator("prompt", "negative", "action", "camera")
    @classmethod
    def _unicode(cls, value: Any) -> Any:
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                try:
                    text.encode()
                except UnicodeEncodeError:
                    raise ValueError("not valid Unicode text") from None
        return value

    @property
    def prompts(self) -> tuple[str, ...]:
        return (self.prompt,) if isinstance(self.prompt, str) else tuple(self.prompt)

    def request(self, action_names: tuple[str, ...]) -> Request:
        """For the generator, which holds it against the bounds."""
        actions: int | np.ndarray | None = None
        if self.action is not None:
            if self.actions is not None:
                raise Refusal(422, "invalid", "action and actions: give one of them")
            if self.action not in action_names:
                raise Refusal(422, "invalid", "action: unknown name; GET /v1/model lists them")
            actions = action_names.index(self.action)
        elif self.actions is not None:
            actions = _array(self.actions, np.int64, "actions")
        camera = self.camera if self.camera is None or isinstance(self.camera, str) else _array(self.camera, np.float64, "camera")
        return Request(
            self.prompts, self.seconds, self.seed, self.guidance, self.use_diffusion, self.diffusion_steps, actions, camera, self.actors,
            self.negative, self._picture(), self.on_rejection,
        )  # fmt: skip

    def _picture(self) -> Picture | None:
        if self.image is None:
            if self.viewpoint is not None:
                raise Refusal(422, "invalid", "viewpoint: there is no image that it could be the camera of")
            return None
        try:
            data = base64.b64decode(self.image, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(422, "invalid", "image: expected base64") from None
        return Picture(data, None if self.viewpoint is None else tuple(self.viewpoint))


def _array(values: Any, kind: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=kind)
    except (OverflowError, ValueError):
        raise Refusal(422, "invalid", f"{name}: a number is too large") from None


def body_of(data: bytes) -> GenerateBody:
    """Checked JSON; the first thing that is wrong is named by its key, its value is never echoed."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Refusal(400, "not_json", "the body is not JSON") from None
    return checked(value)


def checked(value: Any) -> GenerateBody:
    if not isinstance(value, dict):
        raise Refusal(422, "invalid", "expected a JSON object with at least a prompt")
    try:
        return GenerateBody.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = str(first["loc"][0]) if first["loc"] else "body"
        known = key if key in GenerateBody.model_fields else "unknown key"
        raise Refusal(422, "invalid", f"{known}: {first['msg'].splitlines()[0]}") from None
