"""Training the evaluator: train split only, its own word encoder, every draw named. With shuffled captions it is its own control."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from stickgen_core.config import config_hash
from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput
from stickgen_core.evaluation.chance import commonest
from stickgen_core.evaluation.config import EvaluationConfig, EvaluatorConfig
from stickgen_core.evaluation.evaluator import Evaluator, build, load_evaluator, save_evaluator
from stickgen_core.evaluation.items import Items, Progress, choose, read_items
from stickgen_core.evaluation.kinematics import Motion, longest_segments
from stickgen_core.evaluation.network import ActionClassifier, TextMotion, contrastive, divergence
from stickgen_core.evaluation.patches import Patches, Scale, patchify
from stickgen_core.evaluation.retrieval import r_precision
from stickgen_core.evaluation.states import TokenStates, states_of
from stickgen_core.evaluation.words import UNKNOWN, Vocabulary
from stickgen_core.records.digests import digest_json
from stickgen_core.records.environment import torch_threads
from stickgen_core.records.manifest import find_manifest
from stickgen_core.records.seeds import generator, key64
from stickgen_core.text.embed import conditioning_texts

RECIPE_VERSION = 2


def train_evaluator(
    corpus: Corpus, config: EvaluationConfig, into: Path, *, name: str = "evaluator", seed: int | None = None,
    shuffle_captions: bool = False, progress: Progress = None,
) -> Evaluator:  # fmt: skip
    """Train on the corpus' train split and publish at `into`; returns the stored one where recipe and corpus are unchanged.

    shuffle_captions   the negative control: an evaluator that saw wrong captions must retrieve at chance
    """
    seed = config.seed if seed is None else seed
    told = {"version": RECIPE_VERSION, "config": config_hash(config.evaluator), "seed": seed, "split": config.reference_split,
            "shuffled": shuffle_captions, "quantile": config.limits.longest_quantile}  # fmt: skip
    recipe, parents = digest_json(told), {corpus.manifest.name: corpus.digest}
    ready = find_manifest(into)
    if ready is not None and ready.is_current(recipe, parents):
        return load_evaluator(into)
    started = time.monotonic()
    field = "joints" if config.evaluator.representation == "joints" else "motion"
    items = read_items(corpus, choose(corpus, config.reference_split, None, seed), seed, field, progress)
    conditioning = dict(corpus.manifest.notes.get("encoder") or {})
    states = states_of(config.evaluator.text_branch, config.evaluator.max_words, conditioning.get("weights"))
    evaluator = teach(items, config, seed, shuffle_captions=shuffle_captions, states=states, progress=progress)
    evaluator.card["same_caption"] = _same_caption(evaluator, corpus, config)
    evaluator.card.update(corpus=corpus.digest, split=config.reference_split, **_held_out(evaluator, corpus, config, field))
    save_evaluator(evaluator, into, name, recipe, parents, {"wall_s": round(time.monotonic() - started, 1), "torch": torch.__version__})
    return evaluator


def _same_caption(evaluator: Evaluator, corpus: Corpus, config: EvaluationConfig) -> float:
    """Cosine above which two captions count as one: a high quantile over pairs of captions of the same training clip."""
    pairs: list[str] = []
    for row in choose(corpus, config.reference_split, config.reference_clips, config.seed):
        said = list(dict.fromkeys(conditioning_texts(corpus.texts(int(row)))))
        pairs += said[:2] if len(said) > 1 else []
    if not pairs:
        return config.evaluator.same_caption
    text = evaluator.embed_texts(pairs)
    return float(np.quantile((text[0::2] * text[1::2]).sum(1), config.duplicate_quantile))


def _held_out(evaluator: Evaluator, corpus: Corpus, config: EvaluationConfig, field: str) -> dict[str, Any]:
    """How well it judges real clips that it never saw: what every generator's score must be read against."""
    try:
        rows = choose(corpus, config.split, config.samples, config.seed)
    except MissingInput as error:
        return {"held_out": {"note": str(error)}}
    items = read_items(corpus, rows, config.seed, field)
    found = r_precision(
        evaluator.embed_texts(items.captions), evaluator.embed_motions(items), seed=config.seed, size=config.pool,
        reshuffles=config.reshuffles, resamples=config.resamples,
    )  # fmt: skip
    known = items.actions >= 0
    accuracy = float((evaluator.name_actions(items)[known] == items.actions[known]).mean()) if known.any() else None
    constant = commonest(items.actions[known]) if known.any() else None
    return {
        "held_out": {
            "n": len(items),
            "action_accuracy": accuracy,
            "commonest_action": constant,
            **{k: v.as_json() for k, v in found.items()},
        }
    }


def teach(
    items: Items, config: EvaluationConfig, seed: int, *, shuffle_captions: bool = False, states: TokenStates | None = None,
    progress: Progress = None,
) -> Evaluator:  # fmt: skip
    """Both networks from training clips in memory; `states` reads the captions where a language model is named."""
    size = config.evaluator
    with torch_threads(size.threads):
        scale = Scale.of(items.motions, items.present)
        vocabulary = Vocabulary.of(items.captions, size.max_words)
        actions = tuple(int(a) for a in np.unique(items.actions[items.actions >= 0]))
        if not actions:
            raise MissingInput("evaluator: no training clip has an action; the classifier cannot be trained")
        network, classifier = build(size, size.patch_frames * len(scale.mean), len(vocabulary), len(actions), key64(seed, "evaluator") >> 1,
                                    states.width if states else 0)  # fmt: skip
        patches = patchify(items.motions, items.present, scale, size.patch_frames, size.max_actors)
        order = generator(seed, "control").permutation(len(items)) if shuffle_captions else np.arange(len(items))
        captions = [items.captions[i] for i in order]
        losses = _teach_network(network, patches, captions, vocabulary, states, size, seed, progress)
        losses |= _teach_classifier(classifier, patches, np.searchsorted(actions, items.actions), items.actions >= 0, size, seed, progress)
    longest = np.zeros(1)
    if size.representation == "motion":
        longest = longest_segments(
            [Motion.of(m, p) for m, p in zip(items.motions, items.present, strict=True)], config.limits.longest_quantile
        )
    card = {"seed": seed, "trained_on": len(items), "shuffled_captions": shuffle_captions, "final_losses": losses}
    return Evaluator(network.eval(), classifier.eval(), vocabulary, scale, actions, longest, size, card, states)


def _rows(count: int, config: EvaluatorConfig, steps: int, seed: int, name: str) -> Iterator[torch.Tensor]:
    """Batches of positions: whole shuffles one after another, cut to the batch size."""
    pool: list[int] = []
    for step in range(steps):
        while len(pool) < min(config.batch, count):
            pool += generator(seed, name, step, len(pool)).permutation(count).tolist()
        yield torch.tensor(pool[: config.batch])
        pool = pool[config.batch :]


def _optimiser(
    network: nn.Module, config: EvaluatorConfig, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    warm = max(1, steps // 20)
    # Linear warm-up over a twentieth, then linearly down to nothing.
    return optimiser, torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / warm, max(0.0, (steps - s) / (steps - warm + 1)))
    )


def _teach_network(
    network: TextMotion, patches: Patches, captions: list[str], vocabulary: Vocabulary, states: TokenStates | None, config: EvaluatorConfig,
    seed: int, progress: Progress,
) -> dict[str, float]:  # fmt: skip
    optimiser, schedule = _optimiser(network, config, config.steps)
    numbers, _ = vocabulary.numbers(captions)
    words = torch.from_numpy(numbers)
    noise = torch.Generator().manual_seed(key64(seed, "evaluator noise") >> 1)
    network.train()
    last: dict[str, float] = {}
    for step, rows in enumerate(_rows(len(numbers), config, config.steps, seed, "evaluator batches")):
        batch = patches.of(rows)
        said = words[rows]
        said = said[:, : max(1, int((said != 0).sum(1).max()))]
        bags = torch.from_numpy(vocabulary.bags(said.numpy()))
        forget = (torch.rand(said.shape, generator=noise) < config.unknown_share) & (said != 0)
        told, heard = torch.where(forget, torch.tensor(UNKNOWN), said), said != 0
        if states is not None:
            told, heard = map(torch.from_numpy, states.states([captions[int(row)] for row in rows]))
        motion_mean, motion_spread = network.encode_motion(*batch.inputs())
        text_mean, text_spread = network.encode_text(told, heard)
        drawn = [
            m + (s / 2).exp() * torch.randn(m.shape, generator=noise) for m, s in ((motion_mean, motion_spread), (text_mean, text_spread))
        ]
        valid = batch.valid[..., None]
        drawings = [network.decode(z, batch.place, batch.person, batch.valid) for z in drawn]
        scale = valid.sum() * batch.patches.shape[-1]
        rebuilt = sum(nn.functional.smooth_l1_loss(d * valid, batch.patches * valid, reduction="sum") / scale for d in drawings)
        divergences = divergence(motion_mean, motion_spread) + divergence(text_mean, text_spread)
        pairs = contrastive(text_mean, motion_mean, bags @ bags.T > config.same_caption, config.temperature)
        latent = nn.functional.smooth_l1_loss(drawn[1], drawn[0])
        loss = config.reconstruction * rebuilt + config.kl * divergences + config.latent * latent + config.contrast * pairs
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == config.steps - 1:
            last = {"reconstruction": float(rebuilt.detach()), "contrast": float(pairs.detach())}
            if progress:
                progress("evaluator: text and motion", step + 1, config.steps)
    return last


def _teach_classifier(
    network: ActionClassifier, patches: Patches, targets: np.ndarray, labelled: np.ndarray, config: EvaluatorConfig, seed: int, progress: Progress
) -> dict[str, float]:  # fmt: skip
    known = torch.from_numpy(np.flatnonzero(labelled))
    wanted = torch.from_numpy(targets)
    optimiser, schedule = _optimiser(network, config, config.classifier_steps)
    noise = torch.Generator().manual_seed(key64(seed, "classifier noise") >> 1)
    network.train()
    last = 0.0
    for step, places in enumerate(_rows(len(known), config, config.classifier_steps, seed, "classifier batches")):
        rows = known[places]
        batch = patches.of(rows)
        shaken = batch.patches + config.classifier_noise * torch.randn(batch.patches.shape, generator=noise) * batch.valid[..., None]
        loss = nn.functional.cross_entropy(network(shaken, batch.place, batch.person, batch.valid), wanted[rows], label_smoothing=0.05)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == config.classifier_steps - 1:
            last = float(loss.detach())
            if progress:
                progress("evaluator: actions", step + 1, config.classifier_steps)
    return {"classifier": last}
