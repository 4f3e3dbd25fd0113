"""Self-contained pages and report fragments that play motions; the script and the style travel inside the page."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.motionfile import document
from stickgen_core.rendering.scene import Scene

HERE = Path(__file__).parent


def player_assets() -> str:
    """Style and script, once a page, before or after any number of fragments."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("player.css", "player.js"))
    return f"<style>\n{style}</style>\n<script>\n{script}</script>"


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
