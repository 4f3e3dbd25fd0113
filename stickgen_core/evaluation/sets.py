"""The protocol's test sets: which held-out clips and captions belong to each, and what is measured on it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stickgen_core.corpus import Corpus
from stickgen_core.evaluation.items import Items, Progress, read_items
from stickgen_core.evaluation.judge import Judge
from stickgen_core.evaluation.protocol import TestSet, one_word_apart
from stickgen_core.evaluation.sampling import Sampler
from stickgen_core.evaluation.words import split_words
from stickgen_core.records.seeds import key64
from stickgen_core.text.embed import conditioning_texts

SHOWN = ("kid", "r_precision_text_to_motion_1", "r_precision_text_to_motion_3", "mm_dist", "action_accuracy", "action_accuracy_permuted",
         "energy_ratio", "diversity")  # fmt: skip


def captions_of(wanted: TestSet, corpus: Corpus) -> dict[int, tuple[str, ...]]:
    """Clip position -> the captions by which it belongs to the set; clips without one are not in it."""
    inside = corpus.column("split").astype(str) == wanted.split
    if wanted.sources:
        inside &= np.isin(corpus.column("source").astype(str), wanted.sources)
    said = {int(row): tuple(dict.fromkeys(conditioning_texts(corpus.texts(int(row))))) for row in np.flatnonzero(inside)}
    if wanted.caption_words:
        words = set(wanted.caption_words)
        said = {row: tuple(c for c in captions if words.intersection(split_words(c))) for row, captions in said.items()}
    if wanted.pairs:
        every = sorted({caption for captions in said.values() for caption in captions})
        paired = {caption for caption, has in zip(every, one_word_apart(every), strict=True) if has}
        said = {row: tuple(c for c in captions if c in paired) for row, captions in said.items()}
    return {row: captions for row, captions in said.items() if captions}


def whole_split(wanted: TestSet) -> bool:
    """Whether the set is told by split and source alone, so that clips judged anyway may stand for it."""
    return not wanted.caption_words and not wanted.pairs


def measure_sets(
    sets: Mapping[str, TestSet], corpus: Corpus, judge: Judge, sampler: Sampler, items: Items, drawn: Items, progress: Progress = None
) -> dict[str, Any]:  # fmt: skip
    """Each set's sizes, documented and actual, with what real clips and the model's samples score on it.

    items, drawn   the clips that are judged anyway and their first repetition; sets without captions of their own are read from them
    """
    config, longest = judge.config, sampler.run.data.max_frames
    found: dict[str, Any] = {}
    for name, wanted in sets.items():
        said = captions_of(wanted, corpus)
        told: dict[str, Any] = {"split": wanted.split, "sources": list(wanted.sources), "documented": wanted.documented, "documented_note": wanted.documented_note,
                "actual": len(said), "n": 0, "real": {}, "model": {}, "note": ""}  # fmt: skip
        found[name] = told
        if not said:
            told["note"] = "not measured: no clip of this set is in the corpus"
            continue
        if whole_split(wanted):
            rows = [i for i, clip in enumerate(items.ids) if corpus.position(clip) in said]
            if not rows:
                told["note"] = "not measured: none of its clips was drawn"
                continue
            real, model = items.take(rows), drawn.take(rows)
        elif not config.set_samples:
            told["note"] = "not measured in this run (evaluation.set_samples is 0)"
            continue
        else:
            chosen = sorted(said, key=lambda row: key64(config.seed, name, corpus.ids[row]))[: config.set_samples]
            only = {row: said[row] for row in chosen}
            real = read_items(corpus, np.array(sorted(only)), config.seed, only=only).cut(longest)
            model = sampler.draw(real, progress=progress, label=f"sampling, {name}")
        told["n"] = len(real)
        for kind, clips in (("real", real), ("model", model)):
            measured = judge.measure(clips)
            told[kind] = {key: measured[key].as_json() for key in SHOWN}
    return found
