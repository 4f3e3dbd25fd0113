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
MOUTH_CURVE, MOUTH_STEPS = 0.28, 6
# Which of the feature points each stroke joins: eyes, brows, then both lips.
EYES_AND_BROWS = ((0, 1), (2, 3), (4, 5), (6, 7))
MOUTH_LINES = [(8 + lip * (MOUTH_STEPS + 1) + n, 9 + lip * (MOUTH_STEPS + 1) + n) for lip in (0, 1) for n in range(MOUTH_STEPS)]


def expression_strokes(
    figure: Figure, view: View, actor: int, moods: Sequence[Mood], times: np.ndarray, pixels: np.ndarray, depth: np.ndarray, scale: np.ndarray,
    head: np.ndarray, head_depth: np.ndarray, style: Style, config: RenderingConfig,
) -> list[Parts]:  # fmt: skip
    """Of one actor: face [T, 2 brows + 2 eyes + mouth lines] and hands [T, 10]."""
    there = figure.present[:, actor]
    radius = HEAD_RADIUS_M * scale[:, figure.index("neck")]
    face = _face(figure, view, actor, face_track(moods, times, config.face), head, radius, head_depth, there, style, config)
    hands = hand_track(moods, times, config.face)
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

    places, lines = _features(track), list(EYES_AND_BROWS) + MOUTH_LINES
    shifted = places[..., :1] * narrow[:, None, None] + 0.5 * aside[:, None, None]
    points = head[:, None] + radius[:, None, None] * (shifted * wide[:, None] + places[..., 1:] * high[:, None])
    ends = points[:, np.array(lines)]
    thick = np.repeat(np.maximum(radius * 0.13 * min(1.0, 0.3 + style.width), 1.0)[:, None], len(lines), axis=1)
    thick[:, :2] *= 1.4
    thick = np.repeat(thick[..., None], 2, axis=2)
    shown = there & (seen > 0.05) & (radius >= config.face.smallest_head_px)
    return Parts(
        ends, thick, np.tile(np.array(style.ink(actor, "middle")), (len(lines), 1)),
        np.repeat(depth[:, None] + 0.102, len(lines), axis=1), np.repeat(shown[:, None], len(lines), axis=1),
    )  # fmt: skip


def _features(track: np.ndarray) -> np.ndarray:
    """[T, 6] -> [T, P, 2] in radii of the head, x to its left and y up: two eyes, two brows (two ends each), upper and lower lip."""
    brow, tilt, eye, curve, opening, width = track.T
    one = np.ones_like(brow)
    points = []
    for side in (-1, 1):
        points += [(side * EYE_APART * one, EYE_HEIGHT + way * 0.14 * eye) for way in (1, -1)]
    for side in (-1, 1):
        height = BROW_HEIGHT + 0.16 * brow
        points += [(side * (EYE_APART - way * 0.17) * one, height + way * 0.13 * tilt) for way in (1, -1)]
    for lip in (1, -1):
        for x in np.linspace(-1, 1, MOUTH_STEPS + 1):
            points.append((MOUTH_HALF * width * x, MOUTH_HEIGHT + MOUTH_CURVE * curve * (x * x - 0.5) + lip * 0.3 * opening * (1 - x * x)))
    return np.stack([np.stack(point, axis=-1) for point in points], axis=1)


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
