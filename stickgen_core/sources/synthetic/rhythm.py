"""How fast a move that repeats itself is, by how its own motion comes round: for moves whose strokes nobody counts."""

import numpy as np

from stickgen_core.skeleton.body import JOINT
from stickgen_core.sources.synthetic.acts import Act, lead_s
from stickgen_core.sources.synthetic.axes import along_way, chest_axes, moving_frame, rises
from stickgen_core.sources.synthetic.catalogue import Catalogue, Gesture

_HANDS, _ELBOWS = [JOINT["left_wrist"], JOINT["right_wrist"]], [JOINT["left_elbow"], JOINT["right_elbow"]]
_SHOULDERS, _FEET = [JOINT["left_shoulder"], JOINT["right_shoulder"]], [JOINT["left_foot"], JOINT["right_foot"]]
# A return counts if the motion then is this much like itself; of returns that are nearly as good, the first is the period.
_ALIKE, _NEARLY = 0.7, 0.2
# What of the fastest move is taken for rest; slower than this nothing is timed.
_IDLE_SHARE, _HARDLY_M_S, _FEWEST_FRAMES = 0.15, 0.2, 8
# Half-way between the drawn bands (0.60-0.72, 0.92-1.08, 1.35-1.60 of a move's own period).
_FAST, _SLOW = 0.82, 1.21
# Periods looked for, as shares of the move's own at normal tempo.
_FASTEST, _SLOWEST = 0.45, 2.0


def speed_class(ratio: float) -> str:
    """slow, normal or fast, of a period over the move's own."""
    return "fast" if ratio < _FAST else "slow" if ratio > _SLOW else "normal"


def effort_s(joints: np.ndarray, act: Act, moves: Catalogue, fps: float) -> float | None:
    """Seconds that an act's strokes effectively take, by how all limbs move; [T, 22, 3] joints of one person. None where hardly anything moves."""
    return _effort(np.concatenate(_strokes(joints, act, moves, fps), 1), fps)


def _effort(x: np.ndarray, fps: float) -> float | None:
    """(∫v)² / ∫v² of a signal [T, D]: in proportion to how long a move takes, whatever its size."""
    if len(x) < _FEWEST_FRAMES:
        return None
    v = np.sqrt((np.diff(x, axis=0) ** 2).sum(1)) * fps
    v = np.maximum(v - _IDLE_SHARE * v.max(), 0.0)
    return float(v.sum() ** 2 / (v * v).sum() / fps) if v.max() > _HARDLY_M_S else None


def strokes_on_top(
    joints: np.ndarray, act: Act, moves: Catalogue, fps: float, side: str | None
) -> tuple[int, float | None, float | None] | None:
    """Of a gesture over a gait or a seat, in the chest's own axes, along the way that it goes most: how many strokes, their period, their effort.

    side   of the hand that acts     Period in seconds where there are several strokes; None for throws, which a runner's arms hide
    """
    gesture = moves.gestures[act.move]
    x = _strokes(joints, act, moves, fps)[0 if _by_hand(gesture) else 1]
    if len(x) < _FEWEST_FRAMES or gesture.profile == "throw":
        return None
    if x.shape[1] > 3 and side in ("left", "right"):
        x = x[:, :3] if side == "left" else x[:, 3:6]
    way = along_way(x)
    starts = rises(way)
    return len(starts), float(np.diff(starts).mean()) / fps if len(starts) > 1 else None, _effort(way[:, None], fps)


def _by_hand(gesture: Gesture) -> bool:
    return any("hand" in name for name in (*gesture.stroke, *gesture.windup))


def _strokes(joints: np.ndarray, act: Act, moves: Catalogue, fps: float) -> list[np.ndarray]:
    """[T, D] each, between the leads of an act: hands and head in the chest's axes, then feet, trunk and height as seen from the pelvis."""
    lead = int(lead_s(act, moves) * fps)
    first, last = max(int(act.start * fps), 0) + lead, min(int(act.stop * fps) + 1, len(joints)) - lead
    span = joints[max(first - 1, 0) : last + 1]
    chest = chest_axes(span)[:, None]
    local = lambda a, b: (chest * (span[:, a] - span[:, b])[:, :, None]).sum(-1)  # noqa: E731 - a local shorthand
    head = 3.0 * local([JOINT["head"]], [JOINT["neck"]])
    body = moving_frame(span)
    parts = [local(_HANDS, _SHOULDERS), head, body[:, _FEET] - body[:, :1], body[:, [JOINT["neck"]]] - body[:, :1],
             body[:, :1] * np.array([0.0, 1.0, 0.0])]  # fmt: skip
    stroke = moves.gestures[act.move].stroke
    if stroke and all(name.startswith("head") for name in stroke):
        parts = [part * (n == 1) for n, part in enumerate(parts)]
    return [part.reshape(len(span), -1) for part in parts]


def repeated_speed(joints: np.ndarray, act: Act, moves: Catalogue, fps: float) -> str | None:
    """Speed class of a repeating act of one person [T, 22, 3], None where nothing comes round clearly."""
    gesture = moves.gestures[act.move]
    if not gesture.period_s or gesture.profile in ("jump", "jack", "throw"):
        return None
    lead = int(lead_s(act, moves) * fps)
    first, last = max(int(act.start * fps), 0) + lead, min(int(act.stop * fps) + 1, len(joints)) - lead
    span = joints[first:last]
    if gesture.profile == "climb":
        pulls = rises(np.maximum(np.gradient(span[:, 0, 1]), 0.0))
        return speed_class(float(np.diff(pulls).mean()) / fps / gesture.period_s) if len(pulls) > 1 else None
    if gesture.footwork:
        span = moving_frame(span)
    parts = (span[:, _HANDS] - span[:, _SHOULDERS], span[:, _ELBOWS] - span[:, _SHOULDERS], (span[:, _FEET] - span[:, :1]) * (0.0 if gesture.footwork else 1.0),
             3.0 * (span[:, JOINT["head"]] - span[:, JOINT["neck"]]), span[:, 0, 1:2])  # fmt: skip
    x = np.concatenate([part.reshape(len(span), -1) for part in parts], 1)
    x = x - x.mean(0)
    own = gesture.period_s * (2.0 if gesture.profile == "alternate" else 1.0) * fps
    if gesture.profile == "circle":
        # A circling arm speeds up and slows down over half a turn at either end: between, it is faster than its mean.
        own *= 1.0 - 0.5 / act.count
    lags = np.arange(max(int(_FASTEST * own), 2), min(int(_SLOWEST * own) + 1, len(x) - 3))
    if len(lags) < 4:
        return None
    alike = np.array([(x[:-k] * x[k:]).sum() / np.sqrt((x[:-k] ** 2).sum() * (x[k:] ** 2).sum()) for k in lags])
    peaks = [i for i in range(1, len(lags) - 1) if alike[i - 1] <= alike[i] > alike[i + 1]]
    if not peaks or max(alike[i] for i in peaks) < _ALIKE:
        return None
    best = max(alike[i] for i in peaks)
    i = next(i for i in peaks if alike[i] > best - _NEARLY)
    between = 0.5 * (alike[i - 1] - alike[i + 1]) / (alike[i - 1] - 2.0 * alike[i] + alike[i + 1])
    return speed_class(float(lags[i] + between) / own)
