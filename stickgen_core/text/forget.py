"""Forgetting vectors: those of texts that nobody says any more leave the cache and the disk, as a withdrawn licence asks."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from stickgen_core.records.manifest import write_manifest
from stickgen_core.records.publish import exclusively, sweep
from stickgen_core.text.cache import LOCK_NAME, file_records, recovered, write_index, write_shard
from stickgen_core.text.encoders import GOLDEN_TEXT, text_key
from stickgen_core.text.tokens import keep_only_tokens
from stickgen_core.text.vectors import TextVectors, read_shard


def keep_only(folder: Path, texts: Iterable[str]) -> int:
    """Remove every vector, and every token state, of `<text_vectors>/<encoder digest>/` that is not of one of these texts (or the golden one); how many went.

    The shards that held them are written again without them, then removed. Killed midway it can simply be run again.
    """
    vectors = TextVectors.open(folder)
    encoder = str(vectors.notes["encoder_digest"])
    wanted = {text_key(encoder, text) for text in (GOLDEN_TEXT, *texts)}
    keep_only_tokens(folder, vectors.width, encoder, wanted)
    with exclusively(folder / LOCK_NAME):
        sweep(folder)
        known = recovered(folder)
        gone = {key for key in known if key not in wanted}
        if not gone:
            return 0
        old = sorted({known[key][0] for key in gone})
        kept = {key: place for key, place in known.items() if place[0] not in old}
        for name in old:
            keys, matrix = read_shard(folder / name)
            rows = [row for row, key in enumerate(keys) if key in wanted and known[key] == (name, row)]
            if rows:
                fresh = write_shard(folder, [keys[row] for row in rows], matrix[rows])
                kept.update({keys[row]: (fresh, place) for place, row in enumerate(rows)})
        write_index(folder, kept)
        left = TextVectors.reindexed(folder, vectors.manifest)
        counts = {**vectors.manifest.counts, "vectors": len(left)}
        files = file_records(folder, leaving=old)
        write_manifest(folder, replace(vectors.manifest, digest=left.content_digest(), counts=counts, files=files), seal=True)
        for name in old:
            (folder / name).unlink(missing_ok=True)
    return len(gone)
