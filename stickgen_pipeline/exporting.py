"""Documented `.pt` files of corpora: where each goes, and the vectors that go into it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, MissingInput
from stickgen_core.settings import Settings

CANONICAL_FOLDER, CANONICAL_NAME = "motions_processed", "canonical.pt"


def default_path(folder: Path) -> Path:
    """`motions_processed/<dataset>/canonical.pt`; for the folder of any other corpus `<folder>.pt`, beside it."""
    return folder / CANONICAL_NAME if folder.parent.name == CANONICAL_FOLDER else folder.with_name(folder.name + ".pt")


def write_pt(
    settings: Settings, corpora: Sequence[Corpus], path: Path, *, joints: bool = False, split: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:  # fmt: skip
    """Write a `.pt` file and its .md5.

    joints   also joints, presence and joint sources: such a file comes back whole by `import-pt`
    split    only clips of this split; the corpora must have a column of it
    """
    from stickgen_core.corpus.export_pt import ALL_FIELDS, DOCUMENTED_FIELDS, export_pt
    from stickgen_core.text.vectors import TextVectors

    encoders = {corpus.manifest.notes.get("encoder_digest") for corpus in corpora}
    if len(encoders) > 1:
        raise ConfigError(f"{path}: the corpora were embedded by different encoders or not at all; export them apart")
    encoder = next(iter(encoders))
    vectors = TextVectors.open(settings.places.text_vectors / encoder).vectors if encoder else None
    rows = [_of_split(corpus, split) for corpus in corpora] if split else None
    fields = ALL_FIELDS if joints else DOCUMENTED_FIELDS
    return export_pt(corpora, path, fields=fields, vectors=vectors, rows=rows, progress=progress)


def _of_split(corpus: Corpus, split: str) -> np.ndarray:
    if "split" not in corpus.index.column_names:
        raise MissingInput(f"{corpus.folder}: has no column split; export a merged, curated or embedded corpus")
    rows = np.flatnonzero(corpus.column("split") == split)
    if not len(rows):
        raise MissingInput(f"{corpus.folder}: no clip of split {split!r}")
    return rows
