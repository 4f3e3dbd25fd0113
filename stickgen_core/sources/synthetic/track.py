"""One person's timeline while it is written: blends over the standing pose, and steps that carry a base over the ground."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from stickgen_core.sources.synthetic.channels import INDEX, SIDES, standing
from stickgen_core.sources.synthetic.pose import Controls
from stickgen_core.sources.synthetic.shape import Shape


def ease(s: np.ndarray) -> np.ndarray:
    """0 -> 1 over s in [0, 1] with zero velocity and acceleration at both ends (quintic)."""
    s = np.clip(s, 0.0, 1.0)
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


def bump(s: np.ndarray) -> np.ndarray:
    """0 -> 1 -> 0 over s in [0, 1], peak at one half, zero velocity and acceleration at both ends."""
    s = np.clip(s, 0.0, 1.0)
    r = s * (1.0 - s)
    return 64.0 * r * r * r


def envelope(t: np.ndarray, start: float, stop: float, rise_s: float, fall_s: float) -> np.ndarray:
    """0 before `start`, 1 from start + rise to stop - fall, 0 after `stop`; a rise or fall of 0 is a cut outside the clip."""
    up = ease((t - start) / rise_s) if rise_s > 0 else np.ones_like(t)
    down = ease((stop - t) / fall_s) if fall_s > 0 else np.ones_like(t)
    return up * down


def pulses(t: np.ndarray, start: float, period: float, count: int, width: float = 1.0) -> np.ndarray:
    """`count` bumps one period apart; each fills `width` of its period."""
    cycle = (t - start) / period
    inside = (cycle >= 0) & (cycle < count)
    s = (cycle - np.floor(cycle)) / width
    return np.where(inside, bump(s), 0.0)


@dataclass
class Track:
    """Signals of one person on the frames' clock `t` [T] (seconds, may start before 0 and end after the clip).

    Moves are written in order; a later blend lies over the earlier ones. `swings` lists when which foot is off its foothold.
    """

    shape: Shape
    t: np.ndarray
    place: tuple[float, float, float]
    channels: np.ndarray = field(init=False)
    base: np.ndarray = field(init=False)
    footholds: np.ndarray = field(init=False)
    foot_headings: np.ndarray = field(init=False)
    planted: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        frames = len(self.t)
        self.channels = np.tile(standing(), (frames, 1))
        self.base = np.tile(np.asarray(self.place, dtype=np.float64), (frames, 1))
        self.footholds = np.stack([self.foot_place(i, self.base) for i in range(2)], 1)
        self.foot_headings = np.repeat(self.base[:, 2:], 2, axis=1)
        self.planted = np.ones((frames, 2), bool)

    def foot_place(self, foot: int, base: np.ndarray) -> np.ndarray:
        """Where a foot stands in a relaxed stance at bases [..., 3] -> [..., 3]."""
        sign = 1.0 - 2.0 * foot
        side, ahead = sign * self.shape.stance, 0.07 * self.shape.leg
        cos, sin = np.cos(base[..., 2]), np.sin(base[..., 2])
        return np.stack([base[..., 0] + cos * side + sin * ahead, 0 * cos, base[..., 1] - sin * side + cos * ahead], -1)

    def blend(self, weight: np.ndarray, pose: Mapping[str, float | np.ndarray], *, add: bool = False) -> None:
        """Move the named channels towards values (or by values) with weight [T]."""
        for name, value in pose.items():
            column = self.channels[:, INDEX[name]]
            column += weight * (value if add else value - column)

    def posture(self, start: float, stop: float, rise_s: float, fall_s: float, pose: Mapping[str, float]) -> np.ndarray:
        """Blend a whole-body pose in and out; feet that move are lifted and go one after the other. Gives the weight [T]."""
        weight = envelope(self.t, start, stop, rise_s, fall_s)
        self.blend(weight, {n: v for n, v in pose.items() if not n.startswith("foot")})
        # On the way to lying both feet leave together: a leg left behind would be pressed into the ground.
        lag = 0.15 if abs(pose.get("pelvis_pitch", 0.0)) > 1.4 else 0.45
        for i, side in enumerate(SIDES):
            own = {n: v for n, v in pose.items() if n.startswith(f"foot_{side}")}
            if not own:
                continue
            late_rise, late_fall = lag * rise_s * i, lag * fall_s * (1 - i)
            w = envelope(self.t, start + late_rise, stop - late_fall, (1 - lag) * rise_s, (1 - lag) * fall_s)
            self.blend(w, own)
            moving = (w > 1e-9) & (w < 1.0 - 1e-9)
            far = float(np.hypot(own.get(f"foot_{side}_x", 0.0), own.get(f"foot_{side}_z", 0.0)))
            if far > 0 or own.get(f"foot_{side}_y", 0.0) > 0 or own.get(f"foot_{side}_yaw", 0.1) != 0.1:
                s = w * (1.0 - w)
                self.channels[:, INDEX[f"foot_{side}_y"]] += 64.0 * s * s * s * (0.03 + 0.12 * min(far, 1.0))
                self.planted[moving, i] = False
            if own.get(f"foot_{side}_y", 0.0) > 0:
                self.planted[w > 1e-9, i] = False
        return weight

    def lift(self, foot: int, when: np.ndarray) -> None:
        """Mark a foot as off the ground where `when` [T] is true."""
        self.planted[when, foot] = False

    def travel(self, path: Callable[[np.ndarray], np.ndarray], start: float, step_s: float, steps: int, *, swing: float,
               height: float, first: int, spread: float = 1.0, tiptoe: float = 0.0, strike: float = 0.25, push: float = 0.55,
               slide: bool = False) -> np.ndarray:  # fmt: skip
        """Walk the base along `path` (seconds -> [n, 3] x, z, heading) with alternating steps; gives the step phase [T].

        swing   share of a step's time that its foot is in the air beyond the step itself: > 1 leaves both feet in the air
        height  of the ball over the ground at mid-swing, m; strike, push   toe up before contact, heel up before lift-off, rad
        """
        t, end = self.t, start + steps * step_s
        after = t >= start
        self.base[after] = path(np.minimum(t[after], end))
        air = swing * step_s
        stay = max(2.0 * step_s - air, 0.0)
        lands = start + (np.arange(steps) + 1.0) * step_s
        targets = path(np.minimum(lands + 0.5 * stay, end))
        targets[-2:] = path(np.full(min(steps, 2), end))
        for n in range(steps):
            foot = (first + n) % 2
            side = SIDES[foot]
            off = lands[n] - air
            window = t >= off
            goal = self.foot_place(foot, targets[n])
            if spread != 1.0 and n < steps - 2:
                centre = targets[n, :2]
                goal[[0, 2]] = centre + (goal[[0, 2]] - centre) * spread
            old = self.footholds[window, foot].copy()
            w = ease((t[window] - off) / air)[:, None]
            self.footholds[window, foot] = old + w * (goal - old)
            turn = self.foot_headings[window, foot]
            self.foot_headings[window, foot] = turn + w[:, 0] * (targets[n, 2] - turn)
            s = (t - off) / air
            self.channels[:, INDEX[f"foot_{side}_y"]] += height / self.shape.leg * bump(s)
            if not slide:
                self.planted[(s > 0) & (s < 1), foot] = False
            pitch = self.channels[:, INDEX[f"foot_{side}_pitch"]]
            pitch += push * bump((t - (off - 0.45 * step_s)) / (0.45 * step_s + 0.75 * air))
            pitch -= strike * bump((s - 0.45) / 0.55)
        if tiptoe:
            rise = envelope(t, start, end, min(0.4, 0.3 * steps * step_s), min(0.4, 0.3 * steps * step_s))
            self.blend(rise, {"foot_left_pitch": tiptoe, "foot_right_pitch": tiptoe}, add=True)
        return (t - start) / step_s

    def cropped(self, frames: slice) -> Controls:
        return Controls(self.shape, self.channels[frames], self.base[frames], self.footholds[frames],
                        self.foot_headings[frames], self.planted[frames])  # fmt: skip
