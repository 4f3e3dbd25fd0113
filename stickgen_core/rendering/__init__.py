"""Strokes, faces, cameras, video, parallax frames, `.motion` files, the viewer: motion becomes pictures, without torch or a model."""

from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.scene import Caption, Scene, scene_of_clip, scene_of_motion

__all__ = ["Caption", "RenderingConfig", "Scene", "scene_of_clip", "scene_of_motion"]
