"""Clips to look at: some that a stage kept, and some that it dropped for each of its reasons, each with the number that decided."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput
from stickgen_core.rendering import Caption, Scene, scene_of_clip
from stickgen_core.settings import Settings
from stickgen_core.sources.actions import load_actions
from stickgen_pipeline.graph import steps_of

KEPT = "kept"


@dataclass(frozen=True)
class Sample:
    """One clip of the sheet: where it is, and why it is there."""

    corpus: Corpus
    position: int
    reason: str
    said: str


def samples(settings: Settings, corpus: Corpus, kept: int, each: int) -> list[Sample]:
    """`kept` clips spread evenly over the corpus and `each` for every reason of its ledger, spread evenly over those dropped."""
    if not len(corpus):
        raise MissingInput(f"{corpus.folder}: 0 clips, nothing to show")
    found = [Sample(corpus, i, KEPT, KEPT) for i in _evenly(len(corpus), kept)]
    by_reason: dict[str, list[Mapping[str, object]]] = {}
    for row in corpus.ledger().to_pylist():
        if row["id"]:
            by_reason.setdefault(row["reason"], []).append(row)
    owners = _inputs(settings, corpus) if by_reason else []
    for reason in sorted(by_reason):
        rows = [(row, owner) for row in by_reason[reason] for owner in owners if str(row["id"]) in owner.known]
        for n in _evenly(len(rows), each):
            row, owner = rows[n]
            value, limit = row["value"], row["limit"]
            decided = f" {value:.3g}, limit {limit:.3g}" if value is not None and limit is not None else ""
            found.append(Sample(owner.corpus, owner.known[str(row["id"])], reason, f"{reason}{decided}"))
    return found


@dataclass(frozen=True)
class _Owner:
    corpus: Corpus
    known: dict[str, int]


def _inputs(settings: Settings, corpus: Corpus) -> list[_Owner]:
    """The corpora that a stage read, as far as they are the versions that it read."""
    steps = steps_of(settings)
    opened = []
    for name, digest in corpus.manifest.parents.items():
        if name in steps and (steps[name].folder / "index.parquet").exists():
            parent = Corpus.open(steps[name].folder)
            if parent.digest == digest:
                opened.append(_Owner(parent, {clip_id: i for i, clip_id in enumerate(parent.ids)}))
    return opened


def _evenly(total: int, count: int) -> list[int]:
    """`count` positions below `total`, all of them if there are no more, the first and the last among them."""
    count = min(count, total)
    return sorted({round(i * (total - 1) / max(count - 1, 1)) for i in range(count)})


def contact_sheet(settings: Settings, found: list[Sample], path: Path) -> Path:
    """A strip for each sample, its reason before its caption."""
    from stickgen_core.rendering import media, pictures

    names = [action.name for action in load_actions().rows]
    scenes = [_titled(scene_of_clip(s.corpus.clip(s.position), settings.config.canonical.fps, names), s.said) for s in found]
    media.write_png(path, pictures.contact_sheet(scenes, settings.config.rendering))
    return path


def _titled(scene: Scene, title: str) -> Scene:
    texts = " · ".join(dict.fromkeys(caption.text for caption in scene.captions)) or scene.id
    return replace(scene, captions=(Caption(f"[{title}] {texts}", 0.0, scene.seconds),))
