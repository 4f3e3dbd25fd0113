"""Generated clips to look at: some of every action as they come, and the worst ones on purpose."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.safety import evaluate_motion_safety
from stickgen_core.evaluation.items import Items
from stickgen_core.evaluation.judge import Judge
from stickgen_core.records.publish import publishing


@dataclass(frozen=True)
class Figure:
    """A generated clip to show, beside the training clip that is nearest to it."""

    id: str
    caption: str
    motion: np.ndarray
    present: np.ndarray
    nearest_id: str
    nearest_caption: str
    nearest_motion: np.ndarray
    nearest_present: np.ndarray


@dataclass(frozen=True)
class Gallery:
    """Figures in the order shown, with what is told of each as JSON."""

    figures: tuple[Figure, ...] = ()
    told: tuple[dict[str, Any], ...] = ()


FIGURES_NAME = "figures.npz"
_ARRAYS = ("motion", "present", "nearest_motion", "nearest_present")


def save_figures(path: Path, figures: Sequence[Figure]) -> None:
    """The motions that a page plays, for other pages; what is told of them is in the report."""
    arrays = {f"{number:03d}.{name}": getattr(figure, name) for number, figure in enumerate(figures) for name in _ARRAYS}
    told = [[f.id, f.caption, f.nearest_id, f.nearest_caption] for f in figures]
    with publishing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, told=np.array(told, dtype=np.str_).reshape(len(told), 4), **arrays)


def load_figures(path: Path) -> tuple[Figure, ...]:
    with np.load(path, allow_pickle=False) as stored:
        shown = []
        for number, (clip, caption, near, near_caption) in enumerate(stored["told"].tolist()):
            motion, present, near_motion, near_present = (stored[f"{number:03d}.{name}"] for name in _ARRAYS)
            shown.append(Figure(clip, caption, motion, present, near, near_caption, near_motion, near_present))
        return tuple(shown)


def gallery(
    judge: Judge, drawn: Items, items: Items, train: Items, action_names: Callable[[int], str], safety: SafetyConfig
) -> tuple[Gallery, Gallery]:  # fmt: skip
    """(clips spread over actions, the worst clips): wrong ones are shown as they come in the first, and are the point of the second.

    Worst is: what the safety critic refuses, lowest score first; then what lies farthest from its caption.
    """
    config = judge.config
    turn, seen = [], Counter[int]()
    for action in items.actions.tolist():
        turn.append(seen[action])
        seen[action] += 1
    spread = sorted(range(len(items)), key=lambda i: (turn[i], i))[: config.players]
    verdicts = [evaluate_motion_safety(m, safety, p) for m, p in zip(drawn.motions, drawn.present, strict=True)]
    motion, text = judge.evaluator.embed_motions(drawn), judge.evaluator.embed_texts(drawn.captions)
    cosine = (motion * text).sum(1)
    order = np.lexsort((cosine, [v.overall_score if not v.is_safe else 1.0 for v in verdicts]))
    worst = [int(i) for i in order if int(i) not in spread][: config.failures]
    named = judge.evaluator.name_actions(drawn)
    rows = [*spread, *worst]
    nearest = motion[rows] @ judge.evaluator.embed_motions(train).T if rows else np.zeros((0, 1))
    figures, told = [], []
    for place, distances in zip(rows, nearest, strict=True):
        near = int(distances.argmax())
        figures.append(Figure(items.ids[place], items.captions[place], drawn.motions[place], drawn.present[place], train.ids[near],
                              train.captions[near], train.motions[near], train.present[near]))  # fmt: skip
        asked, got = int(items.actions[place]), int(named[place])
        verdict = verdicts[place]
        told.append({
            "id": items.ids[place], "caption": items.captions[place], "asked": action_names(asked) if asked >= 0 else "unknown",
            "seen": action_names(got), "right": asked == got, "nearest": train.ids[near], "nearest_caption": train.captions[near],
            "cosine": round(float(distances[near]), 4), "to_caption": round(float(cosine[place]), 4),
            "farther_than": round(float((cosine >= cosine[place]).mean()), 4), "safe": verdict.is_safe, "score": verdict.overall_score,
            "issues": [f"{issue.check}: {issue.detail}, {issue.value:g}" for issue in verdict.issues],
        })  # fmt: skip
    cut = len(spread)
    return Gallery(tuple(figures[:cut]), tuple(told[:cut])), Gallery(tuple(figures[cut:]), tuple(told[cut:]))
