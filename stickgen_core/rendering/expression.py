"""Faces and hands as strokes: eyes, brows and a mouth on the side of the head that the viewer sees, five fingers at each wrist."""

from collections.abc import Sequence

import numpy as np

from stickgen_core.rendering.camera import View
from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.figure import HEAD_RADIUS_M, Figure
from stickgen_core.rendering.moods import Mood, face_track, hand_track
from stickgen_core.rendering.parts import Parts
from stickgen_core.rendering.styles import Style

# Parts of the head's radius.
EYE_APART, EYE_HEIGHT, BROW_HEIGHT, MOUTH_HEIGHT, MOUTH_HALF = 0.36, 0.18, 0.46, -0.38, 0.42
FINGER_M, FINGER_ANGLES = 0.085, np.deg2rad([-55.0, -20.0, 0.0, 18.0, 36.0])
MOUTH_STEPS = 6


def expression_strokes(
    figure: Figure, view: View, actor: int, moods: Sequence[Mood], fps: float, pixels: np.ndarray, depth: np.ndarray, scale: np.ndarray,
    head: np.ndarray, head_depth: np.ndarray, style: Style, config: RenderingConfig,
) -> list[Parts]:  # fmt: skip
    """Of one actor: face [T, 2 brows + 2 eyes + mouth lines] and hands [T, 10]."""
    frames = len(pixels)
    there = figure.present[:, actor]
    radius = HEAD_RADIUS_M * scale[:, figure.index("neck")]
    face = _face(figure, view, actor, face_track(moods, frames, fps, config.face), head, radius, head_depth, there, style, config)
    hands = hand_track(moods, frames, fps, config.face)
    return [face, *(_hand(figure, actor, side, hands, pixels, depth, scale, there, style, config) for side in ("left", "right"))]


def _face(figure: Figure, view: View, actor: int, track: np.ndarray, head: np.ndarray, radius: np.ndarray, depth: np.ndarray,
          there: np.ndarray, style: Style, config: RenderingConfig) -> Parts:  # fmt: skip
    """Drawn in the head's own upright frame, narrowed and shifted as the head turns away."""
    right, up, toward = view.axes()
    facing = figure.facing[:, actor]
    seen = np.einsum("tc,tc->t", facing, toward)
    aside = np.einsum("tc,tc->t", facing, right)
    neck, top = (figure.points[:, actor, figure.index(name)] for name in ("neck", "head_top"))
    axis = np.stack([np.einsum("tc,tc->t", top - neck, right), -np.einsum("tc,tc->t", top - neck, up)], axis=-1)
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    high = np.where(length > 1e-6, axis / np.maximum(length, 1e-6), [0.0, -1.0])
    wide = np.stack([-high[:, 1], high[:, 0]], axis=-1)
    narrow = np.clip(np.abs(seen), 0.35, 1)

    def at(x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Face coordinates in radii, [T] or scalar -> pixels [T, 2]."""
        shifted = np.broadcast_to(x, radius.shape) * narrow + 0.5 * aside
        return head + radius[:, None] * (shifted[:, None] * wide + np.broadcast_to(y, radius.shape)[:, None] * high)

    brow, tilt, eye, curve, opening, width = track.T
    lines = []
    for side in (-1, 1):
        y = EYE_HEIGHT
        lines.append((at(side * EYE_APART, y + 0.14 * eye), at(side * EYE_APART, y - 0.14 * eye)))
    for side in (-1, 1):
        y = BROW_HEIGHT + 0.16 * brow
        lines.append((at(side * (EYE_APART - 0.17), y + 0.13 * tilt), at(side * (EYE_APART + 0.17), y - 0.13 * tilt)))
    xs = np.linspace(-1, 1, MOUTH_STEPS + 1)
    for lip in (1, -1):
        ys = [MOUTH_HEIGHT + 0.2 * curve * (x * x - 0.5) * 1.4 + lip * 0.3 * opening * (1 - x * x) for x in xs]
        points = [at(MOUTH_HALF * width * x, y) for x, y in zip(xs, ys, strict=True)]
        lines += list(zip(points, points[1:], strict=False))
    ends = np.stack([np.stack(pair, axis=1) for pair in lines], axis=1)
    thick = np.maximum(radius * 0.13 * min(1.0, 0.3 + style.width), 1.0)[:, None, None] * np.ones((1, len(lines), 2))
    thick[:, :2] *= 1.4
    shown = there & (seen > 0.05) & (radius >= config.face.smallest_head_px)
    return Parts(
        ends, thick, np.tile(np.array(style.ink(actor, "middle")), (len(lines), 1)),
        np.repeat(depth[:, None] + 0.102, len(lines), axis=1), np.repeat(shown[:, None], len(lines), axis=1),
    )  # fmt: skip


def _hand(figure: Figure, actor: int, side: str, track: np.ndarray, pixels: np.ndarray, depth: np.ndarray, scale: np.ndarray,
          there: np.ndarray, style: Style, config: RenderingConfig) -> Parts:  # fmt: skip
    """Fingers fan out along the forearm; the thumb is on the body's side of a hanging hand."""
    wrist = figure.index(f"{side}_wrist")
    before = figure.index(f"{side}_elbow" if f"{side}_elbow" in figure.names else f"{side}_shoulder")
    along = pixels[:, wrist] - pixels[:, before]
    heading = np.arctan2(along[:, 1], along[:, 0])[:, None]
    turn = 1.0 if side == "left" else -1.0
    angles = heading + turn * FINGER_ANGLES * (0.4 + 0.6 * track[:, 5:6])
    reach = FINGER_M * scale[:, wrist, None] * track[:, :5]
    base = np.repeat(pixels[:, wrist, None], 5, axis=1)
    tips = base + reach[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    widths = np.maximum(config.stroke_m * 0.3 * style.width * scale[:, wrist, None, None], 1.0) * np.ones((1, 5, 2))
    shown = there & (scale[:, wrist] * FINGER_M >= config.face.smallest_head_px / 2)
    return Parts(
        np.stack([base, tips], axis=2), widths, np.tile(np.array(style.ink(actor, side)), (5, 1)),
        np.repeat(depth[:, wrist, None] + 0.01, 5, axis=1), np.repeat(shown[:, None], 5, axis=1),
    )  # fmt: skip
