"""One person's timeline while it is written: blends over the standing pose, and steps that carry a base over the ground."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from stickgen_core.sources.synthetic.channels import INDEX, SIDES, standing
from stickgen_core.sources.synthetic.pose import Controls, Pins
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


def pulses(t: np.ndarray, start: float, period: float, count: int, width: float = 1.0, snap: float = 1.0) -> np.ndarray:
    """`count` bumps one period apart; each fills `width` of its period; snap > 1: faster out than back, as smooth at both ends."""
    cycle = (t - start) / period
    inside = (cycle >= 0) & (cycle < count)
    s = np.clip((cycle - np.floor(cycle)) / width, 0.0, 1.0)
    if snap != 1.0:
        s = 1.0 - (1.0 - s) ** snap
    return np.where(inside, bump(s), 0.0)


def around(start: Mapping[str, float], way: Mapping[str, float], side: str) -> dict[str, float]:
    """What a hand swings out by half-way, so that its way does not lead through its own shoulder: hand channels -> arm lengths.

    start, way   where the hand is and how far it goes, by channel; a way that keeps clear of the shoulder needs nothing
    """
    names = [f"hand_{side}_{axis}" for axis in "xyz"]
    if not any(way.get(n) for n in names):
        return {}
    middle = np.array([start.get(n, float(_STANDING[INDEX[n]])) + 0.5 * way.get(n, 0.0) for n in names])
    near = float(np.sqrt(middle[0] ** 2 + middle[1] ** 2 + middle[2] ** 2))
    if near >= _CLEAR:
        return {}
    out = middle + np.array([0.35, 0.0, 0.60])
    out *= (_CLEAR - near) / np.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2)
    return dict(zip(names, out.tolist(), strict=True))


# Arm lengths that a hand keeps from its shoulder on the way from one pose to another.
_CLEAR = 0.62
_STANDING = standing()


@dataclass
class Track:
    """Signals of one person on the frames' clock `t` [T] (seconds, may start before 0 and end after the clip).

    Moves are written in order; a later blend lies over the earlier ones. quiet [T]: 1 where no act moves the body, 0 where one does;
    head_free [T]: the same of an act of the head alone; pins: hands and knees that are kept on the ground.
    """

    shape: Shape
    t: np.ndarray
    place: tuple[float, float, float]
    channels: np.ndarray = field(init=False)
    base: np.ndarray = field(init=False)
    footholds: np.ndarray = field(init=False)
    foot_headings: np.ndarray = field(init=False)
    planted: np.ndarray = field(init=False)
    quiet: np.ndarray = field(init=False)
    head_free: np.ndarray = field(init=False)
    pins: Pins | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        frames = len(self.t)
        self.channels = np.tile(standing(), (frames, 1))
        self.base = np.tile(np.asarray(self.place, dtype=np.float64), (frames, 1))
        self.footholds = np.stack([self.foot_place(i, self.base) for i in range(2)], 1)
        self.foot_headings = np.repeat(self.base[:, 2:], 2, axis=1)
        self.planted = np.ones((frames, 2), bool)
        self.quiet = np.ones(frames)
        self.head_free = np.ones(frames)

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
        for side in SIDES:
            self.blend(
                4.0 * weight * (1.0 - weight), around({}, {n: v - float(_STANDING[INDEX[n]]) for n, v in pose.items()}, side), add=True
            )
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

    def busy(self, start: float, stop: float, *, head_only: bool = False) -> None:
        """An act moves the body, or the head alone, from `start` to `stop`."""
        lively = envelope(self.t, start - 0.2, stop + 0.2, 0.2, 0.2)
        if head_only:
            self.head_free = np.minimum(self.head_free, 1.0 - lively)
        self.quiet = np.minimum(self.quiet, 1.0 - (0.2 if head_only else 1.0) * lively)

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
            # A runner's foot leaves its place at once: the body would be far ahead of it else.
            w = ease(1.0 - (1.0 - np.clip((t[window] - off) / air, 0.0, 1.0)) ** (1.2 if swing > 1.0 else 1.0))[:, None]
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

    def shift(self, start: float, seconds: float, ahead: float, aside: float, turned: float = 0.0, *, first: int = 0, height: float = 0.05,
              windows: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.58), (0.40, 0.58)), pivot: bool = False, carry: float = 1.0) -> None:  # fmt: skip
        """Carry the base by metres ahead and to the left and by radians; both feet follow, `first` before the other.

        windows   when each is in the air, as (from, how long) in shares of `seconds`     pivot   the first foot turns below the body, on the ground
        carry     share of `seconds` in which the base goes its way
        """
        t = self.t
        frame = min(int(np.searchsorted(t, start)), len(t) - 1)
        old = self.base[frame].copy()
        sin, cos = np.sin(old[2]), np.cos(old[2])
        way = np.array([cos * aside + sin * ahead, -sin * aside + cos * ahead, turned])
        whole = ease((t - start) / seconds)
        self.base[:, :2] += ease((t - start) / (carry * seconds))[:, None] * way[:2]
        self.base[:, 2] += whole * turned
        for foot, (off, air) in zip((first, 1 - first), windows, strict=True):
            s = (t - start - off * seconds) / (air * seconds)
            w = ease(s)
            goal = self.foot_place(foot, old + way)
            if pivot and foot == first:
                goal = np.array([old[0] + way[0], 0.0, old[1] + way[1]])
            self.footholds[:, foot] += w[:, None] * (goal - self.footholds[frame, foot])
            self.foot_headings[:, foot] += (whole if pivot else w) * (old[2] + turned - self.foot_headings[frame, foot])
            side = SIDES[foot]
            self.channels[:, INDEX[f"foot_{side}_y"]] += height / self.shape.leg * bump(s)
            self.channels[:, INDEX[f"foot_{side}_pitch"]] += 0.30 * bump(s * 1.2)
            self.planted[(s > 0) & (s < 1), foot] = False

    def controls(self) -> Controls:
        return Controls(self.shape, self.channels, self.base, self.footholds, self.foot_headings, self.planted, self.pins)
