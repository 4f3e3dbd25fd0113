"""One row of a table: a set of motions with captions, measured in every way against a reference set of real clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from stickgen_core.curation.config import ScoresConfig
from stickgen_core.evaluation import chance
from stickgen_core.evaluation.artefacts import artefact_score, artefacts, realism
from stickgen_core.evaluation.config import EvaluationConfig, LimitsConfig
from stickgen_core.evaluation.distances import fid, kid
from stickgen_core.evaluation.evaluator import Evaluator
from stickgen_core.evaluation.intervals import Measure, bootstrap, not_computed, t_interval, wilson
from stickgen_core.evaluation.items import Items
from stickgen_core.evaluation.kinematics import (
    Anatomy,
    Motion,
    energy,
    foot_slide,
    ground_depth,
    jerk,
    overshoot,
    plausible_share,
    ratio,
    temporal_consistency,
    torn_joints,
)
from stickgen_core.evaluation.kinetics import kinetic_distance, kinetic_features
from stickgen_core.evaluation.retrieval import (
    alignment,
    full_retrieval,
    matching_distance,
    near_duplicates,
    r_precision,
)
from stickgen_core.evaluation.spread import diversity
from stickgen_core.skeleton.sticks import layout_of_width

Kind = str  # "honesty" or "model"


@dataclass(frozen=True)
class Row:
    """One line of a results table.

    expected           what an evaluator that works must show here, in words; empty for models
    measures           with intervals over items, of the first repetition
    over_repetitions   mean over sampling repetitions with t intervals; never merged with the intervals over items
    """

    name: str
    title: str
    kind: Kind
    measures: Mapping[str, Measure]
    expected: str = ""
    over_repetitions: Mapping[str, Measure] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "title": self.title, "kind": self.kind, "expected": self.expected,
            "measures": {k: m.as_json() for k, m in self.measures.items()},
            "over_repetitions": {k: m.as_json() for k, m in self.over_repetitions.items()},
        }  # fmt: skip


def per_clip(
    items: Items, limits: LimitsConfig, scores: ScoresConfig, longest_m: np.ndarray, fps: float, real_jerk: float | None = None
) -> dict[str, np.ndarray]:  # fmt: skip
    """Every stick-native number of every clip: name -> [N]; with the real median jerk also the realism."""
    layout = layout_of_width(items.motions[0].shape[-1])
    anatomy = Anatomy.of(layout)
    clips = _motions(items)
    found = artefacts(items.motions, items.present, layout, scores)
    numbers = {
        "jerk": [jerk(clip, fps) for clip in clips],
        "energy": [energy(clip, fps) for clip in clips],
        "foot_slide": [foot_slide(clip, anatomy, fps, limits.contact_height_m, limits.contact_speed_m_s) for clip in clips],
        "ground_depth": [ground_depth(clip) for clip in clips],
        "overshoot": [overshoot(clip, longest_m) for clip in clips],
        "torn_joints": [torn_joints(clip, anatomy) for clip in clips],
        "frozen": found["static"].astype(float),
        "temporal_consistency": [temporal_consistency(clip) for clip in clips],
        "physics_consistency": [plausible_share(clip, anatomy, fps, limits.speed_m_s, limits.acceleration_m_s2) for clip in clips],
        "artefact_score": artefact_score(found),
    }
    measured = {name: np.asarray(values, np.float64) for name, values in numbers.items()}
    if real_jerk:
        measured["realism"] = realism(measured["jerk"], real_jerk, measured["artefact_score"], measured["physics_consistency"])
    return measured


@dataclass(frozen=True)
class Judge:
    """What every row is measured with: the evaluator, the settings, the real clips to compare with, and curation's rules for artefacts."""

    evaluator: Evaluator
    config: EvaluationConfig
    reference: Items
    fps: float
    scores: ScoresConfig = ScoresConfig()

    @cached_property
    def features(self) -> np.ndarray:
        """Motion features of the reference, [M,D]."""
        return self.evaluator.embed_motions(self.reference)

    @cached_property
    def real(self) -> dict[str, np.ndarray]:
        return per_clip(self.reference, self.config.limits, self.scores, self.evaluator.longest_m, self.fps)

    @cached_property
    def real_jerk(self) -> float:
        """Median jerk of real clips that move, m/s³."""
        moving = self.real["jerk"][self.real["jerk"] > 0]
        return float(np.median(moving)) if len(moving) else 1.0

    @cached_property
    def real_diversity(self) -> Measure:
        return diversity(self.features, self.config.diversity_pairs, seed=self.config.seed, resamples=self.config.resamples)

    @cached_property
    def same_caption(self) -> float:
        """Cosine above which captions count as duplicates: what two captions of one training clip reach."""
        return float(self.evaluator.card.get("same_caption", self.config.evaluator.same_caption))

    @cached_property
    def kinetics(self) -> np.ndarray:
        """Kinetic features of the reference, [M,K]."""
        return kinetic_features(_motions(self.reference), self.fps)

    def measure(self, items: Items, against: Items | None = None) -> dict[str, Measure]:
        """Every measure of a set; `against` takes the reference's place in the distances (disjoint halves)."""
        c = self.config
        draws: dict[str, Any] = {"seed": c.seed, "resamples": c.resamples}
        motion, text = self.evaluator.embed_motions(items), self.evaluator.embed_texts(items.captions)
        real = self.features if against is None else self.evaluator.embed_motions(against)
        found = {"kid": kid(motion, real), "fid": fid(motion, real, c.fid_minimum)}
        moving = self.kinetics if against is None else kinetic_features(_motions(against), self.fps)
        found["kinetic_distance"] = kinetic_distance(kinetic_features(_motions(items), self.fps), moving)
        found |= r_precision(text, motion, size=c.pool, reshuffles=c.reshuffles, **draws)
        found |= full_retrieval(text, motion, near_duplicates(text, items.captions, self.same_caption), **draws)
        found["mm_dist"] = matching_distance(text, motion, **draws)
        found["text_alignment"] = alignment(text, motion, **draws)
        found["diversity"] = diversity(motion, c.diversity_pairs, **draws)
        found["diversity_to_real"] = relative(found["diversity"], self.real_diversity)
        found |= self.actions(items)
        found |= self.kinematics(items)
        return found

    def actions(self, items: Items) -> dict[str, Measure]:
        """Share of clips whose motion the classifier gives the action that was asked for, and what the captions had to do with it."""
        known = items.actions >= 0
        asked = items.actions[known]
        shown = self.evaluator.name_actions(items)[known]
        found = chance.influence(asked, shown, seed=self.config.seed, resamples=self.config.resamples)
        if not known.any():
            return {"action_accuracy": not_computed("not computed: no clip has an action", unit="share"), **found}
        return {"action_accuracy": wilson(float((shown == asked).sum()), int(known.sum())), **found}

    def kinematics(self, items: Items) -> dict[str, Measure]:
        c = self.config
        values = per_clip(items, c.limits, self.scores, self.evaluator.longest_m, self.fps, self.real_jerk)
        found = {"jerk_ratio": ratio(values["jerk"], self.real["jerk"]), "energy_ratio": ratio(values["energy"], self.real["energy"])}
        units = {"foot_slide": "m/s", "ground_depth": "m", "overshoot": "share of length", "torn_joints": "m", "frozen": "share of clips",
                 "temporal_consistency": "correlation", "physics_consistency": "share of frames", "artefact_score": "0..1", "realism": "0..1"}  # fmt: skip
        for name, unit in units.items():
            found[name] = bootstrap(values[name], c.seed, name, c.resamples, unit)
        return found

    def chance(self, items: Items) -> dict[str, float]:
        """What a row that knows nothing scores: by the pool's size, and by the best answer that ignores the caption."""
        found = {f"r_precision_{way}_{k}": k / self.config.pool for way in ("text_to_motion", "motion_to_text") for k in (1, 2, 3)}
        known = items.actions[items.actions >= 0]
        if len(known):
            found["action_accuracy"] = chance.commonest(known)
            found["action_accuracy_uniform"] = 1 / len(self.evaluator.actions)
        return found


def _motions(items: Items) -> list[Motion]:
    return [Motion.of(motion, present) for motion, present in zip(items.motions, items.present, strict=True)]


def relative(value: Measure, real: Measure) -> Measure:
    """A measure as a multiple of the real set's."""
    if value.value is None or not real.value:
        return not_computed("not computed: the real set has none", value.n, unit="x real")
    scaled = [None if v is None else v / real.value for v in (value.value, value.low, value.high)]
    return Measure(scaled[0], scaled[1], scaled[2], value.n, "x real", value.over)


def over_repetitions(repetitions: Sequence[Mapping[str, Measure]]) -> dict[str, Measure]:
    """Mean and t interval of each measure over sampling repetitions; measures that were not computed stay so."""
    found = {}
    for name, first in repetitions[0].items():
        values = [r[name].value for r in repetitions]
        if any(v is None for v in values):
            found[name] = not_computed(first.note, first.n, first.unit)
        else:
            found[name] = t_interval(np.array(values, np.float64), "repetitions", first.unit)
    return found
