"""The evaluator as an artefact: what judges, exactly. Embeds motions and captions, names actions, and refuses what it was not made for."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.evaluation.config import EvaluatorConfig
from stickgen_core.evaluation.items import Items
from stickgen_core.evaluation.network import ActionClassifier, TextMotion
from stickgen_core.evaluation.patches import Scale, in_batches
from stickgen_core.evaluation.retrieval import unit_vectors
from stickgen_core.evaluation.states import TokenStates, states_of
from stickgen_core.evaluation.words import Vocabulary
from stickgen_core.records.digests import digest_fields, digest_file
from stickgen_core.records.manifest import FileRecord, Manifest, manifest_path, read_manifest, write_manifest
from stickgen_core.records.publish import publish_text, publishing

WEIGHTS_NAME = "evaluator.pth"
CARD_NAME = "evaluator.json"


@dataclass(frozen=True)
class Evaluator:
    """Both networks with everything that they need to judge.

    actions   classifier output -> action id of configs/actions.yaml (those with training clips)
    card      JSON values that say how it was made: config, seed, corpus, validation
    """

    network: TextMotion
    classifier: ActionClassifier
    vocabulary: Vocabulary
    scale: Scale
    actions: tuple[int, ...]
    longest_m: np.ndarray
    config: EvaluatorConfig
    card: dict[str, Any]
    states: TokenStates | None = None

    @property
    def digest(self) -> str:
        """Over weights, scale, vocabulary and configuration."""
        arrays = {f"network.{k}": v.numpy() for k, v in self.network.state_dict().items()}
        arrays |= {f"classifier.{k}": v.numpy() for k, v in self.classifier.state_dict().items()}
        arrays |= {"mean": self.scale.mean, "std": self.scale.std, "longest_m": self.longest_m}
        config = self.config.model_dump(mode="json", exclude={"text_branch"})
        told: dict[str, Any] = {"config": config, "words": self.vocabulary.words, "actions": self.actions}
        if self.states is not None:
            told["text_branch"] = self.states.digest
        return digest_fields("evaluator.v1", arrays, told)

    def embed_motions(self, items: Items, batch: int = 64) -> np.ndarray:
        """Unit vectors of motions: [N,D] float64."""
        found = []
        with torch.no_grad():
            for patches in in_batches(
                items.motions, items.present, self._scale_for(items), self.config.patch_frames, self.config.max_actors, batch
            ):
                found.append(self.network.encode_motion(*patches.inputs())[0].double().numpy())
        return unit_vectors(np.concatenate(found))

    def embed_texts(self, captions: Sequence[str], batch: int = 256) -> np.ndarray:
        """Unit vectors of captions: [N,D] float64; an empty caption has one too."""
        distinct = list(dict.fromkeys(captions))
        found = []
        with torch.no_grad():
            for start in range(0, len(distinct), batch):
                told = distinct[start : start + batch]
                numbers, valid = self.states.states(told) if self.states else self.vocabulary.numbers(told)
                found.append(self.network.encode_text(torch.from_numpy(numbers), torch.from_numpy(valid))[0].double().numpy())
        place = {caption: row for row, caption in enumerate(distinct)}
        return unit_vectors(np.concatenate(found))[[place[c] for c in captions]]

    def name_actions(self, items: Items, batch: int = 64) -> np.ndarray:
        """The action id that each motion looks like: [N]."""
        found = []
        with torch.no_grad():
            for patches in in_batches(
                items.motions, items.present, self._scale_for(items), self.config.patch_frames, self.config.max_actors, batch
            ):
                found.append(self.classifier(*patches.inputs()).argmax(-1).numpy())
        return np.array(self.actions)[np.concatenate(found)]

    def _scale_for(self, items: Items) -> Scale:
        width = items.motions[0].shape[-1]
        if width != len(self.scale.mean):
            raise StickgenError(
                f"evaluator: judges motion of {len(self.scale.mean)} numbers a frame ({self.config.representation}), found {width}"
            )
        return self.scale


def build(
    config: EvaluatorConfig, patch_width: int, words: int, actions: int, seed: int, state_width: int = 0
) -> tuple[TextMotion, ActionClassifier]:  # fmt: skip
    """Both networks with weights that depend on the seed alone; `state_width` where a language model's states take the words' place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TextMotion(config, patch_width, words, state_width).eval(), ActionClassifier(config, patch_width, actions).eval()


def save_evaluator(evaluator: Evaluator, folder: Path, name: str, recipe: str, parents: dict[str, str], made: dict[str, Any]) -> Manifest:
    """Publish weights, card and manifest; the manifest comes last and holds the digest that every report prints."""
    folder.mkdir(parents=True, exist_ok=True)
    with publishing(folder / WEIGHTS_NAME) as path:
        torch.save(
            {
                "network": evaluator.network.state_dict(), "classifier": evaluator.classifier.state_dict(),
                "mean": torch.from_numpy(evaluator.scale.mean), "std": torch.from_numpy(evaluator.scale.std),
                "longest_m": torch.from_numpy(evaluator.longest_m),
            }, path,
        )  # fmt: skip
    card = {
        "config": evaluator.config.model_dump(mode="json"), "vocabulary": asdict(evaluator.vocabulary),
        "actions": list(evaluator.actions), "card": evaluator.card,
    }  # fmt: skip
    publish_text(folder / CARD_NAME, json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
    files = {f: FileRecord((folder / f).stat().st_size, digest_file(folder / f)) for f in (WEIGHTS_NAME, CARD_NAME)}
    manifest = Manifest(
        name=name, kind="evaluator", digest=evaluator.digest, recipe=recipe, parents=parents, files=files, notes=evaluator.card, made=made,
        counts={"parameters": sum(p.numel() for n in (evaluator.network, evaluator.classifier) for p in n.parameters()),
                "words": len(evaluator.vocabulary.words), "actions": len(evaluator.actions)},
    )  # fmt: skip
    write_manifest(folder, manifest)
    return manifest


def load_evaluator(folder: Path) -> Evaluator:
    """The published evaluator, its digest checked; a foreign or damaged one is an error, never random weights."""
    manifest = read_manifest(folder)
    if manifest.kind != "evaluator":
        raise MissingInput(f"{manifest_path(folder)}: expected an evaluator, found {manifest.kind}")
    try:
        told = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
        stored = torch.load(folder / WEIGHTS_NAME, map_location="cpu", weights_only=True)
        config = EvaluatorConfig.model_validate(told["config"])
        vocabulary = Vocabulary(tuple(told["vocabulary"]["words"]), tuple(told["vocabulary"]["weights"]), told["vocabulary"]["max_words"])
        scale = Scale(stored["mean"].numpy(), stored["std"].numpy())
        states = states_of(config.text_branch, config.max_words)
        width = states.width if states else 0
        network, classifier = build(config, config.patch_frames * len(scale.mean), len(vocabulary), len(told["actions"]), 0, width)
        network.load_state_dict(stored["network"], strict=True)
        classifier.load_state_dict(stored["classifier"], strict=True)
    except MissingInput:
        raise
    except FileNotFoundError as error:
        raise MissingInput(f"{error.filename}: not there; train the evaluator again with `stickgen build evaluator`") from None
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, UnpicklingError) as error:
        # What a cut, altered or foreign file makes of reading it; anything else is a fault of this program and keeps its traceback.
        raise Corrupt(f"{folder}: not an evaluator ({str(error).partition(chr(10))[0]}); remove it and train it again") from None
    evaluator = Evaluator(
        network, classifier, vocabulary, scale, tuple(told["actions"]), stored["longest_m"].numpy(), config, told["card"], states
    )
    if evaluator.digest != manifest.digest:
        raise Corrupt(f"{folder}: weights do not match the manifest's digest {manifest.digest[:12]}; remove it and train it again")
    return evaluator
