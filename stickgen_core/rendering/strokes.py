"""The one stroke list that every renderer draws: capsules in pixels, sorted from far to near, for all frames of a scene at once."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.records.seeds import generator
from stickgen_core.rendering.camera import View
from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.expression import expression_strokes
from stickgen_core.rendering.figure import HEAD_MIDDLE, HEAD_RADIUS_M, Figure
from stickgen_core.rendering.parts import Parts, joined
from stickgen_core.rendering.scene import Scene
from stickgen_core.rendering.styles import Style
from stickgen_core.skeleton.sticks import HEAD_TOP

BEHIND_EVERYTHING = -1e6


@dataclass(frozen=True)
class Strokes:
    """N capsules over T frames: ends [T, N, 2, 2] px (start, end), widths [T, N, 2] px, colours [N, 3], order [T, N] far to near, visible [T, N]."""

    ends: np.ndarray
    widths: np.ndarray
    colours: np.ndarray
    order: np.ndarray
    visible: np.ndarray
    size: tuple[int, int]

    @property
    def frames(self) -> int:
        return len(self.ends)


def strokes_of(scene: Scene, figure: Figure, view: View, size: tuple[int, int], style: Style, config: RenderingConfig,
               ground: bool = True) -> Strokes:  # fmt: skip
    """Limbs, heads, faces, hands and ground of every frame."""
    parts = [_ground(figure, view, size, style)] if ground else []
    for actor in range(scene.actors):
        parts += _body(scene, figure, view, size, style, config, actor)
    whole = joined(parts)
    if style.passes > 1 or style.wobble:
        whole = _drawn_by_hand(whole, style, scene.id)
    order = np.argsort(whole.depth, axis=1, kind="stable")
    return Strokes(whole.ends, whole.widths, whole.colours, order, whole.visible, size)


def _body(
    scene: Scene, figure: Figure, view: View, size: tuple[int, int], style: Style, config: RenderingConfig, actor: int
) -> list[Parts]:
    pixels, depth, scale = view.look(figure.points[:, actor], size)
    there = figure.present[:, actor]
    bones = [bone for bone in figure.bones if figure.names[bone[1]] != HEAD_TOP]
    start, end = [bone[0] for bone in bones], [bone[1] for bone in bones]
    widths = np.stack([scale[:, start], scale[:, end] * style.taper], axis=-1) * config.stroke_m * style.width
    limbs = Parts(
        np.stack([pixels[:, start], pixels[:, end]], axis=2),
        np.maximum(widths, 1.0),
        np.array([style.ink(actor, bone[2]) for bone in bones]),
        (depth[:, start] + depth[:, end]) / 2,
        np.broadcast_to(there[:, None], (len(there), len(bones))),
    )
    neck, top = figure.index("neck"), figure.index(HEAD_TOP)
    middle = pixels[:, neck] + HEAD_MIDDLE * (pixels[:, top] - pixels[:, neck])
    head_scale = (scale[:, neck] + scale[:, top]) / 2
    head_depth = np.maximum(depth[:, top], depth[:, neck])
    head = _head(middle, head_scale * HEAD_RADIUS_M, head_depth, there, style, actor, config.stroke_m * style.width)
    moods = scene.moods[actor] if actor < len(scene.moods) else ()
    return [
        limbs,
        head,
        *expression_strokes(figure, view, actor, moods, scene.times, pixels, depth, scale, middle, head_depth, style, config),
    ]


def _head(middle: np.ndarray, radius: np.ndarray, depth: np.ndarray, there: np.ndarray, style: Style, actor: int, stroke_m: float) -> Parts:
    """A rim and a fill: two capsules of no length."""
    ends = np.repeat(np.repeat(middle[:, None, None], 2, axis=2), 2, axis=1)
    rim = np.maximum(radius * stroke_m / HEAD_RADIUS_M, 1.5)
    diameters = np.stack([2 * radius, np.maximum(2 * radius - rim, 1)], axis=-1)
    return Parts(
        ends, np.repeat(diameters[:, :, None], 2, axis=2), np.array([style.ink(actor, "middle"), style.skin]),
        np.stack([depth + 0.10, depth + 0.101], axis=-1), np.broadcast_to(there[:, None], (len(there), 2)),
    )  # fmt: skip


def _ground(figure: Figure, view: View, size: tuple[int, int], style: Style) -> Parts:
    """Lines a metre apart on y = 0: seen flat, a base line with ticks; in space, a grid."""
    low, high = np.floor(figure.points.min(axis=(0, 1, 2))) - 3, np.ceil(figure.points.max(axis=(0, 1, 2))) + 3
    xs = np.arange(low[0], high[0] + 1)
    if figure.flat:
        lines = [((low[0] - 20, 0, 0), (high[0] + 20, 0, 0))] + [((x, 0, 0), (x, -0.06, 0)) for x in xs]
    else:
        zs = np.arange(low[2], high[2] + 1)
        lines = [((x, 0, low[2]), (x, 0, high[2])) for x in xs] + [((low[0], 0, z), (high[0], 0, z)) for z in zs]
    frames, count = len(figure.points), len(lines)
    world = np.broadcast_to(np.array(lines, dtype=np.float64), (frames, count, 2, 3))
    hidden = np.zeros((frames, count), bool)
    if view.fov_rad:
        world, hidden = _before_the_eye(world, view)
    pixels, _, _ = view.look(world.reshape(frames, count * 2, 3), size)
    return Parts(
        pixels.reshape(frames, count, 2, 2), np.full((frames, count, 2), 1.5), np.tile(np.array(style.ground), (count, 1)),
        np.full((frames, count), BEHIND_EVERYTHING), ~hidden,
    )  # fmt: skip


def _before_the_eye(lines: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Lines [T, N, 2, 3] cut where they pass the near plane, and which of them lie behind it altogether [T, N]."""
    _, _, toward = view.axes()
    depth = np.einsum("tnec,tc->tne", lines - view.centre[:, None, None], toward)
    limit = 0.88 * view.distance()[:, None]
    behind = depth > limit[..., None]
    run = depth[..., 1] - depth[..., 0]
    share = (limit - depth[..., 0]) / np.where(np.abs(run) > 1e-9, run, 1.0)
    crossing = lines[:, :, 0] + share[..., None] * (lines[:, :, 1] - lines[:, :, 0])
    return np.where(behind[..., None], crossing[:, :, None], lines), behind.all(-1)


def _drawn_by_hand(parts: Parts, style: Style, key: str) -> Parts:
    """Several passes over each stroke, each with ends of its own, drawn anew every third frame as an animator would."""
    random = generator("sketch", key)
    passes = []
    frames, count = parts.depth.shape
    length = np.linalg.norm(parts.ends[:, :, 0] - parts.ends[:, :, 1], axis=-1)
    # Short strokes, which make faces and fingers, keep still enough to be recognised.
    steady = np.clip(length / (8 * parts.widths.mean(-1)) - 0.1, 0, 1)
    for number in range(style.passes):
        held = random.normal(size=((frames + 2) // 3, count, 2, 2)).repeat(3, axis=0)[:frames]
        spread = style.wobble * parts.widths[..., None] * held * steady[:, :, None, None]
        passes.append(Parts(parts.ends + spread, parts.widths, parts.colours, parts.depth + 1e-6 * number, parts.visible))
    return joined(passes)
