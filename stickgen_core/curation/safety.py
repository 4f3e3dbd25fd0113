"""The safety critic: is a generated motion fit to be shown? Six faults with documented severities; the numbers must be finite and
the points a body.

A severity is where a check begins; it grows to 1 as the share of frames it concerns does, and several faults add up as independent doubts
do (1 − Π(1 − severity)). So every check can reject at the default 0.7, and a fault in a few frames alone need not.

Who leaves and comes back is judged in unbroken stays: nothing is compared across an absence, and shares are of all the frames in view.
"""

from dataclasses import dataclass, field

import numpy as np

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.parts import FOURTH_DIFFERENCE_GAIN, SECOND_DIFFERENCE_GAIN
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton import layout_of_width

# Numbers that are no numbers, and figures that are no body, must not be shown however few.
NON_FINITE_SEVERITY = NO_BODY_SEVERITY = 1.0


@dataclass(frozen=True)
class SafetyIssue:
    """One fault: `value` was held against `limit`; `actor` is the person it was worst in."""

    check: str
    severity: float
    value: float
    limit: float
    detail: str
    actor: int = 0


@dataclass(frozen=True)
class SafetyResult:
    """overall_score is 1 for a motion without fault, 0 for one that must not be shown."""

    is_safe: bool
    overall_score: float
    issues: tuple[SafetyIssue, ...] = field(default=())


def evaluate_motion_safety(motion: np.ndarray, config: SafetyConfig | None = None, present: np.ndarray | None = None) -> SafetyResult:
    """Judge sticks [T, W] or [T, A, W] in metres at `config.fps`; absent people (present [T, A]) are not judged."""
    config = config or SafetyConfig()
    motion = np.asarray(motion, dtype=np.float64)
    if motion.ndim == 2:
        motion = motion[:, None]
    if motion.ndim != 3 or not len(motion):
        raise StickgenError(f"safety critic: expected motion [T, W] or [T, A, W] with T > 0, found {list(motion.shape)}")
    names = layout_of_width(motion.shape[2]).segment_names
    seen = np.ones(motion.shape[:2], bool) if present is None else np.asarray(present, bool).reshape(motion.shape[:2])
    worst: dict[str, SafetyIssue] = {}
    stays = {actor: _stays(motion[:, actor], seen[:, actor]) for actor in range(motion.shape[1]) if seen[:, actor].any()}
    for actor in stays:
        for issue in _issues_of(stays[actor], names, actor, config):
            if issue.check not in worst or issue.severity > worst[issue.check].severity:
                worst[issue.check] = issue
    # One who stands still beside one who moves is no fault.
    frozen = [_frozen(stays[actor], actor, config) for actor in stays]
    if frozen and all(issue is not None for issue in frozen):
        worst["frozen"] = min((issue for issue in frozen if issue is not None), key=lambda issue: issue.value)
    issues = tuple(sorted(worst.values(), key=lambda issue: (-issue.severity, issue.check)))
    doubt = 1 - float(np.prod([1 - issue.severity for issue in issues]))
    return SafetyResult(doubt < config.reject_at, round(1 - doubt, 4), issues)


def _stays(sticks: np.ndarray, seen: np.ndarray) -> list[np.ndarray]:
    """The unbroken stays of one person: [T, W], bool [T] -> [T', W] each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], seen.astype(np.int8), [0]])))
    return [sticks[start:stop] for start, stop in edges.reshape(-1, 2)]


def _issues_of(stays: list[np.ndarray], names: tuple[str, ...], actor: int, config: SafetyConfig) -> list[SafetyIssue]:
    """Every fault of one person but standing still: [T, W] a stay."""
    sticks = np.concatenate(stays)
    if not np.isfinite(sticks).all():
        share = float(1 - np.isfinite(sticks).all(1).mean())
        return [SafetyIssue("non_finite", NON_FINITE_SEVERITY, round(share, 4), 0.0, "frames with values that are not numbers", actor)]
    points, apart = _points(sticks), [_points(stay) for stay in stays]
    found = [_repetitive(apart, actor, config), _jittery(apart, actor, config), _velocity(apart, actor, config),
             _ground(points, actor, config), _limbs(sticks, names, actor, config), _no_body(points, actor, config)]  # fmt: skip
    return [issue for issue in found if issue is not None]


def _points(sticks: np.ndarray) -> np.ndarray:
    """[T, W] -> [T, P, 2] ends of segments."""
    return sticks.reshape(len(sticks), -1, 2)


def _differences(stays: list[np.ndarray], order: int) -> np.ndarray:
    """Differences of that order within each stay, one after the other: [T, P, 2] a stay -> [T', P, 2]; a stay too short for one has none."""
    return np.concatenate([np.diff(points, order, axis=0) for points in stays])


def _growing(severity: float, share: float, begins: float = 0.0) -> float:
    """The documented severity where the check begins, 1 where every frame is concerned."""
    return round(severity + (1 - severity) * max(share - begins, 0.0) / (1 - begins), 4)


def _frozen(stays: list[np.ndarray], actor: int, config: SafetyConfig) -> SafetyIssue | None:
    """The figure is a picture of somebody: hardly a step in more than `frozen_share` of the frames, and no sway either.

    Living people who stand, sit or lie sway by millimetres within a second, whatever the caption; a picture does not, and a picture with noise
    on it does not sway farther than the means of such noise differ.
    """
    lasting = [_points(stay) for stay in stays if len(stay) > 1]
    if not lasting or not all(np.isfinite(stay).all() for stay in stays):
        return None
    share = round(float(np.concatenate([_pictured(points, config) for points in lasting]).mean()), 4)
    if share <= config.frozen_share:
        return None
    severity = _growing(config.frozen_severity, share, config.frozen_share)
    return SafetyIssue("frozen", severity, share, config.frozen_share, "share of frames in which nothing moves", actor)


def _pictured(points: np.ndarray, config: SafetyConfig) -> np.ndarray:
    """Steps of one stay in which nothing moves and nothing sways: [T, P, 2] -> bool [T - 1]."""
    noise = _noise_m(points)
    still = np.linalg.norm(np.diff(points, axis=0), axis=2).max(1) < config.frozen_step_m + config.noise_deviations * noise
    half = max(1, min(round(config.sway_s * config.fps), len(points) // 2))
    total = np.concatenate([np.zeros_like(points[:1]), np.cumsum(points - points[0], axis=0)])
    mean = (total[half:] - total[:-half]) / half
    sway = np.linalg.norm(mean[half:] - mean[:-half], axis=2).max(1)
    picture = sway <= max(config.sway_m, config.noise_deviations * noise * np.sqrt(2 / half))
    # Each step belongs to the two half windows that meet at it; those at the ends to the first and the last pair.
    return still & picture[np.clip(np.arange(len(still)) + 1 - half, 0, len(picture) - 1)]


def _noise_m(points: np.ndarray) -> float:
    """Standard deviation per coordinate of the white noise on a motion [T, P, 2], from its fourth differences; the median over frames, so that one jump is none."""
    if len(points) < 5:
        return 0.0
    fourth = np.square(np.diff(points, 4, axis=0)).mean((1, 2)) / FOURTH_DIFFERENCE_GAIN
    return float(np.sqrt(np.median(fourth)))


def _repetitive(stays: list[np.ndarray], actor: int, config: SafetyConfig) -> SafetyIssue | None:
    """The figure goes through the same window several times in a row, in the same place; a walker comes by elsewhere."""
    loops = [_loop(points, config) for points in stays]
    share = sum(frames for frames, _ in loops) / sum(map(len, stays))
    if share <= config.repetitive_share:
        return None
    detail = f"equal windows in a row, in one place, {share:.0%} of the frames"
    return SafetyIssue("repetitive", _growing(config.repetitive_severity, share, config.repetitive_share), float(max(loops)[1]),
                       float(config.repetitive_windows), detail, actor)  # fmt: skip


def _loop(points: np.ndarray, config: SafetyConfig) -> tuple[int, int]:
    """Frames and windows of the longest loop of one stay, 0 and 0 without one.

    Large movements may differ a little from one window to the next; small ones count where they are repeated exactly, as no living body does.
    """
    first, last = config.loop_lags_frames
    frames, windows = 0, 0
    farthest = np.zeros(len(points))
    for lag in range(1, min(last, len(points) // config.repetitive_windows) + 1):
        apart = np.sqrt(((points[lag:] - points[:-lag]) ** 2).sum(2).mean(1))
        way = farthest[: len(apart)]  # the farthest that the figure gets within the window
        if lag >= first:
            similar = (apart < config.loop_error * way) & (way > config.loop_excursion_m)
            exact = (apart < config.exact_loop_error * way) & (way > config.exact_loop_excursion_m)
            run = _longest(similar | exact)
            if run >= (config.repetitive_windows - 1) * lag and run + lag > frames:
                frames, windows = run + lag, run // lag + 1
        farthest[: len(apart)] = np.maximum(way, apart)
    return frames, windows


def _longest(true: np.ndarray) -> int:
    """Length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _no_body(points: np.ndarray, actor: int, config: SafetyConfig) -> SafetyIssue | None:
    """All points crowd together: nobody is that small, however folded up or foreshortened. A random walk round one place is."""
    extent = float(np.median(np.linalg.norm(points.max(1) - points.min(1), axis=1)))
    if extent >= config.body_extent_m:
        return None
    return SafetyIssue(
        "no_body", NO_BODY_SEVERITY, round(extent, 4), config.body_extent_m, "metres across the figure, in half of the frames", actor
    )


def _jittery(stays: list[np.ndarray], actor: int, config: SafetyConfig) -> SafetyIssue | None:
    """Acceleration noise, m/s², mean over points: the fourth difference scaled to the acceleration that white noise of its size has."""
    fourth = _differences(stays, 4)
    if not len(fourth):
        return None
    scale = np.sqrt(SECOND_DIFFERENCE_GAIN / FOURTH_DIFFERENCE_GAIN) * config.fps**2
    noise = np.linalg.norm(fourth, axis=2).mean(1) * scale
    share = round(float((noise > config.jitter_acceleration_m_s2).mean()), 4)
    if share <= config.jittery_share:
        return None
    severity = _growing(config.jittery_severity, share, config.jittery_share)
    return SafetyIssue("jittery", severity, share, config.jittery_share, "share of frames with high acceleration noise", actor)


def _velocity(stays: list[np.ndarray], actor: int, config: SafetyConfig) -> SafetyIssue | None:
    """A point of the figure moves faster than any person's does."""
    steps = _differences(stays, 1)
    if not len(steps):
        return None
    speed = np.linalg.norm(steps, axis=2).max(1) * config.fps
    if speed.max() <= config.velocity_limit_m_s:
        return None
    severity = _growing(config.velocity_severity, float((speed > config.velocity_limit_m_s).mean()))
    return SafetyIssue("velocity", severity, round(float(speed.max()), 4), config.velocity_limit_m_s, "fastest point, m/s", actor)


def _ground(points: np.ndarray, actor: int, config: SafetyConfig) -> SafetyIssue | None:
    """A point of the figure is below the ground."""
    lowest = points[..., 1].min(1)
    if lowest.min() >= config.ground_limit_m:
        return None
    severity = _growing(config.ground_severity, float((lowest < config.ground_limit_m).mean()))
    return SafetyIssue("ground", severity, round(float(lowest.min()), 4), config.ground_limit_m, "lowest point, m", actor)


def _limbs(sticks: np.ndarray, names: tuple[str, ...], actor: int, config: SafetyConfig) -> SafetyIssue | None:
    """A segment is longer in projection than any person's is in space; `value` is the worst length over its limit."""
    ends = sticks.reshape(len(sticks), -1, 2, 2)
    length = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=2)
    limits = np.array([config.segment_limits_m.get(name, config.other_segments_limit_m) for name in names])
    over = length / limits
    if over.max() <= 1:
        return None
    severity = _growing(config.limb_severity, float((over > 1).any(1).mean()))
    segment = names[int(over.max(0).argmax())]
    return SafetyIssue("limbs", severity, round(float(over.max()), 4), 1.0, f"{segment} too long", actor)
