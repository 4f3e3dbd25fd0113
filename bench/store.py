"""The store against `torch.save(list[dict])`: writing, opening, merging, random access, on the same clips in the same run."""

import gc
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.clips import random_clip
from bench.measure import Measure, Timing, interleaved
from stickgen_core.corpus import Clip, Corpus, CorpusWriter, union
from stickgen_core.corpus.export_pt import export_pt
from stickgen_core.records.seeds import generator

FIELDS = ("motion", "actions", "physics", "camera")
CLIPS, QUICK_CLIPS = 20_000, 2_000
PATTERNS = 64
READS = 20_000


def run(quick: bool) -> list[Measure]:
    count, repeats = (QUICK_CLIPS, 2) if quick else (CLIPS, 3)
    with tempfile.TemporaryDirectory(prefix="stickgen-bench-") as folder:
        return list(_measures(Path(folder), count, repeats))


def _clips(count: int, source: str) -> Iterator[Clip]:
    """Different clips in a few dozen shapes: drawing random motion would take longer than storing it."""
    patterns = [random_clip(n, source="pattern", actors=2 if n % 16 == 5 else 1) for n in range(PATTERNS)]
    for number in range(count):
        pattern = patterns[number % PATTERNS]
        motion = pattern.motion + np.float32(number)
        yield replace(pattern, id=f"{source}/{number:06d}#0", source=source, origin=f"{source}/{number:06d}", motion=motion)


def _samples(count: int, source: str) -> list[dict[str, object]]:
    import torch

    return [
        {name: torch.from_numpy(getattr(clip, name).copy()) for name in FIELDS}
        | {"id": clip.id, "source": clip.source, "description": clip.texts[0].text if clip.texts else ""}
        for clip in _clips(count, source)
    ]


def _measures(root: Path, count: int, repeats: int) -> Iterator[Measure]:
    import torch

    torch.set_num_threads(1)
    half = count // 2
    files = {source: root / f"{source}.pt" for source in ("one", "two")}

    def write_store(source: str = "one") -> None:
        with CorpusWriter(root / source, shards=root / "shards", name=source, recipe="bench") as writer:
            for clip in _clips(half, source):
                writer.add(clip)
            writer.publish()

    samples = {source: _samples(half, source) for source in files}

    def write_list(source: str = "one") -> None:
        torch.save(samples[source], files[source])

    times = interleaved({"store": write_store, "list": write_list}, repeats)
    write_store("two")
    write_list("two")
    samples.clear()
    gc.collect()
    size = sum(p.stat().st_size for p in (root / "shards").iterdir())
    yield Measure(
        "write",
        half / times["store"].cpu_s,
        "clips/s",
        f"torch.save {half / times['list'].cpu_s:,.0f}, which hashes nothing and has no joints",
    )
    yield Measure(
        "bytes_per_clip", size / count, "bytes", f"torch.save {sum(f.stat().st_size for f in files.values()) / count:,.0f} without joints"
    )

    def open_store() -> Corpus:
        return Corpus.open(root / "one")

    def open_list() -> object:
        return torch.load(files["one"], weights_only=True)

    def open_list_mapped() -> object:
        return torch.load(files["one"], weights_only=True, mmap=True)

    times = interleaved({"store": open_store, "list": open_list, "mapped": open_list_mapped}, repeats)
    yield _ratio("open_ratio", times["list"], times["store"], f"torch.load of {half:,} clips")
    yield _ratio("open_ratio_mapped", times["mapped"], times["store"], f"torch.load(mmap=True) of {half:,} clips")

    def merge_store() -> None:
        union([Corpus.open(root / name) for name in files], root / "merged", "merged", "bench")

    def merge_list() -> None:
        torch.save([sample for file in files.values() for sample in torch.load(file, weights_only=True)], root / "merged.pt")

    times = interleaved({"store": merge_store, "list": merge_list}, repeats)
    yield _ratio("merge_ratio", times["list"], times["store"], f"torch.load, concatenate, torch.save of {count:,} clips", at_least=20)
    yield Measure("merge", times["store"].cpu_s, "CPU s", f"{times['list'].cpu_s:.1f} CPU s")
    yield from _access(Corpus.open(root / "merged"), torch.load(root / "merged.pt", weights_only=True, mmap=True), repeats)
    corpus = Corpus.open(root / "merged")
    times = interleaved({"verify": corpus.verify, "export": lambda: export_pt(corpus, root / "export.pt")}, 1)
    yield Measure("verify", size / 1e6 / times["verify"].cpu_s, "MB/s")
    yield Measure("export_pt", count / times["export"].cpu_s, "clips/s")


def _access(corpus: Corpus, listed: list[dict[str, np.ndarray]], repeats: int) -> Iterator[Measure]:
    """Every clip once to warm the cache, then random clips."""
    order = [int(i) for i in generator("bench", "access").integers(0, len(corpus), READS)]
    for i in range(len(corpus)):
        corpus.arrays(i, *FIELDS)["motion"].sum()

    def read_store() -> None:
        for i in order:
            corpus.arrays(i, *FIELDS)

    def copy_store() -> None:
        for i in order:
            corpus.arrays(i, "motion")["motion"].copy()

    def read_list() -> None:
        for i in order:
            sample = listed[i]
            for name in FIELDS:
                sample[name].numpy()

    times = interleaved({"store": read_store, "list": read_list, "copy": copy_store}, max(repeats, 3))
    yield Measure(
        "random_access",
        READS / times["store"].cpu_s,
        "clips/s/core",
        f"list[dict] in memory {READS / times['list'].cpu_s:,.0f}",
        at_least=20_000,
    )
    yield Measure("random_access_copied", READS / times["copy"].cpu_s, "clips/s/core", "motion copied out of the map")


def _ratio(name: str, slow: Timing, fast: Timing, against: str, at_least: float | None = None) -> Measure:
    return Measure(name, slow.cpu_s / fast.cpu_s, "times faster", against, at_least=at_least)
