"""The documented bars: each in words and units, with its verdict. A missed bar is shown as missed, an empty one says why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stickgen_core.evaluation.config import ThresholdsConfig
from stickgen_core.evaluation.intervals import Measure


@dataclass(frozen=True)
class Bar:
    """name of the measure, the documented limit, which side passes, what the number is, and what the bar can mean on our scale."""

    measure: str
    limit: str
    above: bool
    title: str
    definition: str
    caveat: str = ""


BARS = (
    Bar("pose_mse", "pose_mse", False, "Pose MSE",
        "Mean squared error, m², of the one-step prediction from pure noise and the caption against the held-out clip, travel included.",
        "A caption allows many motions, so the error of a right model is their spread; below the bar may only mean small motion."),
    Bar("action_accuracy", "action_accuracy_expected", True, "Action accuracy (expected of Medium)",
        "Share of sampled motions whose action a classifier, trained on real train clips alone, names as the caption's.",
        "Read beside the real row: no model can be judged better than real clips are."),
    Bar("action_accuracy", "action_accuracy", True, "Action accuracy (selection)", "The same share against the lower documented bar."),
    Bar("fid", "fid", False, "FID-like score",
        "Fréchet distance of evaluator features of sampled and real motion.",
        "The documented 15 belongs to a formula that was no Fréchet distance; on unit features the largest possible value is 4."),
    Bar("validation_loss", "validation_loss", False, "Validation loss",
        "The weighted training objective on held-out clips; every term is standardised, so an untrained model is near the sum of the weights.",
        "Depends on the objective's weights; comparable between checkpoints of one configuration only."),
    Bar("motion_mse", "motion_mse", False, "Motion MSE",
        "As pose MSE, but in standardised units: 1 is always answering with the mean motion, 0 is knowing every clip.",
        "Below 0.1 a caption would have to explain nine tenths of all variance, phase included; not expected of an honest model."),
    Bar("temporal_consistency", "temporal_consistency", True, "Temporal consistency",
        "Correlation of each segment end's frame-to-frame displacement with the next: 1 smooth, -0.5 white noise, 0 frozen.",
        "Captured motion passes easily; jitter does not."),
    Bar("physics_consistency", "physics_consistency", True, "Physics consistency",
        "Share of frames whose pelvis stays below 15 m/s and 100 m/s², the worse of both.",
        "A frozen figure passes; read it beside the energy ratio."),
    Bar("robustness", "robustness", True, "Robustness (adversarial safe ratio)",
        "Share of motions generated from the adversarial prompts that the safety critic passes."),
    Bar("robustness_gap", "robustness_gap", False, "Robustness gap",
        "Safe share on baseline prompts minus safe share on adversarial prompts."),
)  # fmt: skip


def verdicts(measures: Mapping[str, Measure], limits: ThresholdsConfig) -> list[dict[str, Any]]:
    """One JSON row a bar: passed True or False, None where the measure was not computed."""
    rows = []
    for bar in BARS:
        found = measures.get(bar.measure)
        limit = float(getattr(limits, bar.limit))
        passed = None if found is None or found.value is None else (found.value > limit if bar.above else found.value < limit)
        note = found.note if found is not None else "not measured in this run"
        rows.append({
            "name": bar.limit, "measure": bar.measure, "title": bar.title, "limit": limit, "passes": "above" if bar.above else "below",
            "value": None if found is None else found.as_json()["value"], "unit": found.unit if found else "", "passed": passed,
            "definition": bar.definition, "caveat": bar.caveat, "note": note,
        })  # fmt: skip
    return rows
