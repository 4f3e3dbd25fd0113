"""Withdrawing a source from everything a profile holds: rows and shards, vectors, measurements and exports; checkpoints are marked."""

from dataclasses import dataclass
from pathlib import Path

from stickgen_core.corpus.upkeep import corpora_below
from stickgen_core.corpus.withdrawal import Tombstone, withdraw
from stickgen_core.settings import Settings
from stickgen_core.text.forget import keep_only


@dataclass(frozen=True)
class Withdrawn:
    """What a withdrawal took away beside the corpora's rows and shards, which the tombstone names."""

    stone: Tombstone
    vectors: int
    measurements: int


def withdraw_source(settings: Settings, source: str, reason: str) -> Withdrawn:
    """Take a source out of every artefact of a profile. Can be run again: each part of it starts from what is there."""
    places = settings.places
    others = (places.checkpoints, places.evaluations, places.exports, places.outputs)
    stone = withdraw(places.data, places.shards, source, reason, also_below=others, layout=settings.config.corpus)
    return Withdrawn(stone, _forget_vectors(places.data, places.text_vectors), _forget_measurements(places.data, places.measurements))


def _forget_vectors(data: Path, text_vectors: Path) -> int:
    """Vectors of texts that no corpus says any more."""
    folders = [path for path in sorted(text_vectors.glob("*")) if (path / "manifest.json").is_file()]
    if not folders:
        return 0
    said = {text for corpus in corpora_below(data) for text in corpus.text_table()["text"].unique().to_pylist()}
    return sum(keep_only(folder, said) for folder in folders)


def _forget_measurements(data: Path, measurements: Path) -> int:
    """Scores and descriptions that are kept by the content of a corpus that is not there any more, and what was found among them."""
    kept = {corpus.clips_digest[:32] for corpus in corpora_below(data)}
    stale = [path for path in sorted(measurements.glob("[!.]*")) if path.name.split("-")[0] not in kept]
    for path in stale:
        path.unlink()
    return len(stale)
