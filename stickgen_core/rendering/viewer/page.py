"""Self-contained pages and report fragments that play motions; the script and the style travel inside the page."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.rendering import expression, figure, moods
from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.motionfile import document
from stickgen_core.rendering.scene import Scene
from stickgen_core.skeleton import SkeletonConfig

HERE = Path(__file__).parent


def player_assets() -> str:
    """Style and script, once a page, before or after any number of fragments."""
    return f"<style>\n{_asset('player.css')}</style>\n<script>\n{player_script()}</script>"


def player_script(config: RenderingConfig | None = None) -> str:
    """The player with the drawing tables of the other renderers in it."""
    return _asset("player.js").replace("__TABLES__", json.dumps(drawing_tables(config or RenderingConfig()), separators=(",", ":")))


def drawing_tables(config: RenderingConfig) -> dict[str, Any]:
    """What a figure is drawn from: paths through the body, shapes of faces and hands, sizes in metres or radii of the head."""
    return {
        "chains": figure.CHAINS, "expressions": moods.EXPRESSIONS, "openings": moods.OPENING, "hands": moods.HANDS,
        "finger_angles_deg": [round(float(np.rad2deg(angle)), 6) for angle in expression.FINGER_ANGLES],
        "sizes": {
            "head_top_factor": SkeletonConfig().head_top_factor, "head_middle": figure.HEAD_MIDDLE, "head_radius_m": figure.HEAD_RADIUS_M,
            "stroke_m": config.stroke_m, "shoulder_span_m": figure.SHOULDER_SPAN_M, "finger_m": expression.FINGER_M,
            "eye_apart": expression.EYE_APART, "eye_height": expression.EYE_HEIGHT, "brow_height": expression.BROW_HEIGHT,
            "mouth_height": expression.MOUTH_HEIGHT, "mouth_half": expression.MOUTH_HALF, "mouth_curve": expression.MOUTH_CURVE,
            "mouth_steps": expression.MOUTH_STEPS,
        },
    }  # fmt: skip


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def player_fragment(motions: Sequence[Scene], title: str = "", *, chooser: bool = False, config: RenderingConfig | None = None) -> str:
    """A player of these motions as HTML to put into any page that also holds `player_assets()`.

    Shown side by side on one clock; with `chooser` two lists pick which are shown.
    """
    config = config or RenderingConfig()
    data: dict[str, Any] = {"motions": [document(scene, config) for scene in motions], "chooser": chooser, "face": config.face.model_dump()}
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # "<" inside a script element could close it.
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<section class="sg-player">{heading}<script type="application/json" class="sg-data">{text}</script></section>'


def viewer_html(motions: Sequence[Scene], title: str, *, config: RenderingConfig | None = None) -> str:
    """One page that needs nothing else: open it from disk, on a phone or a desk, in light or dark."""
    body = player_fragment(motions, chooser=len(motions) > 1, config=config)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n</head>\n<body class="sg-page">\n'
        f"<h1>{escape(title)}</h1>\n{body}\n{player_assets()}\n</body>\n</html>\n"
    )
