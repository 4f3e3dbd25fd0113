"""A scene: everything that is needed to draw a motion, whatever it came from (a clip, an array, a `.motion` file)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stickgen_core.corpus.clip import Clip
from stickgen_core.errors import StickgenError
from stickgen_core.rendering.moods import Mood, moods_of
from stickgen_core.skeleton import JOINT_COUNT, StickLayout, layout_of_width


@dataclass(frozen=True)
class Caption:
    """A line of text shown from start to end."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Scene:
    """motion [T, A, W]; present [T, A]; joints [T, A, 22, 3] or None; actions [T, A], physics [T, A, 6], camera [T, 3] or None.

    moods      one tuple of expression changes per actor
    meta       small JSON values: id, source, licence, prompt, seed
    moments    [T] seconds of the frames where they are not simply one after the other
    """

    id: str
    fps: float
    motion: np.ndarray
    present: np.ndarray
    joints: np.ndarray | None = None
    actions: np.ndarray | None = None
    physics: np.ndarray | None = None
    camera: np.ndarray | None = None
    captions: tuple[Caption, ...] = ()
    moods: tuple[tuple[Mood, ...], ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    moments: np.ndarray | None = None

    @property
    def frames(self) -> int:
        return self.motion.shape[0]

    @property
    def actors(self) -> int:
        return self.motion.shape[1]

    @property
    def layout(self) -> StickLayout:
        return layout_of_width(self.motion.shape[2])

    @property
    def seconds(self) -> float:
        return self.frames / self.fps

    @property
    def times(self) -> np.ndarray:
        """[T] seconds."""
        return np.arange(self.frames) / self.fps if self.moments is None else self.moments

    def caption_at(self, second: float) -> str:
        """The captions that hold at that moment, joined."""
        return " · ".join(c.text for c in self.captions if c.start_s <= second < c.end_s)


def scene_of_motion(
    motion: np.ndarray, fps: float, caption: str | Sequence[Caption] = "", *, id: str = "motion", actions: np.ndarray | None = None,
    camera: np.ndarray | None = None, joints: np.ndarray | None = None, physics: np.ndarray | None = None,
    present: np.ndarray | None = None, action_names: Sequence[str] = (), meta: Mapping[str, Any] | None = None,
) -> Scene:  # fmt: skip
    """A scene from [T, W] or [T, A, W]; faces and hands follow from the caption and the action labels."""
    motion = np.asarray(motion, dtype=np.float32)
    motion = motion[:, None] if motion.ndim == 2 else motion
    if motion.ndim != 3 or not motion.size:
        raise StickgenError(f"{id}: expected motion [T, W] or [T, A, W] with at least one frame, found {list(motion.shape)}")
    if not np.isfinite(motion).all():
        raise StickgenError(f"{id}: the motion holds non-finite numbers and cannot be drawn")
    frames, actors = motion.shape[:2]
    if joints is not None:
        joints = np.asarray(joints, dtype=np.float32).reshape(frames, actors, JOINT_COUNT, 3)
    if actions is not None:
        actions = np.asarray(actions).reshape(frames, actors)
    captions = () if not caption else (Caption(caption, 0.0, frames / fps),) if isinstance(caption, str) else tuple(caption)
    moods = tuple(
        moods_of([(c.text, c.start_s, c.end_s) for c in captions], None if actions is None else actions[:, actor], fps, action_names)
        for actor in range(actors)
    )
    if present is None:
        present = np.ones((frames, actors), bool)
    return Scene(id, fps, motion, present, joints, actions, physics, camera, captions, moods, dict(meta or {}))


def scene_of_clip(clip: Clip, fps: float, action_names: Sequence[str] = ()) -> Scene:
    """The scene of a canonical clip; every caption stays with its span, a whole-clip first one is shown."""
    captions = tuple(Caption(t.text, t.start_s, t.end_s) for t in clip.texts if t.kind in ("caption", "template"))
    shown = captions[:1] if captions and captions[0].end_s - captions[0].start_s >= 0.8 * clip.frames / fps else captions
    moods = tuple(moods_of_clip(clip, actor, fps, action_names) for actor in range(clip.actors))
    camera = None if clip.camera_source == "none" else clip.camera
    meta = {"source": clip.source, "origin": clip.origin, "licence": clip.licence, "digest": clip.digest()}
    return Scene(clip.id, fps, clip.motion, clip.present, clip.joints, clip.actions, clip.physics, camera, shown, moods, meta)


def moods_of_clip(clip: Clip, actor: int, fps: float, action_names: Sequence[str] = ()) -> tuple[Mood, ...]:
    """One person's expression changes: captions and gesture labels by their words, transcripts only by when somebody speaks."""
    mine = [t for t in clip.texts if t.actor in (None, actor)]
    return moods_of(
        [(t.text, t.start_s, t.end_s) for t in mine if t.kind != "transcript"], clip.actions[:, actor], fps, action_names,
        emotion=clip.extra.get("emotion"), speech=[(t.start_s, t.end_s) for t in mine if t.kind == "transcript"],
    )  # fmt: skip
