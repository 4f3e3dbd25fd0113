"""Repair: a damaged shard leaves its name, so that the next build writes it again; its bytes stay beside it until a person removes them."""

from collections.abc import Callable, Iterable
from pathlib import Path

from stickgen_core.corpus.folder import pool_of, read_part, store_manifest
from stickgen_core.corpus.shards import shard_path
from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_file

DAMAGED = ".damaged"


def shards_of(folder: Path) -> set[Path]:
    """Every shard that a corpus names, there or not; none where the corpus itself cannot be read."""
    try:
        manifest = store_manifest(folder)
        index = read_part(folder, manifest, "index")
    except StickgenError:
        return set()
    pool = pool_of(folder, manifest)
    return {shard_path(pool, name) for column in ("shard", "text_shard") for name in index[column].unique().to_pylist()}


def set_damaged_aside(folders: Iterable[Path], progress: Callable[[str, int, int], None] | None = None) -> list[Path]:
    """Rename every shard of these corpora whose bytes are not those of its name; gives where they are now."""
    paths = sorted({path for folder in folders for path in shards_of(folder) if path.exists()})
    moved = []
    for number, path in enumerate(paths, 1):
        if digest_file(path) != path.stem:
            moved.append(path.rename(path.with_name(path.name + DAMAGED)))
        if progress:
            progress("reading shards", number, len(paths))
    return moved
