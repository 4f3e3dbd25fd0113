"""The synthetic source as a reader: clip i comes from (seed, i) alone, in blocks, from no files at all."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from stickgen_core.config import Section
from stickgen_core.errors import BadRecording, ConfigError
from stickgen_core.records.seeds import generator
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.reader import Discovery, Unit
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.synthetic.acts import Act
from stickgen_core.sources.synthetic.camera import draw_shot
from stickgen_core.sources.synthetic.captions import captions
from stickgen_core.sources.synthetic.catalogue import Catalogue
from stickgen_core.sources.synthetic.checks import faults
from stickgen_core.sources.synthetic.compose import draw_minimal_pair, draw_scene, matching_rule
from stickgen_core.sources.synthetic.scene import Scene, SceneConfig, moves_of
from stickgen_core.sources.synthetic.stage import Played, play
from stickgen_core.sources.synthetic.truth import untrue
from stickgen_core.sources.synthetic.words import grammar

# A proposal that breaks a rule is drawn again; so many in a row means that the moves are wrong, not the draw.
ATTEMPTS = 12
_KEPT_PROPOSALS = 4
# What a clip of 150 frames takes in a corpus: generated units have no files whose size tells how to share them among workers.
_CLIP_BYTES = 57_500


class SyntheticOptions(Section):
    """`options` of configs/datasets/synthetic.yaml.

    clips     how many in all      block   clips in one unit      min_s, max_s   what scenes are drawn to last, roughly
    actions   what ordinary scenes are drawn from, none for all; the held-out pairs are the same either way
    kinds     shares of single, sequence, overlap, pair and trio, none for those of configs/synthetic/scenes.yaml
    """

    clips: int = Field(gt=0)
    seed: int
    block: int = Field(gt=0)
    min_s: float = Field(gt=0)
    max_s: float = Field(gt=0)
    actions: tuple[str, ...] = ()
    kinds: Mapping[str, float] = Field(default_factory=dict)


def narrowed(config: SceneConfig, moves: Catalogue, options: SyntheticOptions) -> SceneConfig:
    """What scenes are drawn from, after the options; a name that nothing answers to is an error."""
    for key, given, known in (("actions", options.actions, moves.action_names), ("kinds", tuple(options.kinds), tuple(config.kinds))):
        for name in given:
            if name not in known:
                near = get_close_matches(name, known, 1)
                raise ConfigError(f"synthetic {key}: {name!r} is unknown" + (f"; did you mean {near[0]!r}?" if near else ""))
    if options.kinds and abs(sum(options.kinds.values()) - 1) > 1e-9:
        raise ConfigError(f"synthetic kinds: shares add up to {sum(options.kinds.values()):g}, expected 1")
    return config.model_copy(update={"actions": options.actions, "kinds": dict(options.kinds) or config.kinds})


class SyntheticReader:
    """Reads from a generator as other readers read from files."""

    version = 3

    def __init__(self, spec: SourceSpec) -> None:
        self.spec = spec
        self.options = SyntheticOptions.model_validate(dict(spec.options))
        self.moves, config = moves_of()
        self.config = narrowed(config, self.moves, self.options)
        self.words = grammar()
        self.ids = load_actions().ids
        self._twins: dict[tuple[int, int], tuple[Scene, Played, list[tuple[str, float, float]]]] = {}

    def discover(self, raw: Path) -> Discovery:
        """Blocks of consecutive indices; the raw folder need not exist."""
        o = self.options
        starts = range(0, o.clips, o.block)
        blocks = [(start, min(start + o.block, o.clips)) for start in starts]
        return Discovery(tuple(Unit(f"{a:06d}", (), {"start": a, "stop": b}, bytes=(b - a) * _CLIP_BYTES) for a, b in blocks))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        for index in range(int(unit.detail["start"]), int(unit.detail["stop"])):
            yield self.clip(index)

    def clip(self, index: int) -> Recording:
        """The accepted clip of an index, the same whatever was made before it."""
        for attempt in range(ATTEMPTS):
            scene, played, wrong = self.propose(index, attempt)
            if not wrong and self._twin_holds(index, attempt):
                return self._recording(index, attempt, scene, played)
        raise BadRecording("no_valid_scene", f"clip {index}: {ATTEMPTS} proposals broke a rule, the last {wrong[0][0]}")

    def _twin_holds(self, index: int, attempt: int) -> bool:
        """Whether the other clip of a minimal pair is accepted at the same attempt: both come from one draw, or neither does."""
        place = index % self.config.pair_every
        if place < self.config.pair_every - 2:
            return True
        return not self.propose(index + (1 if place == self.config.pair_every - 2 else -1), attempt)[2]

    def propose(self, index: int, attempt: int) -> tuple[Scene, Played, list[tuple[str, float, float]]]:
        """One proposal with the rules it breaks. Twins draw the same scene and the same body, and differ where they are told to.

        The last few proposals of twins are kept, because each of a pair asks for the other's.
        """
        if index % self.config.pair_every < self.config.pair_every - 2:
            return self._proposal(index, attempt)
        if (index, attempt) not in self._twins:
            if len(self._twins) >= _KEPT_PROPOSALS:
                self._twins.pop(next(iter(self._twins)))
            self._twins[index, attempt] = self._proposal(index, attempt)
        return self._twins[index, attempt]

    def _proposal(self, index: int, attempt: int) -> tuple[Scene, Played, list[tuple[str, float, float]]]:
        every, o = self.config.pair_every, self.options
        place = index % every
        second = place == every - 1
        root = index - 1 if second else index
        rng = generator(o.seed, "synthetic", root, attempt)
        seconds = (o.min_s, o.max_s)
        if place >= every - 2:
            scene = draw_minimal_pair(rng, self.moves, self.config, seconds, second)
        else:
            scene = draw_scene(rng, self.moves, self.config, seconds)
        body = generator(o.seed, "synthetic body", root, attempt)
        played = play(scene, self.moves, self.config, body, self.ids)
        wrong = faults(played.joints, played.planted, self.config.fps)
        if len(played.joints) < o.min_s * self.config.fps:
            wrong.append(("short_s", len(played.joints) / self.config.fps, o.min_s))
        wrong += [("untrue", 1.0, 0.0) for _ in untrue(scene, played.joints, self.moves, self.config.fps)]
        return scene, played, wrong

    def _recording(self, index: int, attempt: int, scene: Scene, played: Played) -> Recording:
        every, seed = self.config.pair_every, self.options.seed
        twin = index % every == every - 1
        rng = generator(seed, "synthetic words", index)
        pelvis = played.joints[:, :, 0].mean(1)
        plane = np.stack([(pelvis[:, 0] + pelvis[:, 2]) * np.sqrt(0.5), pelvis[:, 1]], -1)
        shot = draw_shot(generator(seed, "synthetic camera", index), plane, 0.0 if scene.held else self.config.camera)
        rule = scene.rule if scene.held else matching_rule(scene, self.config)
        people = tuple(str(n) for n in range(len(scene.people)))
        return Recording(
            key=f"{index:06d}", origin=f"synthetic/{index - 1 if twin else index:06d}", file=f"generated/{index:06d}",
            fps=self.config.fps, joints=played.joints, present=np.ones(played.joints.shape[:2], bool), people=people,
            texts=captions(scene, shot, self.moves, self.config, self.words, rng), labels=played.labels,
            camera=shot.track, azimuth_rad=shot.azimuth_rad,
            official_split="test" if rule >= 0 else None, protocol="compositional" if rule >= 0 else None,
            extra=self._extra(scene, played, rule, twin, attempt, index, shot.move),
        )  # fmt: skip

    def _extra(self, scene: Scene, played: Played, rule: int, twin: bool, attempt: int, index: int, camera: str) -> dict[str, Any]:
        extra: dict[str, Any] = {
            "kind": scene.kind, "script": scene.script, "camera_move": camera, "attempt": attempt,
            "split_hint": "compositional" if rule >= 0 else "train",
            "people": [{"style": p.style, "acts": [_plain(a) for a in p.acts]} for p in scene.people],
            "stature_m": [round(s, 4) for s in played.statures_m],
        }  # fmt: skip
        if scene.people[0].style:
            extra["emotion"] = scene.people[0].style
        if rule >= 0:
            extra["held_out"] = {"rule": rule, "flip": scene.twin}
        if scene.held:
            extra["minimal_twin"] = f"{index - 1 if twin else index + 1:06d}"
        return extra


def _plain(act: Act) -> dict[str, Any]:
    values = ((name, getattr(act, name)) for name in _ACT_FIELDS)
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in values if v not in (None, False)}


_ACT_FIELDS = tuple(f.name for f in fields(Act))
