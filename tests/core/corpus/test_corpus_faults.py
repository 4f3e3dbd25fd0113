"""Kills, full disks, rivals and flipped bits: the old corpus or the new one, and every damage named."""

import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.clips import random_clip
from stickgen_core.corpus import Corpus, CorpusConfig, CorpusWriter, LedgerRow, current, union
from stickgen_core.corpus import folder as folder_module
from stickgen_core.corpus.export_pt import export_pt
from stickgen_core.corpus.verify import verify_folder
from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.sources.recording import Text

LAYOUT = CorpusConfig(rows_per_batch=4, shard_mb=0.05)


def chain(root: Path, count: int = 10) -> str:
    """Two corpora, their union with united texts, and a selection of it with annotations; the last one's digest."""
    parts = []
    for source in ("one", "two"):
        with CorpusWriter(root / source, shards=root / "shards", name=source, recipe="r", layout=LAYOUT) as writer:
            for number in range(count):
                writer.add(random_clip(number, source=source, frames=25 + number))
            parts.append(writer.publish())
    merged = union(parts, root / "merged", "merged", "r", texts={parts[0].ids[0]: [Text("united", 0, 1, "caption")]}, layout=LAYOUT)
    drops = [LedgerRow("u", clip_id, "cut", "odd") for clip_id in merged.ids[1::2]]
    return merged.select(range(0, len(merged), 2), root / "cut", "cut", "r", {"score": [0.5] * count}, ledger=drops).digest


def in_child(work: Callable[[], None], timeout_s: float = 60.0) -> int:
    """Run in a forked process; its exit status as waitpid gives it (SIGKILL is 9)."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hung")


def killed_at(event: int, run: Callable[[], object]) -> bool:
    """Run in a child and kill it at its n-th sync, rename, link or removal; False if it ended before that."""

    def work() -> None:
        seen = 0

        def counted(call):
            def wrapper(*args, **kwargs):
                nonlocal seen
                seen += 1
                if seen == event:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapper

        for name in ("fsync", "replace", "link", "unlink"):
            setattr(os, name, counted(getattr(os, name)))
        run()

    return in_child(work) == signal.SIGKILL


def whole_or_absent(root: Path) -> None:
    """Whatever a killed writer left, each folder is a whole corpus or none."""
    for name in ("one", "two", "merged", "cut"):
        try:
            Corpus.open(root / name)
        except MissingInput:
            continue
        problems = [
            line
            for line in verify_folder(root / name)
            if not line.startswith((f"{root / name}/index.parquet", f"{root / name}/ledger.parquet"))
        ]
        assert problems == []


def no_leftovers(root: Path) -> None:
    assert [p for p in root.rglob("*.tmp")] == []


def test_killed_at_any_step_it_goes_on_to_the_same_digest(tmp_path):
    undisturbed = chain(tmp_path / "calm")
    events = random.Random(0).sample(range(1, 70), 12)
    kills = 0
    for event in events:
        kills += killed_at(event, partial(chain, tmp_path / "torn"))
        whole_or_absent(tmp_path / "torn")
    assert kills >= 6
    assert chain(tmp_path / "torn") == undisturbed
    no_leftovers(tmp_path / "torn")
    assert all(verify_folder(tmp_path / "torn" / name) == [] for name in ("one", "two", "merged", "cut"))


def test_killed_at_any_step_of_replacing_a_corpus_the_old_or_the_new_is_there(build, tmp_path):
    new = build(numbers=range(5), drops=1).digest
    old = build(numbers=range(4)).digest
    event = seen_new = 1
    while killed_at(event, lambda: build(numbers=range(5), drops=1)):
        found = Corpus.open(tmp_path / "a")
        assert found.digest in (old, new) and len(found.texts(1)) == 1
        found.ledger()
        assert current(tmp_path / "a", "r1", {"raw": "0"}) is not None
        assert list((tmp_path / "a").glob(".*.tmp")) == [] and verify_folder(tmp_path / "a") == []
        seen_new += found.digest == new
        build(numbers=range(4))
        event += 1
    assert event > 15 and seen_new > 2


def test_a_reader_that_lost_the_race_reads_again(build, tmp_path, monkeypatch):
    build(numbers=range(4))
    real, raced = folder_module.read_part, []

    def overtaken(*args):
        if not raced:
            raced.append(1)
            monkeypatch.setattr(folder_module, "read_part", real)
            build(numbers=range(5))
            monkeypatch.setattr(folder_module, "read_part", overtaken)
        return real(*args)

    monkeypatch.setattr(folder_module, "read_part", overtaken)
    assert len(Corpus.open(tmp_path / "a")) == 5


@pytest.mark.slow
def test_killed_at_every_step(tmp_path):
    undisturbed = chain(tmp_path / "calm")
    event = 1
    while killed_at(event, partial(chain, tmp_path / str(event))):
        whole_or_absent(tmp_path / str(event))
        assert chain(tmp_path / str(event)) == undisturbed
        no_leftovers(tmp_path / str(event))
        event += 1
    assert event > 40


@pytest.mark.slow
def test_killed_at_fifty_random_moments(tmp_path):
    start = time.monotonic()
    undisturbed = chain(tmp_path / "calm", 60)
    seconds = time.monotonic() - start
    draw = random.Random(1)
    for moment in range(50):
        root = tmp_path / f"torn{moment % 5}"
        child = os.fork()
        if not child:
            chain(root, 60)
            os._exit(0)
        time.sleep(draw.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        whole_or_absent(root)
    for torn in range(5):
        assert chain(tmp_path / f"torn{torn}", 60) == undisturbed
        no_leftovers(tmp_path / f"torn{torn}")


def test_a_second_writer_gets_one_clear_line(tmp_path):
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as first:
        first.add(random_clip(0))
        with pytest.raises(StickgenError, match=f"process {os.getpid()} on .+ is already writing here"):
            CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x")
        assert len(first.publish()) == 1
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as again, pytest.raises(StickgenError, match="closed"):
        again.close()
        again.add(random_clip(0))


def test_two_writers_of_different_corpora_share_a_pool(tmp_path):
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as one:
        one.add(random_clip(0))
        with CorpusWriter(tmp_path / "y", shards=tmp_path / "shards", name="y") as two:
            two.add(random_clip(0))
            two.publish()
        assert one.publish().verify() == []


def test_an_unpublished_corpus_does_not_exist(tmp_path):
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x", layout=LAYOUT) as writer:
        for number in range(9):
            writer.add(random_clip(number))
    with pytest.raises(MissingInput):
        Corpus.open(tmp_path / "x")
    no_leftovers(tmp_path)


def test_a_reader_always_sees_the_old_or_the_new(build, tmp_path):
    digests = {build(numbers=range(4)).digest, build(numbers=range(5)).digest}
    stop = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        while not stop.is_set():
            try:
                corpus = Corpus.open(tmp_path / "a")
                assert corpus.digest in digests and len(corpus) in (4, 5)
                corpus.arrays(3)
            except BaseException as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(12):
        build(numbers=range(4 + turn % 2))
    stop.set()
    reader.join()
    assert failures == []


def test_a_file_size_limit_leaves_the_old_corpus_readable(build, tmp_path):
    old = build(numbers=range(4))

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            build(numbers=range(20))
        except StickgenError as error:
            os._exit(0 if "untouched; free space and run again" in str(error) else 3)
        os._exit(4)

    assert os.waitstatus_to_exitcode(in_child(work)) == 0
    assert Corpus.open(tmp_path / "a").digest == old.digest and verify_folder(tmp_path / "a") == []
    no_leftovers(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_leaves_the_old_corpus_readable(build, small_disk):
    old = build(numbers=range(4), root=small_disk)
    with pytest.raises(StickgenError, match="No space left on device; what was published is untouched") as full:
        build(numbers=range(200), root=small_disk)
    assert "\n" not in str(full.value)
    assert Corpus.open(small_disk / "a").digest == old.digest and verify_folder(small_disk / "a") == []
    no_leftovers(small_disk)


def test_an_export_to_a_full_disk_says_so_and_leaves_the_old_file(build, small_disk, tmp_path):
    """torch tells of it as of an unexpected position."""
    pytest.importorskip("torch")
    target = small_disk / "x.pt"
    export_pt(build(numbers=range(3)), target)
    before = target.read_bytes()
    with pytest.raises(StickgenError, match="disk is full|No space left") as full:
        export_pt(build("b", numbers=range(300)), target)
    assert "\n" not in str(full.value) and target.read_bytes() == before
    no_leftovers(small_disk)


def annotated(build, tmp_path: Path) -> list[Path]:
    """A selection with annotations of every kind, and the files that make it up."""
    corpus = build(numbers=range(6), drops=1)
    corpus.select(
        range(6), tmp_path / "s", "s", "r", {"score": [0.1, None, 0.3, 0, 0, 0], "split": ["a"] * 6, "keys": [["k"], [], None, [], [], []]}
    )
    own = [p for p in (tmp_path / "s").iterdir() if p.name.startswith(("manifest", "index-", "ledger-"))]
    return [*own, *(tmp_path / "shards").iterdir()]


def undetected_flips(folder: Path, files: list[Path], each: int) -> list[tuple[str, int]]:
    draw, missed = random.Random(7), []
    for file in files:
        whole = file.read_bytes()
        for _ in range(each):
            bit = draw.randrange(len(whole) * 8)
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            file.write_bytes(damaged)
            if not verify_folder(folder):
                missed.append((file.name, bit))
        file.write_bytes(whole)
    return missed


def test_a_flipped_bit_anywhere_is_found(build, tmp_path):
    files = annotated(build, tmp_path)
    assert undetected_flips(tmp_path / "s", files, 12) == []
    assert verify_folder(tmp_path / "s") == []


@pytest.mark.slow
def test_thousands_of_flipped_bits_are_found(build, tmp_path):
    assert undetected_flips(tmp_path / "s", annotated(build, tmp_path), 1500) == []


def test_damage_is_named_by_clip_field_and_shard(build, tmp_path):
    corpus = build(numbers=range(3))
    motion = corpus.arrays(1, "motion")["motion"]
    shard = corpus.pool / f"{corpus.index['shard'][1].as_py()}.arrow"
    data = bytearray(shard.read_bytes())
    at = bytes(data).index(motion.tobytes())
    data[at + 7] ^= 4
    shard.unlink()
    shard.write_bytes(data)
    problems = verify_folder(tmp_path / "a")
    assert any(str(shard) in line and "SHA-256 differs" in line for line in problems)
    assert [line for line in problems if "made/000001#0" in line and "field motion" in line]
    assert not [line for line in problems if "made/000000#0" in line or "field joints" in line]


def test_missing_parts_are_named(build, tmp_path):
    corpus = build(numbers=range(3))
    shard = next(corpus.pool.iterdir())
    hidden = shard.rename(tmp_path / "hidden")
    assert any(f"{shard}: shard is missing" in line for line in verify_folder(tmp_path / "a"))
    hidden.rename(shard)
    store = corpus.manifest.notes["store"]
    for name in (store["index"], store["ledger"], "manifest.json"):
        kept = (tmp_path / "a" / name).read_bytes()
        (tmp_path / "a" / name).unlink()
        assert any(name in line for line in verify_folder(tmp_path / "a"))
        (tmp_path / "a" / name).write_bytes(kept)
    assert verify_folder(tmp_path / "a") == []


def test_a_truncated_shard_is_an_error_in_one_line(build):
    corpus = build(numbers=range(3))
    shard = corpus.pool / f"{corpus.index['shard'][0].as_py()}.arrow"
    data = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(data[: len(data) // 2])
    with pytest.raises(Corrupt, match="not a readable shard"):
        Corpus.open(corpus.folder).clip(0)


def test_building_again_heals_a_damaged_shard(build, tmp_path):
    corpus = build(numbers=range(3))
    for shard in corpus.pool.iterdir():
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.unlink()
        shard.write_bytes(data)
    assert verify_folder(tmp_path / "a")
    assert build(numbers=range(3)).verify() == []
