"""The demo page: a prompt, its progress, and the player; nothing from outside."""

import json
from html import escape
from pathlib import Path

from stickgen_core.generation.camera import CAMERA_WORDS
from stickgen_core.generation.service.service import Service
from stickgen_core.rendering.viewer import player_assets

EXAMPLES = ("a person walks forward and waves", "a person jumps", "0-2 s a person walks, 2-4 s a person waves")


def demo_page(service: Service, needs_token: bool) -> str:
    """One self-contained page over the service's own routes."""
    limits = service.limits()
    settings = {"needsToken": needs_token, "seconds": limits["seconds"], "face": service.rendering.face.model_dump()}
    text = (Path(__file__).with_name("page.html")).read_text(encoding="utf-8")
    low, high = limits["seconds"]
    values = {
        "MODEL": escape(service.model()["name"]), "CHARS": str(limits["prompt_chars"]), "LOW": f"{low:g}", "HIGH": f"{high:g}",
        "SECONDS": f"{min(service.generator.config.default_seconds, high):g}", "ACTORS": str(limits["actors"]),
        "CAMERAS": "".join(f"<option>{escape(words)}</option>" for words in CAMERA_WORDS),
        "EXAMPLES": "".join(f'<button type="button" class="example">{escape(words)}</button>' for words in EXAMPLES),
        "PLAYER": player_assets(), "SETTINGS": json.dumps(settings).replace("<", "\\u003c"),
    }  # fmt: skip
    for name, value in values.items():
        text = text.replace(f"%{name}%", value)
    return text
