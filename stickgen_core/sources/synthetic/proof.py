"""Every caption of a clip against its joints: what the words claim is read from the words, what is true is measured in the motion.

The scene gives only when each act begins and ends and which person does it. A claim that cannot be measured for a move is counted, not
passed; whose turn it is in a sequence is measured by how each span moves, held against each act performed by somebody else alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from stickgen_core.records.seeds import generator
from stickgen_core.skeleton.body import JOINT
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.synthetic.acts import Act
from stickgen_core.sources.synthetic.axes import heading, own_frame
from stickgen_core.sources.synthetic.catalogue import Catalogue
from stickgen_core.sources.synthetic.reading import Clause, Lexicon
from stickgen_core.sources.synthetic.rhythm import repeated_speed
from stickgen_core.sources.synthetic.scene import Person, Scene, SceneConfig
from stickgen_core.sources.synthetic.stage import play
from stickgen_core.sources.synthetic.truth import MEETING_M, measure, on_top

# Two spans tell an order if the given assignment fits better than the other by this share of both.
_CLEAR = 0.10


@dataclass
class Proof:
    """lies: one line each; measured and unmeasured: claims by name; captions: how many were read."""

    lies: list[str] = field(default_factory=list)
    measured: Counter[str] = field(default_factory=Counter)
    unmeasured: Counter[str] = field(default_factory=Counter)
    captions: int = 0

    def check(self, name: str, said: Any, facts: Mapping[str, Any], text: str) -> None:
        if name not in facts:
            self.unmeasured[name] += 1
            return
        self.measured[name] += 1
        if facts[name] != said:
            self.lies.append(f"{name} is said to be {said}, measured {facts[name]}: {text}")


class Prover:
    """Checks clips one after the other."""

    def __init__(self, moves: Catalogue, config: SceneConfig, lexicon: Lexicon, ids: dict[str, int]) -> None:
        self.moves, self.config, self.lexicon, self.ids = moves, config, lexicon, ids
        self.proof = Proof()

    def check(self, clip: Recording) -> None:
        """Add one clip's captions to the proof."""
        people = [[Act(**act) for act in person["acts"]] for person in clip.extra["people"]]
        script = clip.extra["script"]
        for text in clip.texts:
            self.proof.captions += 1
            if script in self.lexicon.words.together:
                self._together(clip, script, people, text.text)
            else:
                self._told(clip, script, people, text.text)

    def _told(self, clip: Recording, script: str | None, people: list[list[Act]], text: str) -> None:
        reading = self.lexicon.read(text)
        self._camera(clip, reading.camera, text)
        acts = [(0, act) for act in people[0]]
        if script in ("other", "fight"):
            acts = [(0, people[0][0]), (1, people[1][0])]
        if script == "stop_go":
            self._stops(clip, people[0], text)
            acts = acts[:1]
        clauses = self._matched(reading.clauses, [act for _, act in acts])
        if clauses is None:
            self.proof.lies.append(f"moves {[act.move for _, act in acts]} are not what is read: {text}")
            return
        below = any(act.below for _, act in acts)
        for (actor, act), clause in zip(acts, clauses, strict=True):
            over = below and not act.below
            joints = clip.joints[:, actor]
            facts = on_top(joints, act, people[actor], self.moves, clip.fps) if over else measure(joints, act, self.moves, clip.fps)
            if act.kind == "gesture" and self.moves.gestures[act.move].free and not over:
                speed = repeated_speed(clip.joints[:, actor], act, self.moves, clip.fps)
                facts = facts if speed is None else {**facts, "tempo": speed}
            self._claims(clause, act, facts, text)
        if script in ("same", "mirror"):
            self._others(clip, people, clauses[0], script, text)
        if reading.relation == "then" and script is None and len(acts) > 1:
            self._order(clip, [act for _, act in acts], text)
        if reading.relation == "while" and below:
            overlap = min(act.stop for _, act in acts) - max(act.start for _, act in acts)
            self.proof.check("while", True, {"while": overlap > 0.5}, text)

    def _claims(self, clause: Clause, act: Act, facts: Mapping[str, Any], text: str) -> None:
        implied = {"toward": "backward" if act.move == "walk_backward" else "forward", "end": "low" if act.kind == "into" else "upright",
                   "face": "up" if act.move.endswith("back") else "down", "over": "backward" if act.move == "backflip" else "forward"}  # fmt: skip
        for name, said in {**{n: v for n, v in implied.items() if n in facts}, **clause.claims}.items():
            if name == "path" and "path" not in facts:
                facts = {**facts, "path": "straight"} if act.kind == "gait" else facts
            self.proof.check(name, said, facts, text)

    def _matched(self, clauses: Sequence[Clause], acts: Sequence[Act]) -> Sequence[Clause] | None:
        """The clauses in the order of the acts; an overlap may name them either way round."""
        ways = [clauses] if not any(act.below for act in acts) else [clauses, clauses[::-1]]
        for way in ways:
            if len(way) == len(acts) and all((act.kind, act.move) in clause.moves for clause, act in zip(way, acts, strict=True)):
                return way
        return None

    def _others(self, clip: Recording, people: list[list[Act]], clause: Clause, script: str, text: str) -> None:
        """Everybody does what the one caption says, or its mirror image."""
        for actor, acts in enumerate(people[1:], start=1):
            facts = measure(clip.joints[:, actor], acts[0], self.moves, clip.fps)
            for name, said in clause.claims.items():
                swapped = {"left": "right", "right": "left"}.get(said, said) if script == "mirror" and name == "side" else said
                self.proof.check(name, swapped, facts, text)

    def _stops(self, clip: Recording, acts: list[Act], text: str) -> None:
        """Going, standing, going: by how fast the pelvis gets away."""
        pelvis = clip.joints[:, 0, 0][:, [0, 2]]
        spans = [pelvis[int(a.start * clip.fps) : int(a.stop * clip.fps)] for a in acts]
        speed = [float(np.sqrt(((s[-1] - s[0]) ** 2).sum())) / len(s) for s in spans]
        self.proof.check("stops", True, {"stops": speed[1] < 0.3 * min(speed[0], speed[2])}, text)

    def _order(self, clip: Recording, acts: list[Act], text: str) -> None:
        spans = [_signature(clip.joints[:, 0], act, clip.fps) for act in acts]
        alone = [self._alone(act, clip.fps) for act in acts]
        for n in range(len(acts) - 1):
            cost = np.array([[np.abs(spans[n + i] - alone[n + k]).sum() for k in range(2)] for i in range(2)])
            kept, swapped = cost[0, 0] + cost[1, 1], cost[0, 1] + cost[1, 0]
            if abs(swapped - kept) > _CLEAR * (swapped + kept):
                self.proof.check("order", True, {"order": bool(kept < swapped)}, text)
            else:
                self.proof.unmeasured["order"] += 1

    def _alone(self, act: Act, fps: float) -> np.ndarray:
        """The signature of the act when somebody else does nothing but it."""
        start = 0.4
        moved = replace(act, start=start, stop=start + act.stop - act.start)
        scene = Scene("single", (Person((0.0, 0.0, 0.0), (moved,)),), moved.stop + 0.4)
        rng = generator(0, "performed alone", act.kind, act.move, act.side or "", act.count)
        return _signature(play(scene, self.moves, self.config, rng, self.ids).joints[:, 0], moved, fps)

    def _camera(self, clip: Recording, camera: tuple[str, str] | None, text: str) -> None:
        if camera is None:
            return
        move, way = camera
        track = clip.camera
        facts: dict[str, Any] = {}
        if track is not None:
            change = track[-1] - track[0]
            said = {"pan": (0, "right", "left"), "zoom": (2, "in", "out"), "dolly": (2, "in", "out"), "crane": (1, "up", "down")}
            if move in said:
                axis, plus, minus = said[move]
                facts["camera"] = plus if change[axis] > 0 else minus
            elif move == "static":
                facts["camera"] = "" if np.ptp(track, axis=0).max() == 0 else "moves"
            elif move == "orbit":
                facts["camera"] = "" if clip.azimuth_rad is not None and np.ptp(clip.azimuth_rad) > 0.3 else "stays"
            else:
                facts["camera"] = ""
        self.proof.check("camera", way, facts, text)

    def _together(self, clip: Recording, script: str, people: list[list[Act]], text: str) -> None:
        camera, said = self.lexicon.camera(text.lower().rstrip("."))
        self._camera(clip, camera, text)
        claims = self.lexicon.claims("", said.split(",")[-1] if "," in said else said, sided=False)
        facts = together_facts(clip, script, people, self.moves)
        self.proof.check("together", script, facts, text)
        if "clockwise" in said:
            self.proof.check("round", "counterclockwise" if "counterclockwise" in said else "clockwise", facts, text)
        for name in ("count", "tempo"):
            if name in claims:
                self.proof.check(name, claims[name], facts, text)


def _signature(joints: np.ndarray, act: Act, fps: float) -> np.ndarray:
    """How the body [T, 22, 3] moves in an act's span: where hands and feet go, how far, how low, how much it turns, how its head moves."""
    first, last = max(int(act.start * fps), 0), min(int(act.stop * fps) + 1, len(joints))
    span = joints[first:last]
    body = own_frame(span)
    hands = body[:, [JOINT["left_wrist"], JOINT["right_wrist"]]] - body[:, [JOINT["left_shoulder"], JOINT["right_shoulder"]]]
    feet = body[:, [JOINT["left_foot"], JOINT["right_foot"]]] - body[:, :1]
    head = body[:, JOINT["head"]] - body[:, JOINT["neck"]]
    trunk = body[:, JOINT["neck"]] - body[:, 0]
    turned = heading(span)
    gone = body[-1, 0] - body[0, 0]
    return np.concatenate([
        hands.mean(0).ravel(), hands.std(0).ravel(), feet.std(0).ravel(), 3.0 * head.std(0), trunk.mean(0), trunk.std(0),
        2.0 * body[[0, -1], 0, 1], [2.0 * body[:, 0, 1].min()], gone, [0.5 * (turned[-1] - turned[0])],
        0.3 * np.abs(np.diff(hands, axis=0)).mean((0, 2)) * fps,
    ])  # fmt: skip


def together_facts(clip: Recording, script: str, people: list[list[Act]], moves: Catalogue) -> dict[str, Any]:
    """What two or three people are seen to do together: `together` is the script's name if its marks are there, else what is missing."""
    j, fps = clip.joints, clip.fps
    pelvis = j[:, :, 0][..., [0, 2]]
    apart = np.sqrt(((pelvis[:, 0] - pelvis[:, 1]) ** 2).sum(-1))
    wrist, chest = JOINT["right_wrist"], JOINT["spine3"]
    facts: dict[str, Any] = {}
    walker = people[0][0]
    if script in ("shake_hands", "high_five", "give"):
        gap = np.sqrt(((j[:, 0, wrist] - j[:, 1, wrist]) ** 2).sum(-1))
        met = gap < MEETING_M[script]
        height = j[:, 0, wrist, 1] - j[:, :2, JOINT["right_shoulder"], 1].mean(1)
        high = bool(met.any()) and float(height[met].max()) > 0.0
        facts["together"] = script if met.any() and high == (script == "high_five") else "hands do not meet"
        if script == "shake_hands" and met.any():
            facts["count"] = _bounces(j[met, 0, wrist, 1])
    elif script == "hug":
        reach = [
            np.sqrt(((j[:, a, [wrist, JOINT["left_wrist"]]] - j[:, 1 - a, chest, None][:, 0][:, None]) ** 2).sum(-1)).max(1) for a in (0, 1)
        ]
        facts["together"] = "hug" if min(r.min() for r in reach) < 0.2 and apart.min() < 0.55 else "no embrace"
    elif script == "push":
        facts["together"] = "push" if apart[-1] > apart[0] + 0.3 else "nobody steps back"
    elif script == "meet":
        facts["together"] = "meet" if apart[-1] < apart[0] - 0.8 else "nobody comes closer"
    elif script in ("follow", "trio_follow"):
        way = pelvis[-1, 0] - pelvis[0, 0]
        behind = ((pelvis[len(pelvis) // 2, :-1] - pelvis[len(pelvis) // 2, 1:]) @ way) / max(float(np.sqrt((way**2).sum())), 1e-9)
        facts["together"] = script if (behind > 0.5).all() else "not one behind the other"
    elif script == "circle":
        line = pelvis[:, 0] - pelvis[:, 1]
        round_rad = np.unwrap(np.arctan2(line[:, 0], line[:, 1]))
        facts["together"] = "circle" if abs(round_rad[-1] - round_rad[0]) > 4.5 else "no circle"
        facts["round"] = "counterclockwise" if round_rad[-1] > round_rad[0] else "clockwise"
    elif script == "talk":
        moved = [float(np.abs(np.diff(j[:, a, [wrist, JOINT["left_wrist"]]], axis=0)).max()) * fps for a in (0, 1)]
        facts["together"] = "talk" if min(moved) > 0.5 else "somebody is silent"
    if walker.kind == "gait":
        facts |= {k: v for k, v in measure(j[:, 0], walker, moves, fps).items() if k == "tempo"}
    elif script == "shake_hands" and facts.get("count", 0) >= 2:
        facts["tempo"] = walker.tempo
    return facts


def _bounces(height: np.ndarray) -> int:
    """How often a signal goes up by a third of its range and comes down again."""
    s = (height - height.min()) / max(float(np.ptp(height)), 1e-9)
    rising, turning, count = True, float(s[0]), 0
    for value in s:
        if rising:
            turning = min(turning, value)
            if value > turning + 0.34:
                rising, turning, count = False, float(value), count + 1
        else:
            turning = max(turning, value)
            if value < turning - 0.34:
                rising, turning = True, float(value)
    return count
