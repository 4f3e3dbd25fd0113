"""What a clip must be before it may enter the store; the first violation is named, with what was expected and found."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from stickgen_core.corpus.clip import ARRAY_FIELDS, Clip
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton.body import JOINT_COUNT
from stickgen_core.sources.recording import Text

# Unicode's categories Cc (control) and Cs (surrogate), which have been closed for good.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
SURROGATE = re.compile("[\ud800-\udfff]")
TEXT_KINDS = ("caption", "template", "transcript", "label")


class BadClip(StickgenError):
    """A clip that the store refuses; `reason` is a stable code that fits a ledger."""

    def __init__(self, clip: str, reason: str, detail: str):
        super().__init__(f"clip {clip!r}: {reason}: {detail}")
        self.reason = reason
        self.detail = detail


def check_clip(clip: Clip) -> None:
    """Raise BadClip unless dtypes, shapes, ids, texts and scalars are those of the canonical clip, all of them finite."""
    for label, value in (("id", clip.id), ("source", clip.source), ("origin", clip.origin)):
        _check_name(clip.id, label, value)
    _check_arrays(clip)
    for text in clip.texts:
        _check_text(clip, text)
    _check_scalars(clip)


def _check_name(clip_id: Any, label: str, value: Any) -> None:
    if not isinstance(value, str) or not value or UNPRINTABLE.search(value):
        raise BadClip(str(clip_id), "bad_name", f"{label} {value!r}: expected text without control characters")


def _check_arrays(clip: Clip) -> None:
    for name, dtype in ARRAY_FIELDS.items():
        values = getattr(clip, name)
        if not isinstance(values, np.ndarray) or values.dtype != np.dtype(dtype):
            found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
            raise BadClip(clip.id, "wrong_dtype", f"{name}: expected {dtype}, found {found}")
    if clip.joints.ndim != 4 or 0 in clip.joints.shape:
        raise BadClip(
            clip.id, "wrong_shape", f"joints: expected [T, A, {JOINT_COUNT}, 3] with T and A at least 1, found {clip.joints.shape}"
        )
    frames, actors = clip.frames, clip.actors
    expected: Mapping[str, tuple[int | None, ...]] = {
        "joints": (frames, actors, JOINT_COUNT, 3), "present": (frames, actors), "joint_source": (JOINT_COUNT,),
        "motion": (frames, actors, None), "actions": (frames, actors), "physics": (frames, actors, None), "camera": (frames, 3),
    }  # fmt: skip
    for name, shape in expected.items():
        found = getattr(clip, name).shape
        if 0 in found or len(found) != len(shape) or any(want not in (None, have) for want, have in zip(shape, found, strict=True)):
            raise BadClip(clip.id, "wrong_shape", f"{name}: expected {list(shape)} (None is any but 0), found {list(found)}")
        if getattr(clip, name).dtype.kind == "f" and not np.isfinite(getattr(clip, name)).all():
            raise BadClip(clip.id, "non_finite", f"{name} holds NaN or infinity")


def _check_text(clip: Clip, text: Text) -> None:
    if not isinstance(text.text, str) or SURROGATE.search(text.text):
        raise BadClip(clip.id, "bad_text", f"{text.text!r}: expected valid Unicode text")
    if text.kind not in TEXT_KINDS:
        raise BadClip(clip.id, "bad_text", f"kind {text.kind!r}: expected one of {', '.join(TEXT_KINDS)}")
    if text.actor is not None and not (_is_whole(text.actor) and 0 <= text.actor < clip.actors):
        raise BadClip(clip.id, "bad_text", f"actor {text.actor!r}: expected None or the number of one of {clip.actors} people")
    if not (math.isfinite(text.start_s) and math.isfinite(text.end_s)):
        raise BadClip(clip.id, "bad_text", f"span {text.start_s} to {text.end_s} s is not finite")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _check_scalars(clip: Clip) -> None:
    for label, value, absent in (
        ("licence", clip.licence, False), ("camera_source", clip.camera_source, False),
        ("official_split", clip.official_split, True), ("protocol", clip.protocol, True),
    ):  # fmt: skip
        if not (value is None and absent) and (not isinstance(value, str) or SURROGATE.search(value)):
            raise BadClip(clip.id, "bad_metadata", f"{label} {value!r}: expected valid Unicode text")
    numbers = (clip.source_fps, *clip.window_s, *clip.origin_xz_m, clip.yaw_rad)
    if not all(map(math.isfinite, numbers)):
        raise BadClip(clip.id, "non_finite", f"source_fps, window_s, origin_xz_m, yaw_rad: {numbers}")
    if not isinstance(clip.extra, Mapping):
        raise BadClip(clip.id, "bad_extra", f"extra is {type(clip.extra).__name__}, expected names with values")
    try:
        json.dumps(dict(clip.extra), allow_nan=False, sort_keys=True, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise BadClip(clip.id, "bad_extra", f"extra is not plain finite JSON: {error}") from None
