"""Evaluators that check the one that judges: other seeds, joints instead of sticks, and a control that was taught wrong captions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stickgen_core.corpus import Corpus
from stickgen_core.evaluation.config import EvaluationConfig
from stickgen_core.evaluation.evaluator import Evaluator, load_evaluator
from stickgen_core.evaluation.items import Items, Progress
from stickgen_core.evaluation.judge import Judge
from stickgen_core.evaluation.ranking import RANKED
from stickgen_core.evaluation.teaching import train_evaluator
from stickgen_core.records.digests import digest_entries
from stickgen_core.records.manifest import FileRecord, Manifest, read_manifest, write_manifest

SEED, JOINTS, CONTROL = "seed", "joints", "control"
# What the panel says of each member: how well it judges real clips that it never saw.
TOLD = ("r_precision_text_to_motion_1", "r_precision_text_to_motion_3", "r_precision_motion_to_text_3")


@dataclass(frozen=True)
class Member:
    """One evaluator of the panel and what it differs in."""

    name: str
    seed: int
    joints: bool = False
    shuffled: bool = False


def members(config: EvaluationConfig) -> tuple[Member, ...]:
    """Who sits on the panel; the evaluator that judges is not among them."""
    others = tuple(seed for seed in config.seeds if seed != config.seed)[: config.evaluator.seeds - 1]
    return (
        *(Member(f"{SEED}_{seed}", seed) for seed in others),
        *((Member(JOINTS, config.seed, joints=True),) if config.panel.joints else ()),
        *((Member(CONTROL, config.seed, shuffled=True),) if config.panel.control else ()),
    )


def train_panel(
    corpus: Corpus, config: EvaluationConfig, into: Path, *, name: str, recipe: str, parents: Mapping[str, str], progress: Progress = None
) -> Manifest:  # fmt: skip
    """Teach every member (a finished one is kept) and publish what each scores on held-out real clips."""
    into.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {}
    digests: dict[str, str] = {}
    files: dict[str, FileRecord] = {}
    for member in members(config):
        own = config
        if member.joints:
            own = config.model_copy(update={"evaluator": config.evaluator.model_copy(update={"representation": "joints"})})
        folder = into / member.name
        evaluator = train_evaluator(
            corpus, own, folder, name=f"{name}/{member.name}", seed=member.seed, shuffle_captions=member.shuffled, progress=progress
        )
        digests[member.name] = evaluator.digest
        files |= {f"{member.name}/{path}": record for path, record in read_manifest(folder).files.items()}
        held_out = evaluator.card.get("held_out", {})
        told[member.name] = {key: held_out[key] for key in ("n", "action_accuracy", "note", *TOLD) if key in held_out}
    digest = digest_entries("panel.v1", digests.items())
    manifest = Manifest(name=name, kind="panel", digest=digest, recipe=recipe, parents=dict(parents), counts={"evaluators": len(digests)},
                        files={path: FileRecord(record.bytes, record.sha256) for path, record in files.items()},
                        notes={"members": told, "digests": digests}, made={})  # fmt: skip
    write_manifest(into, manifest)
    return manifest


@dataclass(frozen=True)
class Panel:
    """The members that can judge sticks, and what all of them score on real clips."""

    judges: Mapping[str, Evaluator]
    held_out: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> "Panel":
        manifest = read_manifest(folder)
        names = [name for name in manifest.notes["members"] if name.startswith(SEED)]
        return cls({name: load_evaluator(folder / name) for name in names}, manifest.notes["members"])


def second_opinions(panel: Panel, judge: Judge, drawn: Items, own: Mapping[str, Any]) -> dict[str, Any]:
    """What the other seeds say of the same samples, beside what the judging evaluator says: name -> measure -> value."""
    found = {f"{SEED}_{judge.evaluator.card.get('seed')}": {name: own[name].as_json()["value"] for name in RANKED if name in own}}
    for name, evaluator in panel.judges.items():
        measured = Judge(evaluator, judge.config, judge.reference, judge.fps, judge.scores).measure(drawn)
        found[name] = {key: measured[key].as_json()["value"] for key in RANKED}
    return found
