"""How fast a move that repeats itself is, by how its own motion comes round: for moves whose strokes nobody counts."""

import numpy as np

from stickgen_core.skeleton.body import JOINT
from stickgen_core.sources.synthetic.acts import Act, lead_s
from stickgen_core.sources.synthetic.catalogue import Catalogue
from stickgen_core.sources.synthetic.truth import speed_class

_HANDS, _ELBOWS = [JOINT["left_wrist"], JOINT["right_wrist"]], [JOINT["left_elbow"], JOINT["right_elbow"]]
_SHOULDERS, _FEET = [JOINT["left_shoulder"], JOINT["right_shoulder"]], [JOINT["left_foot"], JOINT["right_foot"]]
# A return counts if the motion then is this much like itself; of returns that are nearly as good, the first is the period.
_ALIKE, _NEARLY = 0.7, 0.2
# Periods looked for, as shares of the move's own at normal tempo.
_FASTEST, _SLOWEST = 0.45, 2.0


def repeated_speed(joints: np.ndarray, act: Act, moves: Catalogue, fps: float) -> str | None:
    """Speed class of a repeating act of one person [T, 22, 3], None where nothing comes round clearly."""
    gesture = moves.gestures[act.move]
    if not gesture.period_s or gesture.profile in ("climb", "jump", "jack", "throw"):
        return None
    lead = int(lead_s(act, moves) * fps)
    first, last = max(int(act.start * fps), 0) + lead, min(int(act.stop * fps) + 1, len(joints)) - lead
    span = joints[first:last]
    parts = (span[:, _HANDS] - span[:, _SHOULDERS], span[:, _ELBOWS] - span[:, _SHOULDERS], span[:, _FEET] - span[:, :1],
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
