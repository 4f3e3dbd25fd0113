"""A scene played out: every person's track written, all bodies solved together, the spans of the actions kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from stickgen_core.sources.recording import Label
from stickgen_core.sources.synthetic.acts import Act, action_of, write
from stickgen_core.sources.synthetic.catalogue import Catalogue, Value, channels_of
from stickgen_core.sources.synthetic.channels import INDEX, SIDES
from stickgen_core.sources.synthetic.life import enliven
from stickgen_core.sources.synthetic.pose import Controls, Meeting, solve
from stickgen_core.sources.synthetic.scene import Person, Scene, SceneConfig
from stickgen_core.sources.synthetic.shape import draw_shape
from stickgen_core.sources.synthetic.track import Track, envelope, pulses

# The mood's pose is laid aside while the body is far from upright, where it would press joints into the ground.
_UPRIGHT_PITCH = 0.9
# How much of their footwork strikers and dancers do beside others.
_ROOM_IN_COMPANY = 0.3


@dataclass(frozen=True)
class Played:
    """joints [T, A, 22, 3] metres; planted [T, A, 2]: feet that a step or a stance keeps where they are."""

    joints: np.ndarray
    planted: np.ndarray
    labels: tuple[Label, ...]
    statures_m: tuple[float, ...]


def play(scene: Scene, moves: Catalogue, config: SceneConfig, rng: np.random.Generator, ids: dict[str, int]) -> Played:
    """Joints and labels of a scene at the configured rate."""
    frames = int(round(scene.seconds * config.fps))
    t = np.arange(frames) / config.fps
    people: list[Controls] = []
    labels: list[Label] = []
    meetings: list[Meeting] = []
    for a, person in enumerate(scene.people):
        track = Track(draw_shape(rng), t, person.place)
        ordered = sorted(person.acts, key=lambda act: not act.below)
        settled = [act for act in ordered if act.kind in ("hold", "outof")]
        for act in [*settled, *(act for act in ordered if act not in settled)]:
            act = replace(act, size=act.size * (config.styles[person.style].size if person.style else 1.0))
            if act.kind == "together":
                track.busy(act.start, act.stop)
                meetings += _together(track, act, a, t)
            else:
                write(track, act, moves, rng, _room(scene, person))
        if person.style:
            _mood(track, channels_of(_both(config.styles[person.style].pose), None))
        enliven(track, rng)
        people.append(track.controls())
        labels += _labels(person.acts, scene, a, moves, ids)
    joints = solve(people, tuple(meetings))
    planted = np.stack([p.planted for p in people], axis=1)
    return Played(joints, planted, tuple(labels), tuple(p.shape.stature for p in people))


def _room(scene: Scene, person: Person) -> float:
    """Share of the footwork of a person's acts: none over a gait or a seat, little beside others."""
    if any(act.below or act.kind in ("hold", "outof") for act in person.acts):
        return 0.0
    return 1.0 if len(scene.people) == 1 else _ROOM_IN_COMPANY


def _both(pose: Mapping[str, Value]) -> dict[str, Value]:
    """The mood's limb channels mean both sides."""
    return {(f"both_{n}" if n in ("shrug", "elbow", "hand", "knee") else n): v for n, v in pose.items()}


def _mood(track: Track, pose: dict[str, float]) -> None:
    lying = np.abs(track.channels[:, INDEX["pelvis_pitch"]]) / _UPRIGHT_PITCH
    weight = (1.0 - np.minimum(lying, 1.0) ** 3) ** 3
    track.blend(weight, pose, add=True)


def _together(track: Track, act: Act, actor: int, t: np.ndarray) -> list[Meeting]:
    """Hands that meet the partner's: the first person's are told to, the second's come half-way."""
    on = envelope(t, act.start, act.stop, 0.5, 0.5)
    other = 1 - actor
    if act.move == "hug":
        # Arms open first, then close round the partner: straight to the back they would go through the ribs.
        open_s, hold_s = envelope(t, act.start, act.stop, 0.6, 0.8), envelope(t, act.start + 0.4, act.stop - 0.1, 0.7, 0.7)
        wide = {f"hand_{s}_{x}": v for s in SIDES for x, v in (("x", 0.50), ("y", 0.02), ("z", 0.62))}
        track.blend(open_s, {**wide, "head_roll": 0.18, "elbow_left": 0.9, "elbow_right": 0.9})
        track.blend(open_s, {"spine_pitch": 0.06}, add=True)
        return [
            Meeting(actor, side, other, "spine3", hold_s, behind=0.12, aside=aside) for side, aside in (("left", -0.07), ("right", 0.07))
        ]
    reach = {"shake_hands": (-0.28, -0.38, 0.72), "high_five": (-0.20, 0.42, 0.72), "give": (-0.26, -0.12, 0.78)}[act.move]
    track.blend(on, {f"hand_right_{x}": v for x, v in zip("xyz", reach, strict=True)})
    track.blend(on, {"spine_pitch": 0.08}, add=True)
    meet = envelope(t, act.start + 0.15, act.stop - 0.1, 0.4, 0.4)
    if act.move == "shake_hands":
        shake = pulses(t, act.start + 0.5, 0.5 * act.factor, act.count)
        track.blend(shake, {"hand_right_y": 0.28}, add=True)
    if act.move == "give" and actor == 1:
        track.blend(envelope(t, act.stop - 0.9, np.inf, 0.6, 0.0), {"hand_right_y": -0.45, "hand_right_z": 0.35})
        return []
    return [Meeting(0, "right", 1, "right_wrist", meet)] if actor == 0 else []


def _labels(acts: tuple[Act, ...], scene: Scene, actor: int, moves: Catalogue, ids: dict[str, int]) -> list[Label]:
    """Standing underneath; then what goes on below; then acts in their order: the later one wins."""
    end = scene.seconds
    settled = next((act for act in acts if act.kind == "hold"), None)
    ground = action_of(settled, moves) if settled else "stand"
    out = [Label(ids[ground], 0.0, end, actor)]
    for act in sorted(acts, key=lambda act: not act.below):
        if act.kind == "together":
            name = {"high_five": "shake_hands"}.get(act.move, act.move)
        else:
            name = action_of(act, moves)
        out.append(Label(ids[name], max(act.start, 0.0), min(act.stop, end), actor))
        if act.kind == "into" and act.stop < end:
            out.append(Label(ids[moves.postures[act.move].hold], act.stop, end, actor))
        if act.kind == "outof" and act.start > 0:
            out.append(Label(ids[moves.postures[act.move].hold], 0.0, act.start, actor))
    return out
