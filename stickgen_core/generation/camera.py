"""Camera words as tracks: x, y of the view's centre in the stick plane and zoom; "static" is what clips without a camera have."""

import numpy as np

from stickgen_core.errors import StickgenError

CAMERA_FIELDS = ("x", "y", "zoom")
STATIC = (0.0, 1.0, 1.0)
# Direction of travel in (x, y), and whether the zoom grows (+1) or shrinks (−1).
CAMERA_WORDS: dict[str, tuple[float, float, int]] = {
    "static": (0, 0, 0), "zoom in": (0, 0, 1), "zoom out": (0, 0, -1), "dolly in": (0, 0, 1), "dolly out": (0, 0, -1),
    "pan left": (-1, 0, 0), "pan right": (1, 0, 0), "crane up": (0, 1, 0), "crane down": (0, -1, 0),
}  # fmt: skip


def camera_track(words: str, frames: int, reach: float) -> np.ndarray:
    """[frames, 3] float32: an eased move over the whole length; moves joined by "and" happen together."""
    done = np.linspace(0, 1, frames)
    done = done * done * (3 - 2 * done)
    track = np.tile(np.array(STATIC), (frames, 1))
    for part in words.lower().replace("_", " ").split(" and "):
        if part.strip() not in CAMERA_WORDS:
            raise StickgenError(f"camera {part.strip()!r}: unknown; expected {', '.join(CAMERA_WORDS)}")
        x, y, zoom = CAMERA_WORDS[part.strip()]
        track[:, 0] += x * reach * done
        track[:, 1] += y * reach * done
        track[:, 2] *= reach ** (zoom * done)
    return track.astype(np.float32)
