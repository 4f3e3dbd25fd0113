"""Packages that only pictures need, imported where they are used; a missing one is named with the extra that brings it."""

from importlib import import_module
from typing import Any

from stickgen_core.errors import MissingInput

# Module -> (package, extra of pyproject.toml).
EXTRAS = {"cv2": ("opencv-python-headless", "image"), "PIL": ("pillow", "image"), "av": ("av", "video")}


def needed(module: str) -> Any:
    """The module, or one line that says what to install."""
    package, extra = EXTRAS[module.partition(".")[0]]
    try:
        return import_module(module)
    except ImportError:
        raise MissingInput(
            f"this needs the package {package}; install stickgen's `{extra}` extra: pip install 'stickgen[{extra}]'"
        ) from None
