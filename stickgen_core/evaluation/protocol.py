"""The files beside the numbers: what a benchmark run does, and what others have published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from stickgen_core.config import Section, load
from stickgen_core.errors import ConfigError
from stickgen_core.evaluation.config import EvaluationConfig


class TestSet(Section):
    """One set of held-out clips, with the size that the documents give it and the reason where it differs from ours.

    caption_words   keep clips whose caption has one of these words
    pairs           keep captions that differ from another one in a single word
    """

    split: str
    sources: tuple[str, ...] = ()
    documented: int | None = None
    documented_note: str = ""
    caption_words: tuple[str, ...] = ()
    pairs: bool = False


class Protocol(Section):
    """`configs/eval/protocols/<name>.yaml`; `evaluation` overrides keys of the evaluation section."""

    title: str
    note: str
    evaluation: Mapping[str, Any] = Field(default_factory=dict)
    sets: Mapping[str, TestSet]


class PublishedRow(Section):
    """Numbers of a paper: measure -> (value, half-width of its interval)."""

    name: str
    values: Mapping[str, tuple[float, float]]
    parameters_m: float | None = None
    source: str = Field(min_length=4)
    note: str = ""

    @field_validator("name")
    @classmethod
    def _not_ours(cls, value: str) -> str:
        if "stick" in value.lower().replace("-", ""):
            raise ValueError("our models are scored by another evaluator and have no row in this table")
        return value


class Published(Section):
    """`configs/eval/published.yaml`: Table A."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[PublishedRow, ...]


def read_protocol(folder: Path, name: str) -> Protocol:
    """`configs/eval/protocols/<name>.yaml`."""
    path = folder / "protocols" / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"{path}: no such protocol (there are {', '.join(sorted(p.stem for p in path.parent.glob('*.yaml')))})")
    return load(Protocol, [path])


def protocol(folder: Path, name: str, base: EvaluationConfig) -> tuple[Protocol, EvaluationConfig]:
    """The protocol of that name and the evaluation section with its sizes."""
    found = read_protocol(folder, name)
    return found, load(EvaluationConfig, base={**base.model_dump(), **found.evaluation})


def departures(wanted: Protocol, config: EvaluationConfig) -> list[str]:
    """Where a run's sizes differ from the protocol's, in words: "samples 96 instead of 256"."""
    own = config.model_dump()
    return [f"{key.replace('_', ' ')} {own[key]} instead of {value}" for key, value in wanted.evaluation.items() if own[key] != value]


def published(folder: Path) -> Published:
    return load(Published, [folder / "published.yaml"])


def one_word_apart(captions: list[str]) -> list[bool]:
    """Which captions have a partner that differs in exactly one word: left/right, forward/backward, two/three."""
    holes: dict[tuple[str, ...], set[str]] = {}
    keys = []
    for caption in captions:
        words = caption.lower().split()
        own = [tuple([*words[:i], "\0", *words[i + 1 :]]) for i in range(len(words))]
        keys.append(list(zip(own, words, strict=True)))
        for key, word in keys[-1]:
            holes.setdefault(key, set()).add(word)
    return [any(len(holes[key]) > 1 for key, _ in own) for own in keys]
