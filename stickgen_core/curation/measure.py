"""Measuring a corpus: scores, a digest of the motion and a short description of it for every clip, kept by the corpus' content.

The measurements of a data set that did not change are read back; only a changed one is measured again.
"""

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stickgen_core.config import config_hash
from stickgen_core.corpus import ARRAY_FIELDS, Corpus
from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.duplicates import describe
from stickgen_core.curation.kept import find_table, keep_table
from stickgen_core.curation.scores import SCORES, camera_stability, held_ids, score_clips
from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_json, field_digest

Progress = Callable[[str, int, int], None] | None
MEASURE_VERSION = 2
SCORE_COLUMNS = (*SCORES, "camera_stability")
JOINT_FIELDS = ("joints", "present", "joint_source")
CHUNKS_A_TASK = 32


def measure_recipe(config: CurationConfig) -> str:
    """Changes when a measurement could."""
    return digest_json({"measure": MEASURE_VERSION, "scores": config_hash(config.scores), "held": held_ids(config.scores),
                        "points": config.duplicates.time_points})  # fmt: skip


def measure(corpus: Corpus, config: CurationConfig, cache: Path | None = None, progress: Progress = None, workers: int = 1) -> pa.Table:
    """id, score columns, motion_digest, description (list<float32>), excursion_m for every clip, in id order.

    workers   processes that share the clips; a clip's measurements do not depend on it
    """
    if cache is None:
        return _measured(corpus, config, progress, workers)
    key = measured_key(corpus, config)
    return find_table(cache, key) or keep_table(cache, key, _measured(corpus, config, progress, workers))


def measured_key(corpus: Corpus, config: CurationConfig) -> str:
    """What a corpus' measurements are kept by; it begins with the content that was measured."""
    return f"{corpus.clips_digest[:32]}-{measure_recipe(config)[:16]}"


def _measured(corpus: Corpus, config: CurationConfig, progress: Progress, workers: int) -> pa.Table:
    ranges = list(chunks(corpus.column("frames") * corpus.column("actors"), config.scores.chunk_frames))
    blocks = [ranges[n : n + CHUNKS_A_TASK] for n in range(0, len(ranges), CHUNKS_A_TASK)]
    tables: list[pa.Table] = []
    for rows, table in _in_order(corpus, config, blocks, workers):
        tables.append(table)
        if progress is not None:
            progress(f"score {corpus.manifest.name}", rows, len(corpus))
    return pa.concat_tables(tables).combine_chunks() if tables else _measured_rows(corpus, config, [])


def _in_order(corpus: Corpus, config: CurationConfig, blocks: list[list[range]], workers: int) -> Iterator[tuple[int, pa.Table]]:
    """(rows done so far, their measurements), block after block; the blocks are the same for any number of workers."""
    if workers < 2 or len(blocks) < 2:
        yield from ((block[-1].stop, _measured_rows(corpus, config, block)) for block in blocks)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(blocks)), mp_context=spawn, initializer=_take_up, initargs=(corpus.folder, corpus.digest, config)
    ) as pool:
        yield from zip((block[-1].stop for block in blocks), pool.map(_measured_there, blocks), strict=True)


_here: dict[str, Any] = {}  # of a worker process: what it measures


def _take_up(folder: Path, digest: str, config: CurationConfig) -> None:
    corpus = Corpus.open(folder)
    if corpus.digest != digest:
        raise StickgenError(f"{folder}: was replaced while it was measured; run again")
    _here.update(corpus=corpus, config=config)


def _measured_there(block: list[range]) -> pa.Table:
    return _measured_rows(_here["corpus"], _here["config"], block)


def _measured_rows(corpus: Corpus, config: CurationConfig, block: list[range]) -> pa.Table:
    """Measurements of consecutive rows, chunk by chunk."""
    pieces: list[dict[str, np.ndarray]] = []
    digests: list[str] = []
    stability: list[float | None] = []
    first, stop = (block[0].start, block[-1].stop) if block else (0, 0)
    sources = corpus.index["camera_source"].slice(first, stop - first).to_pylist()
    for rows in block:
        clips, actions = [], []
        for i in rows:
            arrays = corpus.arrays(i, *JOINT_FIELDS, "camera", "actions")
            clips.append((arrays["joints"], arrays["present"], arrays["joint_source"]))
            actions.append(arrays["actions"])
            digests.append(motion_digest(*clips[-1]))
            stability.append(camera_stability(arrays["camera"], sources[i - first], config.scores))
        descriptions = [describe(joints, present, config.duplicates.time_points) for joints, present, _ in clips]
        pieces.append({
            **score_clips(clips, config.scores, actions), "description": np.stack([d for d, _ in descriptions]),
            "excursion_m": np.array([e for _, e in descriptions]),
        })  # fmt: skip
    columns = {name: np.concatenate([p[name] for p in pieces]) if pieces else np.zeros(0) for name in (*SCORES, "excursion_m")}
    flat = np.concatenate([p["description"] for p in pieces]) if pieces else np.zeros((0, 1), np.float32)
    description = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1), pa.float32()), flat.shape[1])
    return pa.table({
        "id": corpus.index["id"].slice(first, stop - first), **{name: pa.array(values, pa.float64()) for name, values in columns.items()},
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
