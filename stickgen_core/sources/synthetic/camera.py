"""Camera tracks: where the view looks in the stick plane, how close, and how far round it has gone."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.sources.synthetic.track import ease


@dataclass(frozen=True)
class Shot:
    """track [T, 3] centre x, y (m) and zoom, or None; azimuth_rad [T] for an orbit; sign: which way it goes."""

    move: str
    sign: int = 1
    track: np.ndarray | None = None
    azimuth_rad: np.ndarray | None = None

    def say(self, template: str) -> str:
        words = {"dir": ("left", "right"), "inout": ("out", "in"), "updown": ("down", "up")}
        for slot, (minus, plus) in words.items():
            template = template.replace("{" + slot + "}", plus if self.sign > 0 else minus)
        return template


def draw_shot(rng: np.random.Generator, centre: np.ndarray, share: float) -> Shot:
    """A shot for a clip whose pelvis middle is at `centre` [T, 2] of the stick plane; most clips have none."""
    if rng.random() >= share:
        return Shot("none")
    frames = len(centre)
    move = ("static", "pan", "zoom", "track", "dolly", "crane", "orbit")[int(rng.integers(7))]
    sign = 1 if rng.random() < 0.5 else -1
    s = ease(np.linspace(0.0, 1.0, frames))
    track = np.tile([centre[:, 0].mean(), 1.0, 0.8], (frames, 1))
    amount = float(rng.uniform(0.6, 1.2))
    azimuth = None
    if move == "pan":
        track[:, 0] += sign * amount * (s - 0.5) * 2
    elif move in ("zoom", "dolly"):
        track[:, 2] *= (1.0 + 0.6 * amount) ** (sign * s)
    elif move == "track":
        kernel = np.hanning(min(25, frames) + 2)[1:-1]
        padded = np.pad(centre[:, 0], (len(kernel) // 2, len(kernel) - 1 - len(kernel) // 2), mode="edge")
        track[:, 0] = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    elif move == "crane":
        track[:, 1] += sign * amount * 0.6 * (s - 0.5) * 2
    elif move == "orbit":
        azimuth = np.deg2rad(45.0) + sign * amount * 0.8 * s
    return Shot(move, sign, track, azimuth)
