"""Side, count, direction and speed class of an act, measured from the joints alone, to hold captions against.

Only the span in which to look comes from the scene. A fact that cannot be measured for a move is left out, never guessed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from stickgen_core.skeleton.body import JOINT
from stickgen_core.sources.synthetic.acts import Act, lead_s
from stickgen_core.sources.synthetic.axes import along_way, chest_axes, dwell, heading, moving_frame, own_frame, rises
from stickgen_core.sources.synthetic.catalogue import Catalogue, Gesture
from stickgen_core.sources.synthetic.channels import OTHER
from stickgen_core.sources.synthetic.going import descent_s
from stickgen_core.sources.synthetic.reference import single_speed, single_speed_on_top
from stickgen_core.sources.synthetic.rhythm import speed_class, strokes_on_top
from stickgen_core.sources.synthetic.scene import Scene

_BOTH = {name: [JOINT[f"left_{name}"], JOINT[f"right_{name}"]] for name in ("foot", "wrist", "shoulder")}
_LIMBS = {side: [JOINT[f"{side}_{n}"] for n in ("elbow", "wrist", "knee", "ankle", "foot")] for side in ("left", "right")}
_ARMS = {side: [JOINT[f"{side}_wrist"]] for side in ("left", "right")}
_LEGS = {side: [JOINT[f"{side}_foot"]] for side in ("left", "right")}
# How near two right hands come that shake, slap or hand something over.
MEETING_M = {"shake_hands": 0.05, "high_five": 0.05, "give": 0.30}
# Length of an arm over that of the trunk from pelvis to neck.
_ARM_SHARE = 0.99
# Of the time to get down or up, the share in which the pelvis is between 15 and 85 % of its way; to the front it goes down late and fast.
_RISE_SHARE = {"other": 0.41, "front": 0.31}
# The share of a leap's flight that is spent above half of its height.
_FLIGHT_SHARE = 0.454


def measure(joints: np.ndarray, act: Act, moves: Catalogue, fps: float) -> dict[str, Any]:
    """Facts of one person's act [T, 22, 3]: any of side, count, tempo, path, toward, degrees, steps, end, face, over (how it tumbles)."""
    first, last = max(int(act.start * fps), 0), min(int(np.ceil(act.stop * fps)) + 1, len(joints))
    span = joints[first:last]
    if act.kind == "gesture":
        return _gesture(joints, span, act, moves, fps)
    if act.kind == "gait":
        return _gait(span, act, moves, fps)
    return _posture(span, act, moves, fps)


def _posture(span: np.ndarray, act: Act, moves: Catalogue, fps: float) -> dict[str, Any]:
    """Whether the act ends low or upright, and how fast; of its lowest moment: which knees are down, which way a lying trunk faces."""
    height = span[:, 0, 1]
    facts: dict[str, Any] = {}
    if act.kind in ("into", "outof"):
        between = (height - height.min()) / max(float(np.ptp(height)), 1e-9)
        share = _RISE_SHARE["front" if act.move.endswith("front") else "other"]
        seconds = float(((between > 0.15) & (between < 0.85)).sum()) / fps
        facts["tempo"] = speed_class(seconds / share / moves.postures[act.move].rise_s)
        facts["end"] = "low" if height[-1] < 0.75 * height[0] else "upright" if height[0] < 0.75 * height[-1] else "same"
    lowest = span[-1 if act.kind == "into" else 0]
    if act.move.startswith("kneel"):
        left, right = lowest[JOINT["left_knee"], 1], lowest[JOINT["right_knee"], 1]
        facts["side"] = "both" if abs(left - right) < 0.15 else "left" if left < right else "right"
    if act.move.startswith(("lie", "fall")):
        facts["face"] = "up" if _ahead(lowest)[1] > 0 else "down"
    return facts


def _ahead(pose: np.ndarray) -> np.ndarray:
    """[22, 3] -> [3]: where the chest faces."""
    across = pose[JOINT["left_shoulder"]] - pose[JOINT["right_shoulder"]]
    return np.cross(across, pose[JOINT["neck"]] - pose[0])


def _gesture(joints: np.ndarray, span: np.ndarray, act: Act, moves: Catalogue, fps: float) -> dict[str, Any]:
    gesture = moves.gestures[act.move]
    # What steps or turns under its strokes is seen from its own pelvis.
    body = moving_frame(span) if gesture.footwork else own_frame(span)
    facts: dict[str, Any] = {}
    hold, stroke = dict(gesture.hold), {**gesture.windup, **gesture.stroke}
    if gesture.footwork and gesture.footwork.turn_deg and not gesture.windup:
        turned = heading(span)
        facts["side"] = "left" if turned[-1] > turned[0] else "right"
    elif gesture.profile == "snap":
        lead = int(lead_s(act, moves) * fps)
        inside = slice(lead, len(span) - lead)
        strikers = _strikers(span[inside], body[inside], "foot_y" in stroke)
        gone = np.sqrt(((strikers - strikers[:1]) ** 2).reshape(len(strikers), 2, 3).sum(-1)).max(0)
        facts["side"] = "left" if gone[0] > gone[1] else "right"
    elif gesture.sides:
        facts["side"] = _acting_side(body, {**hold, **stroke}, act, moves, fps)
    if not gesture.period_s or gesture.free:
        return facts
    lead = int(lead_s(act, moves) * fps)
    inner = body[lead : len(body) - lead]
    if gesture.profile in ("jump", "jack"):
        # The higher foot-to-ground distance of the lower foot: both are off the ground only in flight.
        feet = inner[:, [JOINT["left_foot"], JOINT["right_foot"]], 1].min(1)
        starts = rises(np.maximum(feet - 0.01, 0))
    elif gesture.profile == "snap":
        starts = rises(along_way(strikers))
    elif gesture.profile == "throw":
        wrists = inner[:, [JOINT["left_wrist"], JOINT["right_wrist"]]] - inner[:, :1]
        speed = np.sqrt((np.gradient(wrists, axis=0) ** 2).sum(-1)).max(1)
        starts = rises(speed, 0.8, 0.5)
    else:
        head = [JOINT["neck"], JOINT["head"]]
        # A head's own moves are in the chest's axes, whatever the trunk does below it.
        nodding = (chest_axes(inner) * (inner[:, head[1]] - inner[:, head[0]])[:, None]).sum(-1)
        limbs = nodding if _head_only(gesture.stroke) else inner.reshape(len(inner), -1)
        away = np.sqrt(((limbs - limbs[:1]) ** 2).sum(1))
        starts = rises(away)
        if gesture.profile == "swing":
            starts = starts[::2]
    facts["count"] = len(starts)
    if len(starts) >= 2:
        # A circling arm speeds up and slows down over half a turn at either end: between, it is faster than its mean.
        mean = 1.0 - 0.5 / act.count if gesture.profile == "circle" else 1.0
        facts["tempo"] = speed_class(float(np.diff(starts).mean()) / fps / gesture.period_s / mean)
    elif len(starts) == 1 and (speed := single_speed(joints, act, moves, fps)):
        facts["tempo"] = speed
    return facts


def _strikers(span: np.ndarray, body: np.ndarray, kicks: bool) -> np.ndarray:
    """[T, 6]: both feet as seen from the pelvis, or both hands from their shoulders in the chest's axes."""
    if kicks:
        return body[:, _BOTH["foot"]].reshape(len(body), -1)
    hands = span[:, _BOTH["wrist"]] - span[:, _BOTH["shoulder"]]
    return (chest_axes(span)[:, None] * hands[:, :, None]).sum(-1).reshape(len(span), -1)


def _head_only(stroke: Mapping[str, Any]) -> bool:
    return bool(stroke) and all(name.startswith("head") for name in stroke)


def _acting_side(body: np.ndarray, channels: Mapping[str, Any], act: Act, moves: Catalogue, fps: float) -> str:
    """The limb that leaves its resting place most; the trunk's side where no limb acts."""
    names = {name.split("_")[0] for name in channels}
    if "spine_roll" in channels and not ("hand" in names or "foot" in names):
        lean = body[:, JOINT["neck"], 0] - body[:, 0, 0]
        lean = lean - lean[0]
        return "left" if lean[np.abs(lean).argmax()] > 0 else "right"
    if "other_hand" in channels and "spine_roll" in channels:
        lean = body[:, JOINT["neck"], 0] - body[:, 0, 0]
        return "left" if (lean - lean[0])[np.abs(lean - lean[0]).argmax()] > 0 else "right"
    if "other_hand" in moves.gestures[act.move].windup:
        wrist = body[:, [JOINT["left_wrist"], JOINT["right_wrist"]], 0].mean(1) - body[:, 0, 0]
        half = wrist[: int(len(wrist) * (0.42 if act.count == 1 else 0.9 / act.count * 0.55))]
        return "left" if half[np.abs(half - half[0]).argmax()] > half[0] else "right"
    if channels.get("pelvis_y", 0.0) < -0.2 and "hand" in channels:
        # Both arms hang differently while the trunk is down; only the one that carries is bent.
        bent = [np.sqrt(((body[:, JOINT[f"{s}_wrist"]] - body[:, JOINT[f"{s}_shoulder"]]) ** 2).sum(-1)).min() for s in ("left", "right")]
        return "left" if bent[0] < bent[1] else "right"
    if "both_hand" in channels and "hand" in channels:
        # Both hands are in guard; the one that acts is the one that leaves it.
        lead = int(lead_s(act, moves) * fps)
        body = body[lead : len(body) - lead]
    limbs = _LEGS if "foot" in names or act.move == "hop" else _ARMS
    trunk = {"left": JOINT["left_shoulder"], "right": JOINT["right_shoulder"]}
    gone = {}
    for side, joints in limbs.items():
        at = body[:, joints[0]] if limbs is _LEGS else body[:, joints[0]] - body[:, trunk[side]]
        move = np.sqrt(((at - at[0]) ** 2).sum(-1))
        gone[side] = float(move.max()) if limbs is _ARMS else float((at[:, 1] - at[0, 1]).max() + 0.3 * move.max())
    left, right = gone["left"], gone["right"]
    if min(left, right) > 0.7 * max(left, right):
        return "both"
    if act.move == "hop":
        # The foot that is held up rises higher than the one that hops.
        return "right" if left > right else "left"
    return "left" if left > right else "right"


def raised_side(joints: np.ndarray, act: Act, gesture: Gesture, fps: float, rest: np.ndarray) -> str:
    """Which hand leaves its rest [3] (arm lengths, left side) for an act of the arms over something else; [T, 22, 3] joints."""
    first, last = max(int(act.start * fps), 0), min(int(np.ceil(act.stop * fps)) + 1, len(joints))
    span = joints[first:last]
    axes = chest_axes(span)
    arm = _ARM_SHARE * float(np.median(np.sqrt(((span[:, JOINT["neck"]] - span[:, 0]) ** 2).sum(-1))))
    if "other_hand" in gesture.windup:
        # Both hands swing across; the side is where they are taken first.
        across_m = (axes[:, 0] * (span[:, [JOINT["left_wrist"], JOINT["right_wrist"]]].mean(1) - span[:, JOINT["spine3"]])).sum(-1)
        first_half = across_m[: max(int(len(across_m) * 0.9 / (2 * act.count)), 3)]
        return "left" if first_half[np.abs(first_half).argmax()] > 0 else "right"
    if "other_hand" in gesture.hold:
        # A stretch to one side shows in the other arm, overhead.
        overhead = {side: (axes[:, 1] * (span[:, JOINT[f"{side}_wrist"]] - span[:, JOINT[f"{side}_shoulder"]])).sum(-1) for side in OTHER}
        return OTHER[max(overhead, key=lambda side: float(np.median(overhead[side])))]
    start, way, held = _hand_way(gesture, rest)
    gone = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hand = span[:, JOINT[f"{side}_wrist"]] - span[:, JOINT[f"{side}_shoulder"]]
        local = (axes * hand[:, None]).sum(-1) / arm * np.array([sign, 1.0, 1.0])
        along = ((local - start) * way).sum(-1) / (way * way).sum()
        gone[side] = float(along[len(along) // 6 : -(len(along) // 6)].mean() if held else np.quantile(along, 0.93))
    left, right = gone["left"], gone["right"]
    if min(left, right) > 0.65 * max(left, right):
        return "both"
    return "left" if left > right else "right"


def on_top(joints: np.ndarray, act: Act, acts: Iterable[Act], moves: Catalogue, fps: float) -> dict[str, Any]:
    """Facts of a gesture of one person over a gait or a seat [T, 22, 3]: which hand leaves its rest, how often, how fast."""
    gesture = moves.gestures[act.move]
    facts: dict[str, Any] = {}
    if gesture.sides:
        facts["side"] = raised_side(joints, act, gesture, fps, rest_of(acts, moves))
    if not gesture.period_s or gesture.free:
        return facts
    seen = strokes_on_top(joints, act, moves, fps, facts.get("side"))
    if seen is None:
        return facts
    facts["count"], period, effort = seen
    if period is not None:
        mean = 1.0 - 0.5 / facts["count"] if gesture.profile == "circle" else 1.0
        facts["tempo"] = speed_class(period / gesture.period_s / mean)
    elif speed := single_speed_on_top(effort, act):
        facts["tempo"] = speed
    return facts


def _hand_way(gesture: Gesture, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """From where and by how much the acting hand goes in arm lengths of the left side, and whether it stays there."""
    if "hand" in gesture.hold:
        return rest, np.array(gesture.hold["hand"]) - rest, True
    start = np.array(gesture.hold.get("both_hand", rest))
    if "hand" in gesture.windup and not gesture.hold:
        return rest, np.array(gesture.windup["hand"]) - rest, False
    return start, np.array(gesture.stroke["hand"]), False


def _gait(span: np.ndarray, act: Act, moves: Catalogue, fps: float) -> dict[str, Any]:
    gait = moves.gaits[act.move]
    facts: dict[str, Any] = {}
    if gait.tumble:
        if gait.sides:
            shift = own_frame(span)[-1, 0, 0]
            facts["side"] = "left" if shift > 0 else "right"
        else:
            facts["over"] = _tumbled(span)
        return facts
    if gait.limp:
        # Who limps leans away from the sore leg.
        lean = moving_frame(span)[:, JOINT["neck"], 0]
        facts["side"] = "left" if lean.mean() < 0 else "right"
    turned = float(np.rad2deg(heading(span)[-1] - heading(span)[0]))
    gone = own_frame(span)[-1, 0]
    if gait.turns:
        facts["side"] = "left" if turned > 0 else "right"
        facts["degrees"] = min((90, 180, 360, 720), key=lambda d: abs(abs(turned) - d))
    elif gait.toward == "side":
        facts["side"] = "left" if gone[0] > 0 else "right"
    elif gait.paths:
        facts["path"] = next((n for n, d in (("circle_left", 250), ("left", 35)) if turned > d), None) or next(
            (n for n, d in (("circle_right", -250), ("right", -35)) if turned < d), "straight"
        )
        if facts["path"] == "straight":
            facts["toward"] = "backward" if gone[2] < 0 else "forward"
    feet = span[:, [JOINT["left_foot"], JOINT["right_foot"]], 1]
    if gait.together:
        facts["toward"] = "backward" if gone[2] < 0 else "forward"
        flight = np.maximum(feet.min(1) - 0.01, 0)
        starts = rises(flight)
        facts["count"] = len(starts)
        if len(starts):
            period = np.diff(starts).mean() / fps if len(starts) > 1 else dwell(flight) / fps / (_FLIGHT_SHARE * gait.swing)
            facts["tempo"] = speed_class(float(period) / gait.step_s)
    elif gait.stride or gait.turns:
        facts["steps"] = (
            sum(len(rises(np.maximum(feet[:, i] - feet[:, i].min(), 0), 0.4, 0.2)) for i in range(2)) if not gait.crawl else act.count
        )
        walked = (len(span) - 1) / fps - 2 * descent_s(gait, act.factor)
        facts["tempo"] = speed_class(walked / max(facts["steps"], 1) / gait.step_s)
    return facts


def _tumbled(span: np.ndarray) -> str:
    """Which way round a body went heels over head."""
    a = heading(span)[0]
    up = span[:, JOINT["neck"]] - span[:, 0]
    turned = np.unwrap(np.arctan2(np.sin(a) * up[:, 0] + np.cos(a) * up[:, 2], up[:, 1]))
    return "forward" if turned[-1] > turned[0] else "backward"


def wrong_facts(joints: np.ndarray, act: Act, moves: Catalogue, fps: float) -> list[str]:
    """Measured facts that differ from what the act says, as readable lines."""
    said: dict[str, Any] = {"side": act.side, "count": act.count, "tempo": act.tempo, "path": act.path, "degrees": act.degrees}
    said["steps"] = act.count
    if act.kind == "gait":
        said["toward"] = "backward" if moves.gaits[act.move].toward == "backward" else "forward"
    said["end"] = "low" if act.kind == "into" else "upright"
    said["face"] = "up" if act.move.endswith("back") else "down"
    said["over"] = "backward" if act.move.startswith("back") else "forward"
    if act.move == "kneel":
        said["side"] = "both"
    found = measure(joints, act, moves, fps)
    return [f"{act.move}: {name} is said to be {said[name]}, measured {value}" for name, value in found.items() if said[name] != value]


def untrue(scene: Scene, joints: np.ndarray, moves: Catalogue, fps: float) -> list[str]:
    """Everything measured in a scene that differs from what it says; an act over another is measured in the chest's own axes."""
    lines: list[str] = []
    for a, person in enumerate(scene.people):
        below = any(act.below for act in person.acts)
        for act in person.acts:
            if act.kind != "together" and (act.below or not below):
                lines += wrong_facts(joints[:, a], act, moves, fps)
            elif act.kind == "gesture":
                facts = on_top(joints[:, a], act, person.acts, moves, fps)
                said = {"side": act.side, "count": act.count, "tempo": act.tempo}
                lines += [f"{act.move}: {k} is said to be {said[k]}, measured {v}" for k, v in facts.items() if v != said[k]]
    if scene.script in MEETING_M and scene.kind == "pair":
        gap = np.sqrt(((joints[:, 0, JOINT["right_wrist"]] - joints[:, 1, JOINT["right_wrist"]]) ** 2).sum(-1)).min()
        lines += [] if gap < MEETING_M[scene.script] else [f"{scene.script}: hands stay {gap:.2f} m apart"]
    return lines


def rest_of(acts: Iterable[Act], moves: Catalogue) -> np.ndarray:
    """[3] where a left hand rests below a gesture, in arm lengths from its shoulder: hanging, or as the seat has it."""
    seat = next((moves.postures[act.move].pose for act in acts if act.kind == "hold"), {})
    return np.array(seat.get("both_hand", (0.11, -0.962, 0.06)))
