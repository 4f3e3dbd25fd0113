"""Merging, curating and joining vectors for a corpus of 200,000 clips and for its tenth, in a process of its own; scoring and search apart."""

import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.clips import random_clip
from bench.measure import Measure, interleaved
from stickgen_core.corpus import Corpus, CorpusConfig, CorpusWriter
from stickgen_core.corpus.folder import Draft, publish_folder
from stickgen_core.corpus.ledger import ledger_table
from stickgen_core.corpus.shards import TEXT_SCHEMA, ShardWriter
from stickgen_core.curation import curate, merge
from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.duplicates import near_duplicates
from stickgen_core.curation.kept import keep_table
from stickgen_core.curation.measure import SCORE_COLUMNS, measure, measured_key
from stickgen_core.curation.scores import score_clips
from stickgen_core.curation.statistics import merge_statistics, write_statistics
from stickgen_core.errors import StickgenError
from stickgen_core.records.publish import publish_text
from stickgen_core.records.seeds import generator
from stickgen_core.text import TextConfig, embed, encoder_for, ensure_vectors

CLIPS, QUICK_CLIPS = 200_000, 20_000
SOURCES = {"ntu": 0.34, "amass": 0.12, "humanml3d": 0.12, "babel": 0.1, "beat": 0.08, "interhuman": 0.06, "kit_ml": 0.05, "style100": 0.04,
           "aistpp": 0.03, "recombined": 0.03, "synthetic": 0.03}  # fmt: skip
STORED, TEXTS_A_CLIP, TEXTS_PER_DISTINCT = 256, 2, 6
TEXT = TextConfig(encoder="hashing")
PARTS = ("merge", "pretrain", "sft", "embed", "statistics")


def run(quick: bool) -> list[Measure]:
    sizes = [QUICK_CLIPS] if quick else [CLIPS // 10, CLIPS]
    measures: list[Measure] = []
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="stickgen-bench-") as folder:
            measures += chain_measures(Path(folder), count, limited=count == CLIPS)
    with tempfile.TemporaryDirectory(prefix="stickgen-bench-") as folder:
        measures += _scoring(Path(folder), 500 if quick else 2000)
    return measures


CONFIG = CurationConfig(infeasible="relax")


def chain_measures(root: Path, count: int, limited: bool) -> Iterator[Measure]:
    """Build the inputs here, then let a fresh process do the work, so that its memory is its own."""
    generate(root, count)
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_chain, args=(str(root), count))
    worker.start()
    worker.join()
    if worker.exitcode:
        raise StickgenError(f"the chain over {count} clips ended with {worker.exitcode}")
    found: dict[str, Any] = json.loads((root / "times.json").read_text())
    size = f"{count // 1000}k"
    parts = ", ".join(f"{name} {found[name]:.1f}" for name in PARTS)
    yield Measure(f"chain_{size}", found["chain"], "CPU s", parts, at_most=60 if limited else None)
    yield Measure(f"chain_memory_{size}", found["memory_gib"], "GiB", "", at_most=1.5 if limited else None)
    yield Measure(
        f"no_op_{size}",
        found["no_op"],
        "CPU s",
        "merge, two stages, vectors and statistics again, nothing changed",
        at_most=5 if count <= CLIPS else None,
    )
    rows = f"{found['measured_again']} of {len(SOURCES)} sources measured again"
    yield Measure(f"one_source_changed_{size}", found["one_source"], "CPU s", f"{rows}, which took {found['measuring']:.1f} of it")
    yield Measure(
        f"near_duplicates_{size}", found["near"], "CPU s", f"part of merge; {found['pairs']} pairs found of {found['planted']} planted"
    )
    yield Measure(f"near_duplicates_memory_{size}", found["near_memory_gib"], "GiB", "", at_most=1.5 if limited else None)
    yield Measure(f"bytes_written_{size}", found["bytes"] / 1e6, "MB", "merged, pretrain, sft and sft embedded")


def generate(root: Path, count: int) -> None:
    """Indexes of `count` clips over a few hundred stored motions and as many texts as clips would have; cached measurements beside them."""
    with CorpusWriter(root / "stored", shards=root / "shards", name="stored") as writer:
        for number in range(STORED):
            writer.add(random_clip(number, frames=25 + number % 50))
        stored = writer.publish()
    draw = generator("bench corpus", count)
    texts = ShardWriter(root / "shards", TEXT_SCHEMA, CorpusConfig())
    distinct = max(count * TEXTS_A_CLIP // TEXTS_PER_DISTINCT, 1)
    first = 0
    for source, share in SOURCES.items():
        rows = max(int(round(share * count)), 2)
        _source(root, stored, source, first, rows, distinct, texts, draw)
        first += rows
    encoder = encoder_for(TEXT)
    ensure_vectors(
        (_text(n) for n in range(distinct)), encoder, root / "vectors", flush_rows=20_000, flush_s=TEXT.flush_s, golden_cosine=0.99
    )


def _text(number: int) -> str:
    return f"a person does thing {number} and turns {'left' if number % 2 else 'right'}"


def _source(
    root: Path, stored: Corpus, source: str, first: int, rows: int, distinct: int, texts: ShardWriter, draw: np.random.Generator
) -> None:
    said = draw.integers(0, distinct, (rows, TEXTS_A_CLIP))
    for n in range(rows):
        texts.add({"id": f"{source}/{n:06d}#0", "text": [_text(t) for t in said[n]], "start_s": [0.0] * TEXTS_A_CLIP,
                   "end_s": [1.0] * TEXTS_A_CLIP, "kind": ["caption"] * TEXTS_A_CLIP, "actor": [None] * TEXTS_A_CLIP})  # fmt: skip
    placed = texts.flush()[-rows:]
    table = stored.index.take(pa.array(draw.integers(0, STORED, rows)))
    official = draw.choice(["train", "val", "test"], rows, p=[0.8, 0.05, 0.15]) if source in ("humanml3d", "kit_ml") else [None] * rows
    columns = {
        "id": [f"{source}/{n:06d}#0" for n in range(rows)], "digest": [f"{first + n:064x}" for n in range(rows)],
        "source": [source] * rows, "origin": [f"take {v}" for v in draw.integers(0, rows // 2 + 1, rows)],
        "official_split": list(official), "action": draw.integers(-1, 64, rows), "caption_count": [TEXTS_A_CLIP] * rows,
        "text_count": [TEXTS_A_CLIP] * rows, "text_shard": [shard for shard, _ in placed], "text_row": [row for _, row in placed],
        "frames": table["frames"],
    }  # fmt: skip
    for name, values in columns.items():
        field = table.schema.field(name)
        table = table.set_column(
            table.schema.get_field_index(name), field, values if isinstance(values, pa.ChunkedArray) else pa.array(values, field.type)
        )
    draft = Draft(f"canonical/{source}", "corpus", "bench", {}, {}, {})
    publish_folder(root / source, root / "shards", table, ledger_table([]), draft, {"read": rows, "motion_width": 20})
    corpus = Corpus.open(root / source)
    keep_table(root / "measured", measured_key(corpus, CONFIG), _measurements(corpus, first))


def _measurements(corpus: Corpus, first: int) -> pa.Table:
    """Scores as spread as real ones; poses around a common one, every hundredth clip a near copy of the clip before it."""
    n = len(corpus)
    draw = generator("bench measurements", corpus.manifest.name)
    posture, directions = draw.normal(0, 0.15, (n, 27)), generator("bench postures").normal(0, 0.06, (8, 216))
    description = np.tile(posture, 8) + draw.normal(0, 1, (n, 8)) @ directions + draw.normal(0, 0.03, (n, 216))
    description[100::100] = description[99:-1:100][: len(description[100::100])] + draw.normal(0, 0.002, (len(description[100::100]), 216))
    scores = {name: np.round(draw.beta(8, 2, n), 4) for name in SCORE_COLUMNS if name != "camera_stability"}
    scores |= {name: np.round(draw.beta(1, 8, n), 4) for name in ("jitter", "static_share", "repetition", "artefact", "limb_deviation")}
    return pa.table({
        "id": corpus.index["id"], **{name: pa.array(values) for name, values in scores.items()}, "excursion_m": pa.array(draw.uniform(0.1, 0.4, n)),
        "camera_stability": pa.nulls(n, pa.float64()), "motion_digest": pa.array([f"{first + i:064x}" for i in range(n)]),
        "description": pa.FixedSizeListArray.from_arrays(pa.array(description.astype(np.float32).ravel()), 216),
    })  # fmt: skip


def _chain(folder: str, count: int) -> None:
    """What a rebuild does, timed by the processor's clock."""
    root = Path(folder)
    found: dict[str, float] = {}

    def once(into: str) -> dict[str, float]:
        clock = [time.process_time()]
        corpora = [Corpus.open(root / source) for source in SOURCES]
        merged = merge(corpora, CONFIG, root / into / "merged", shards=root / "shards", cache=root / "measured")
        clock.append(time.process_time())
        curate(merged, "pretrain", CONFIG, root / into / "pretrain")
        clock.append(time.process_time())
        sft = curate(merged, "sft", CONFIG, root / into / "sft")
        clock.append(time.process_time())
        embed(sft, TEXT, root / "vectors", root / into / "embedded", name="curated/sft_data_embedded")
        clock.append(time.process_time())
        write_statistics(root / into / "merged.stats.json", merge_statistics(merged, corpora))
        clock.append(time.process_time())
        names = PARTS
        return {name: b - a for name, a, b in zip(names, clock, clock[1:], strict=False)} | {"chain": clock[-1] - clock[0]}

    found |= once("out")
    found["memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found["bytes"] = sum(p.stat().st_size for p in (root / "out").rglob("*.parquet") if "-" in p.name)
    found["no_op"] = once("out")["chain"]
    found |= _one_source(root)
    publish_text(root / "times.json", json.dumps(found | _search(root)))


def _one_source(root: Path) -> dict[str, float]:
    """Take a clip out of one source and merge again: only that source lacks measurements."""
    small = Corpus.open(root / "synthetic")
    rows = np.arange(len(small) - 1)
    changed = small.select(rows, root / "changed", "canonical/synthetic", "bench 2", ledger=[_gone(small)])
    again: set[str] = set()
    measured_at = [time.process_time()]

    def count(label: str, done: int, total: int) -> None:
        again.add(label)
        measured_at[0] = time.process_time()

    start = time.process_time()
    corpora = [changed if source == "synthetic" else Corpus.open(root / source) for source in SOURCES]
    merge(corpora, CONFIG, root / "out" / "merged", shards=root / "shards", cache=root / "measured", progress=count)
    return {"one_source": time.process_time() - start, "measuring": measured_at[0] - start, "measured_again": len(again)}


def _gone(corpus: Corpus) -> Any:
    from stickgen_core.corpus import LedgerRow

    return LedgerRow("bench", corpus.ids[-1], "bench", "changed")


def _search(root: Path) -> dict[str, float]:
    corpora = [Corpus.open(root / source) for source in SOURCES]
    tables = [measure(corpus, CONFIG, root / "measured") for corpus in corpora]
    described = [c.flatten().to_numpy().reshape(len(c), -1) for t in tables for c in t["description"].chunks]
    moves, frames, actors = (
        np.concatenate([t["excursion_m"].to_numpy() for t in tables]), np.concatenate([c.column("frames") for c in corpora]),
        np.concatenate([c.column("actors") for c in corpora]),
    )  # fmt: skip
    frames = np.full_like(frames, 100)  # equal lengths: poses alone decide
    start = time.process_time()
    pairs = near_duplicates(described, moves, frames, actors, CONFIG.duplicates)
    planted = sum(max((t.num_rows - 1) // 100, 0) for t in tables)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"near": time.process_time() - start, "pairs": len(pairs), "planted": planted, "near_memory_gib": memory}


def _scoring(root: Path, count: int) -> Iterator[Measure]:
    """Scores of 3D joints, alone and with everything else that measuring a stored clip does; frames as in the reference corpus (mean 162)."""
    lengths = np.clip(generator("bench lengths").gamma(2.2, 74, count), 25, 500).astype(int)
    patterns = [random_clip(n, frames=500) for n in range(8)]
    config = CurationConfig()
    clips = [(patterns[n % 8].joints[:t], patterns[n % 8].present[:t], patterns[n % 8].joint_source) for n, t in enumerate(lengths)]
    batch = max(config.scores.chunk_frames // int(lengths.mean()), 1)

    def score() -> None:
        for start in range(0, count, batch):
            score_clips(clips[start : start + batch], config.scores)

    def one_at_a_time() -> None:
        for clip in clips[: count // 10]:
            score_clips([clip], config.scores)

    times = interleaved({"batched": score, "single": one_at_a_time}, 3)
    yield Measure(
        "scoring",
        count / times["batched"].cpu_s,
        "clips/s/core",
        f"one at a time {count // 10 / times['single'].cpu_s:,.0f}",
        at_least=1000,
    )
    with CorpusWriter(root / "a", shards=root / "shards", name="a") as writer:
        for number, frames in enumerate(lengths[: count // 4]):
            short = {
                name: getattr(patterns[number % 8], name)[:frames]
                for name in ("joints", "present", "motion", "actions", "physics", "camera")
            }
            writer.add(replace(patterns[number % 8], id=f"a/{number:06d}#0", texts=(), **short))
        corpus = writer.publish()
    times = interleaved({"measure": lambda: measure(corpus, config)}, 3)
    yield Measure(
        "measuring", len(corpus) / times["measure"].cpu_s, "clips/s/core", "scores, digest and description of stored clips", at_least=1000
    )
