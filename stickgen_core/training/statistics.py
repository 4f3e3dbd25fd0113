"""Normalisation statistics of a corpus' train split, measured once in float64 and kept as an artefact with a digest."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.corpus import Corpus
from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.model.normalise import Statistics, relative
from stickgen_core.records.publish import publish_text
from stickgen_core.skeleton.physics import PHYSICS_NAMES

SPLIT_COLUMN = "split"
# A coordinate that hardly moves in the data must not be blown up: one centimetre, and 2 % of unit spread for differences.
LEAST_STD_M = 0.01
LEAST_STEP = 0.02
LEAST_PHYSICS = 0.05


def split_rows(corpus: Corpus, split: str) -> np.ndarray:
    """Positions of a split's clips; an empty train split is an error, any other may be empty."""
    if SPLIT_COLUMN not in corpus.index.column_names:
        raise MissingInput(f"{corpus.folder}: no column 'split'; train on a curated corpus")
    rows = np.flatnonzero(corpus.column(SPLIT_COLUMN) == split)
    if split == "train" and not len(rows):
        raise MissingInput(f"{corpus.folder}: no clip in split 'train' among {len(corpus)}; nothing to train on")
    return rows


class _Moments:
    """Running count, sum and sum of squares of rows that pass by."""

    def __init__(self, width: int):
        self.count, self.sum, self.squares = 0, np.zeros(width), np.zeros(width)

    def add(self, rows: np.ndarray) -> None:
        self.count += len(rows)
        self.sum += rows.sum(0)
        self.squares += np.square(rows).sum(0)

    def mean(self) -> np.ndarray:
        return self.sum / max(self.count, 1)

    def std(self, least: float) -> np.ndarray:
        return np.sqrt(np.maximum(self.squares / max(self.count, 1) - self.mean() ** 2, least**2))

    def rms(self, least: np.ndarray) -> np.ndarray:
        return np.maximum(np.sqrt(self.squares / max(self.count, 1)), least)


def motion_statistics(corpus: Corpus, split: str = "train", fps: float = 25.0) -> Statistics:
    """Mean and spread of pelvis-relative motion, its frame differences and its physics, over every present person's frames."""
    rows = split_rows(corpus, split)
    width = int(corpus.manifest.counts["motion_width"])
    motion, step, bend, physics = _Moments(width), _Moments(width), _Moments(width), _Moments(len(PHYSICS_NAMES))
    for row in rows:
        arrays = corpus.arrays(int(row), "motion", "present", "physics")
        values, present = relative(arrays["motion"].astype(np.float64)), arrays["present"]
        motion.add(values[present])
        step.add(np.diff(values, axis=0)[present[1:] & present[:-1]])
        bend.add(np.diff(values, n=2, axis=0)[present[2:] & present[1:-1] & present[:-2]])
        physics.add(arrays["physics"].astype(np.float64)[present])
    std = motion.std(LEAST_STD_M)
    return Statistics(
        mean=motion.mean(), std=std, step_std=step.rms(LEAST_STEP * std) / std, bend_std=bend.rms(LEAST_STEP * std) / std,
        physics_mean=physics.mean(), physics_std=physics.std(LEAST_PHYSICS), source=corpus.digest, split=split, clips=len(rows),
        frames=motion.count, fps=fps,
    )  # fmt: skip


def save_statistics(statistics: Statistics, path: Path) -> None:
    """As JSON: small, readable, and exact (repr of a float64 reads back as itself)."""
    values = {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in vars(statistics).items() if name != "digest"}
    publish_text(path, json.dumps({**values, "digest": statistics.digest}, indent=1) + "\n")


def load_statistics(path: Path) -> Statistics:
    try:
        values: dict[str, Any] = {name: np.array(v) if isinstance(v, list) else v for name, v in json.loads(path.read_text()).items()}
        digest = values.pop("digest")
        statistics = Statistics(**values)
        if statistics.digest != digest:
            raise ValueError("its digest does not match its values")
    except FileNotFoundError:
        raise MissingInput(f"{path}: no statistics; measure them with motion_statistics") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{path}: not statistics ({error}); remove it and build again") from None
    return statistics
