"""Measuring a corpus: scores, a digest of the motion and a short description of it for every clip, kept by the corpus' content.

The measurements of a data set that did not change are read back; only a changed one is measured again.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stickgen_core.config import config_hash
from stickgen_core.corpus import ARRAY_FIELDS, Corpus
from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.duplicates import describe
from stickgen_core.curation.scores import SCORES, camera_stability, score_clips
from stickgen_core.records.digests import digest_json, field_digest
from stickgen_core.records.publish import publishing

Progress = Callable[[str, int, int], None] | None
MEASURE_VERSION = 1
SCORE_COLUMNS = (*SCORES, "camera_stability")
JOINT_FIELDS = ("joints", "present", "joint_source")


def measure_recipe(config: CurationConfig) -> str:
    """Changes when a measurement could."""
    return digest_json({"measure": MEASURE_VERSION, "scores": config_hash(config.scores), "points": config.duplicates.time_points})


def measure(corpus: Corpus, config: CurationConfig, cache: Path | None = None, progress: Progress = None) -> pa.Table:
    """id, score columns, motion_digest, description (list<float32>), excursion_m for every clip, in id order."""
    path = None if cache is None else Path(cache) / f"{corpus.clips_digest[:32]}-{measure_recipe(config)[:16]}.parquet"
    if path is not None and path.is_file():
        return pq.read_table(path)
    table = _measured(corpus, config, progress)
    if path is not None:
        with publishing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
    return table


def _measured(corpus: Corpus, config: CurationConfig, progress: Progress) -> pa.Table:
    pieces: list[dict[str, np.ndarray]] = []
    digests: list[str] = []
    stability: list[float | None] = []
    sources = corpus.index["camera_source"].to_pylist()
    for rows in chunks(corpus.column("frames") * corpus.column("actors"), config.scores.chunk_frames):
        clips = []
        for i in rows:
            arrays = corpus.arrays(i, *JOINT_FIELDS, "camera")
            clips.append((arrays["joints"], arrays["present"], arrays["joint_source"]))
            digests.append(motion_digest(*clips[-1]))
            stability.append(camera_stability(arrays["camera"], sources[i], config.scores))
        descriptions = [describe(joints, present, config.duplicates.time_points) for joints, present, _ in clips]
        pieces.append({
            **score_clips(clips, config.scores), "description": np.stack([d for d, _ in descriptions]),
            "excursion_m": np.array([e for _, e in descriptions]),
        })  # fmt: skip
        if progress is not None:
            progress(f"score {corpus.manifest.name}", rows[-1] + 1, len(corpus))
    columns = {name: np.concatenate([p[name] for p in pieces]) if pieces else np.zeros(0) for name in (*SCORES, "excursion_m")}
    flat = np.concatenate([p["description"] for p in pieces]) if pieces else np.zeros((0, 1), np.float32)
    description = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1), pa.float32()), flat.shape[1])
    return pa.table({
        "id": corpus.index["id"], **{name: pa.array(values, pa.float64()) for name, values in columns.items()},
        "camera_stability": pa.array(stability, pa.float64()), "motion_digest": pa.array(digests, pa.string()), "description": description,
    })  # fmt: skip


def chunks(sizes: np.ndarray, limit: int) -> Iterator[range]:
    """Consecutive rows whose sizes add up to about `limit`, at least one."""
    start, held = 0, 0
    for row, size in enumerate(sizes):
        if held and held + size > limit:
            yield range(start, row)
            start, held = row, 0
        held += int(size)
    if start < len(sizes):
        yield range(start, len(sizes))


def motion_digest(joints: np.ndarray, present: np.ndarray, joint_source: np.ndarray) -> str:
    """Digest of what is seen to move: equal for two data sets that hold the same motion under other names and texts."""
    hasher = hashlib.sha256()
    for name, values in zip(JOINT_FIELDS, (joints, present, joint_source), strict=True):
        hasher.update(field_digest(name, np.asarray(values, dtype=ARRAY_FIELDS[name])))
    return hasher.hexdigest()
