"""How the store lays clips out on disk; none of it enters a digest."""

from pydantic import Field

from stickgen_core.config import Section


class CorpusConfig(Section):
    """Shape of shards and upkeep of the pool.

    rows_per_batch       clips in one record batch; fixed, so that a row number alone finds a clip
    shard_mb             a shard is closed when it has grown past this
    sweep_grace_h        an unreferenced shard younger than this stays: its writer may not have published yet
    compact_below        a selection that uses a smaller share of its shards' bytes than this is worth compacting
    """

    rows_per_batch: int = Field(default=256, ge=1)
    shard_mb: float = Field(default=96.0, gt=0)
    sweep_grace_h: float = Field(default=24.0, ge=0)
    compact_below: float = Field(default=0.5, ge=0, le=1)
