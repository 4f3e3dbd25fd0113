"""Export, import, packing, compaction, sweeping, withdrawal, migration, queries, differences, statistics."""

import hashlib
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bench.clips import random_clip
from stickgen_core.corpus import Corpus, CorpusConfig, CorpusWriter, LedgerRow, union
from stickgen_core.corpus.diff import diff
from stickgen_core.corpus.export_pt import ALL_FIELDS, export_pt, verify_pt
from stickgen_core.corpus.import_pt import import_pt
from stickgen_core.corpus.migrate import migrate
from stickgen_core.corpus.query import query
from stickgen_core.corpus.read_back import ReadBack, stamps
from stickgen_core.corpus.repair import shards_of
from stickgen_core.corpus.rewrite import compact, pack, usage
from stickgen_core.corpus.statistics import statistics
from stickgen_core.corpus.upkeep import corpora_below, sweep_pool
from stickgen_core.corpus.verify import verify_folder
from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.sources.recording import Text

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


def drop_rest(corpus: Corpus, kept: set[int]) -> list[LedgerRow]:
    return [LedgerRow("u", clip_id, "cut", "not_wanted") for n, clip_id in enumerate(corpus.ids) if n not in kept]


def load(path):
    return torch.load(path, weights_only=True, mmap=True)


def test_the_export_is_the_documented_list_of_dicts(build, tmp_path):
    corpus = build(numbers=range(6))
    path = export_pt(corpus, tmp_path / "out" / "canonical.pt")
    samples = load(path)
    assert [s["id"] for s in samples] == corpus.ids
    for i, sample in enumerate(samples):
        arrays = corpus.arrays(i, "motion", "actions", "physics", "camera")
        for name, values in arrays.items():
            expected = values[:, 0] if sample["actors"] == 1 and name != "camera" else values
            np.testing.assert_array_equal(sample[name].numpy(), expected)
            assert sample[name].untyped_storage().nbytes() == expected.nbytes
    assert samples[0]["motion"].ndim == 2 and samples[1]["motion"].ndim == 3
    assert samples[2]["description"] == corpus.texts(2)[0].text
    line = (tmp_path / "out" / "canonical.pt.md5").read_text()
    assert line == f"{hashlib.md5(path.read_bytes()).hexdigest()}  canonical.pt\n"


def test_a_flipped_bit_in_an_export_its_checksum_or_its_manifest_is_found(build, tmp_path):
    path = export_pt(build(numbers=range(2)), tmp_path / "canonical.pt")
    manifest = tmp_path / "canonical.pt.manifest.json"
    for file, step in ((path, 997), (tmp_path / "canonical.pt.md5", 1), (manifest, 1)):
        data = file.read_bytes()
        for place in range(0, len(data), step):
            file.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
            assert verify_pt(path), (file.name, place)
        file.write_bytes(data)
    assert verify_pt(path) == []
    values = json.loads(manifest.read_text())
    del values["seal"], values["files"]["canonical.pt.md5"]
    manifest.write_text(json.dumps(values))
    assert verify_pt(path) == []  # as it was written before there was a seal


def test_equal_corpora_export_equal_bytes_whatever_their_shards_and_file_names(build, tmp_path):
    one, two = build("a"), build("b", order=-1, layout=CorpusConfig())
    files = [export_pt(one, tmp_path / "x.pt"), export_pt(two, tmp_path / "other_name.pt")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes().count(b"CC0-1.0") == 1  # equal strings are one object, or bytes would depend on how they came to be


def test_embeddings_are_exported_with_the_first_caption_in_front(build, tmp_path):
    corpus = build(numbers=range(6))
    keys = [[f"{i}/{n}" for n in range(len(corpus.texts(i)))] for i in range(6)]
    embedded = corpus.select(range(6), tmp_path / "e", "e", "r", {"text_keys": keys})

    def vectors(wanted):
        return np.array([[*map(float, key.split("/")), 7.0] for key in wanted], np.float32)

    samples = load(export_pt(embedded, tmp_path / "e.pt", vectors=vectors))
    assert samples[0]["embedding"] is None and samples[5]["embeddings"].tolist() == [[5, 0, 7], [5, 1, 7]]
    assert samples[5]["embedding"].tolist() == [5, 0, 7]
    assert not list(tmp_path.glob(".*vectors*"))
    with pytest.raises(StickgenError, match="no column text_keys"):
        export_pt(corpus, tmp_path / "x.pt", vectors=vectors)


def test_what_is_spoken_or_named_is_no_description_and_moves_no_embedding(tmp_path):
    spoken, named = Text("hello there", 0, 1, "transcript"), Text("walk", 0, 1, "label")
    told = (Text("a template", 0, 1, "template"), Text(" ", 0, 1, "caption"), Text("first caption", 0, 1, "caption"))
    with CorpusWriter(tmp_path / "a", shards=tmp_path / "shards", name="a") as writer:
        for number, texts in enumerate([(spoken, named, *told), (spoken, named, told[0]), (spoken, named)]):
            writer.add(random_clip(number, frames=30, texts=texts))
        corpus = writer.publish()
    embedded = corpus.select(range(3), tmp_path / "e", "e", "r", {"text_keys": [["0", "1"], ["0"], []]})
    samples = load(export_pt(embedded, tmp_path / "e.pt", vectors=lambda keys: np.array([[float(key)] for key in keys], np.float32)))
    assert [s["description"] for s in samples] == ["first caption", "a template", ""]
    assert [s["embedding"] if s["embedding"] is None else s["embedding"].tolist() for s in samples] == [[1.0], [0.0], None]


def test_a_combined_export_holds_each_clip_once(build, tmp_path):
    corpus = build(numbers=range(6))
    parts = [
        corpus.select(rows, tmp_path / name, name, "r", ledger=drop_rest(corpus, set(rows)))
        for name, rows in (("p", [0, 1, 3]), ("q", [1, 5]))
    ]
    samples = load(export_pt(parts, tmp_path / "train_data.pt"))
    assert [s["id"] for s in samples] == [corpus.ids[n] for n in (0, 1, 3, 5)]
    with pytest.raises(StickgenError, match="expected rows for each of 2 corpora"):
        export_pt(parts, tmp_path / "x.pt", rows=[[0]])


@pytest.mark.slow
def test_exporting_does_not_hold_the_motion_in_memory(build, tmp_path):
    """The private memory of a process that exports 100 MB grows by less than a third of that."""
    base = random_clip(0, frames=500, actors=2)
    with CorpusWriter(tmp_path / "big", shards=tmp_path / "shards", name="big") as writer:
        for number in range(900):
            writer.add(replace(base, id=f"big/{number:04d}"))
        corpus = writer.publish()

    def private_mb() -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) / 1e3

    readings = [private_mb()]
    done = threading.Event()
    watcher = threading.Thread(target=lambda: [readings.append(private_mb()) for _ in iter(lambda: done.wait(0.005), True)])
    watcher.start()
    size = export_pt(corpus, tmp_path / "big.pt").stat().st_size / 1e6
    done.set()
    watcher.join()
    assert size > 90 and max(readings) - readings[0] < size / 3


def test_a_full_export_comes_back_as_the_same_clips(build, tmp_path):
    corpus = build()
    path = export_pt(corpus, tmp_path / "full.pt", fields=ALL_FIELDS)
    back = import_pt(path, tmp_path / "back", shards=tmp_path / "shards", name="back", source="x", licence="x", fps=25.0)
    assert back.clips_digest == corpus.clips_digest


def test_foreign_samples_are_completed_or_refused_with_a_reason(tmp_path):
    motion = torch.randn(30, 20)
    samples = [
        {"motion": motion, "embedding": torch.zeros(1024), "description": "someone walks"},
        {"motion": torch.full((30, 20), float("nan"))},
        {"pose": motion},
        {"motion": torch.randn(30, 2, 20).double(), "actions": torch.zeros(30, 2, dtype=torch.long)},
        {"motion": torch.randn(30, 7)},
        "text",
    ]
    torch.save(samples, tmp_path / "foreign.pt")
    corpus = import_pt(
        tmp_path / "foreign.pt", tmp_path / "f", shards=tmp_path / "shards", name="f", source="mine", licence="own", fps=25.0
    )
    assert len(corpus) == 2 and corpus.manifest.counts["read"] == 6 and corpus.verify() == []
    assert sorted(corpus.ledger()["reason"].to_pylist()) == ["no_motion", "no_motion", "non_finite", "wrong_shape"]
    clip = corpus.clip(0)
    np.testing.assert_array_equal(clip.motion[:, 0], motion.numpy())
    assert clip.texts[0].text == "someone walks" and clip.physics.any() and (clip.joint_source == 2).all() and clip.actions.max() == -1


def said(**changes):
    return {"texts": [{"text": "a", "start_s": 0, "end_s": 1, "kind": "caption", "actor": 0} | changes]}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"motion": torch.zeros(40)}, "wrong_shape"),
        ({"motion": torch.tensor(1.0)}, "wrong_shape"),
        ({"motion": torch.zeros(40, 1, 0), "physics": torch.zeros(40, 6)}, "wrong_shape"),
        ({"physics": torch.zeros(40, 1, 0)}, "wrong_shape"),
        ({"motion": torch.zeros(40, 20).bfloat16()}, "wrong_dtype"),
        ({"motion": torch.zeros(40, 20).to_sparse()}, "wrong_dtype"),
        ({"motion": torch.empty(40, 20, device="meta")}, "wrong_dtype"),
        ({"motion": torch.zeros(40, 20, dtype=torch.complex64)}, "wrong_dtype"),
        ({"motion": torch.full((40, 20), 1e300, dtype=torch.float64)}, "non_finite"),
        ({"actions": torch.full((40,), 70000)}, "out_of_range"),
        ({"actions": torch.full((40,), 64)}, "out_of_range"),
        ({"actions": torch.full((40,), -2)}, "out_of_range"),
        ({"actions": torch.full((40,), 2.5)}, "out_of_range"),
        ({"actions": torch.full((40,), float("nan"))}, "out_of_range"),
        ({"joint_source": torch.full((22,), 257)}, "out_of_range"),
        ({"present": torch.full((40,), float("nan"))}, "out_of_range"),
        (said(actor="x"), "bad_text"),
        (said(actor=2**40), "bad_text"),
        (said(actor=-1), "bad_text"),
        (said(actor=1.5), "bad_text"),
        (said(kind=["caption"]), "bad_text"),
        (said(text="\ud800"), "bad_text"),
        (said(start_s="\ud800"), "bad_metadata"),
        ({"texts": torch.zeros(3)}, "bad_metadata"),
        ({"description": 7}, "bad_text"),
        ({"id": torch.zeros(3)}, "bad_metadata"),
        ({"licence": 5}, "bad_metadata"),
        ({"protocol": 3}, "bad_metadata"),
        ({"camera_source": 7}, "bad_metadata"),
        ({"official_split": "\ud800"}, "bad_metadata"),
        ({"source_fps": 10**400}, "bad_metadata"),
        ({"source_fps": float("nan")}, "non_finite"),
        ({"extra_json": '{"a": "\\ud800"}'}, "bad_extra"),
        ({"extra_json": "[]"}, "bad_extra"),
        ({"extra_json": "[" * 100_000}, "bad_metadata"),
    ],
)
def test_one_odd_sample_is_one_row_of_the_ledger_and_the_rest_comes_in(tmp_path, odd, reason):
    good = {"motion": torch.randn(40, 20), "actions": torch.full((40,), 63.0)}
    torch.save([good, good | odd, good], tmp_path / "foreign.pt")
    corpus = import_pt(
        tmp_path / "foreign.pt", tmp_path / "f", shards=tmp_path / "shards", name="f", source="mine", licence="own", fps=25.0
    )
    assert len(corpus) == 2 and corpus.verify() == [] and corpus.index["action"].to_pylist() == [63, 63]
    assert corpus.ledger()["reason"].to_pylist() == [reason] and corpus.ledger()["detail"][0].as_py()


def test_a_file_that_could_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save([Evil()], tmp_path / "evil.pt")
    with pytest.raises(Corrupt, match="cannot|can be loaded safely"):
        import_pt(tmp_path / "evil.pt", tmp_path / "f", shards=tmp_path / "shards", name="f", source="x", licence="x", fps=25.0)
    assert not (tmp_path / "ran").exists()


def test_a_packed_copy_stands_alone(build, tmp_path):
    corpus = build()
    chosen = corpus.select([2, 3, 9], tmp_path / "s", "s", "r", {"split": ["train"] * 3}, ledger=drop_rest(corpus, {2, 3, 9}))
    pack(chosen, tmp_path / "pod" / "s")
    shutil.move(tmp_path / "pod", tmp_path / "elsewhere")
    for gone in ("s", "a", "shards"):
        shutil.rmtree(tmp_path / gone)
    packed = Corpus.open(tmp_path / "elsewhere" / "s")
    assert packed.digest == chosen.digest and packed.verify() == [] and usage(packed).share == 1.0
    assert packed.manifest.recipe == "r" and packed.ledger().num_rows == 17 and packed.manifest.counts == chosen.manifest.counts


def test_packing_refuses_a_damaged_clip(build, tmp_path):
    corpus = build(numbers=range(3))
    shard = corpus.pool / f"{corpus.index['shard'][0].as_py()}.arrow"
    data = bytearray(shard.read_bytes())
    data[bytes(data).index(corpus.arrays(0, "motion")["motion"].tobytes())] ^= 1
    shard.unlink()
    shard.write_bytes(data)
    with pytest.raises(Corrupt, match="made/000000#0"):
        pack(Corpus.open(tmp_path / "a"), tmp_path / "pod")


def test_compacting_drops_what_is_not_used_and_sweeping_removes_it(build, tmp_path):
    corpus = build()
    chosen = corpus.select([2, 9], tmp_path / "s", "s", "r", ledger=drop_rest(corpus, {2, 9}))
    assert usage(chosen).share < 0.5
    small = compact(chosen, layout=CorpusConfig(rows_per_batch=4))
    assert small.digest == chosen.digest and usage(small).share == 1.0 and compact(small) is small
    shutil.rmtree(tmp_path / "a")
    assert sweep_pool(tmp_path, tmp_path / "shards").removed == 0
    swept = sweep_pool(tmp_path, tmp_path / "shards", grace_h=0.0)
    assert swept.removed >= 2 and swept.freed_bytes > 0 and small.verify() == []
    assert len(list((tmp_path / "shards").iterdir())) == 2


def test_sweeping_never_removes_what_a_corpus_names(build, tmp_path):
    corpora = [build("a"), build("b", source="other")]
    merged = union(corpora, tmp_path / "m", "m", "r")
    shutil.rmtree(tmp_path / "b")
    sweep_pool(tmp_path, tmp_path / "shards", grace_h=0.0)
    assert merged.verify() == [] and len(corpora_below(tmp_path)) == 2
    (tmp_path / "a" / "manifest.json").write_text("{")
    with pytest.raises(Corrupt):
        sweep_pool(tmp_path, tmp_path / "shards", grace_h=0.0)


def test_sweeping_sees_corpora_in_folders_that_lie_on_another_disk(build, tmp_path):
    data, disk = tmp_path / "data", tmp_path / "disk"
    disk.mkdir(), data.mkdir()
    (data / "curated").symlink_to(disk)
    corpus = build("curated/one", range(4), root=data)
    assert sweep_pool(data, data / "shards", grace_h=0.0).removed == 0
    assert corpus.verify() == [] and [found.folder for found in corpora_below(data)] == [data / "curated" / "one"]
    disk.rename(tmp_path / "unmounted")
    with pytest.raises(MissingInput, match="mount it"):
        sweep_pool(data, data / "shards", grace_h=0.0)
    (tmp_path / "unmounted").rename(disk)
    assert corpus.verify() == []


def test_sweeping_leaves_the_shards_that_it_is_told_to_keep(build, tmp_path):
    build()
    shards = {path.stem for path in (tmp_path / "shards").glob("*.arrow")}
    shutil.rmtree(tmp_path / "a")
    assert sweep_pool(tmp_path, tmp_path / "shards", grace_h=0.0, keep=shards).removed == 0
    assert sweep_pool(tmp_path, tmp_path / "shards", grace_h=0.0).removed == len(shards)


def test_an_older_corpus_is_migrated_by_its_steps_or_refused(build, tmp_path):
    build()
    assert migrate(tmp_path / "a") == []
    path = tmp_path / "a" / "manifest.json"
    values = json.loads(path.read_text())
    values["notes"]["old_name"] = values["notes"].pop("made_for")
    path.write_text(json.dumps(values | {"schema_version": 0}))
    with pytest.raises(Corrupt, match="corpus migrate"):
        Corpus.open(tmp_path / "a")
    with pytest.raises(Corrupt, match="no way from schema version 0"):
        migrate(tmp_path / "a")

    def rename(folder, old):
        notes = {("made_for" if k == "old_name" else k): v for k, v in old["notes"].items()}
        return old | {"notes": notes}

    assert migrate(tmp_path / "a", steps={0: rename}) == [1]
    assert Corpus.open(tmp_path / "a").manifest.notes["made_for"] == "a test" and verify_folder(tmp_path / "a") == []
    path.write_text(json.dumps(values | {"schema_version": 99}))
    with pytest.raises(Corrupt, match="newer than this program"):
        migrate(tmp_path / "a")


def test_sql_sees_clips_texts_and_ledger_and_nothing_else(build, tmp_path):
    corpus = build(drops=2)
    assert query(corpus, "select count(*) n, sum(frames) f from clips").to_pylist() == [{"n": 20, "f": int(corpus.column("frames").sum())}]
    joined = query(
        corpus, "select c.id, t.text from clips c join texts t on t.clip = c.position where c.id like '%000002#0' order by ordinal"
    )
    assert joined["text"].to_pylist() == [t.text for t in corpus.texts(2)]
    assert query(corpus, "select reason, count(*) n from ledger group by 1").to_pylist() == [{"reason": "wrong_shape", "n": 2}]
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (f"select * from '{tmp_path}/secret.csv'", f"copy clips to '{tmp_path}/stolen.csv'", "select nothing from nowhere"):
        with pytest.raises(StickgenError, match="query failed"):
            query(corpus, sql)


def test_a_difference_names_what_changed_and_why(build, tmp_path):
    old = build("a", range(6))
    kept = old.select(range(6), tmp_path / "s", "s", "r1", {"score": [0.0] * 6})
    with CorpusWriter(tmp_path / "b", shards=tmp_path / "shards", name="b") as writer:
        for clip in old:
            motion = clip.motion + np.float32(1) if clip.id == old.ids[1] else clip.motion
            writer.add(replace(clip, motion=motion, licence="other" if clip.id == old.ids[2] else clip.licence))
        writer.add(random_clip(50, frames=30))
        changed = writer.publish()
    new = changed.select(
        [0, 1, 2, 3, 4, 6],
        tmp_path / "t",
        "s",
        "r2",
        {"score": [1.0, 0, 0, 0, 0, 0]},
        ledger=[LedgerRow("u", changed.ids[5], "critic", "jitter")],
    )
    found = diff(kept, new)
    assert found.added == (changed.ids[6],) and found.removed == {old.ids[5]: "critic: jitter"}
    assert found.changed == {old.ids[1]: ("motion",), old.ids[2]: ("licence",)}
    assert found.annotations == {"score": 1} and found.causes == ("recipe", "input b", "input canonical/a")
    assert diff(old, old).empty


def test_statistics_count_by_source(build, tmp_path):
    merged = union(
        [build("a", range(8)), build("b", range(5), source="other")], tmp_path / "m", "m", "r", annotations={"q": [0.5] * 12 + [None]}
    )
    found = statistics(merged)
    assert found["clips"] == 13 == sum(s["clips"] for s in found["sources"].values())
    assert found["frames"] == sum(s["frames"] for s in found["sources"].values()) == merged.manifest.counts["frames"]
    assert found["sources"]["made"]["missing"] == {"text": 3, "action": 0, "camera": 8} and found["missing"]["q"] == 1
    json.dumps(found, allow_nan=False)


def test_a_clip_is_known_while_its_row_and_its_shards_are_as_they_were(build, tmp_path):
    corpus, memory = build(numbers=range(8)), tmp_path / "memory"
    shards = shards_of(corpus.folder)

    def known(index):
        seen = ReadBack(memory)
        return seen.known(index, seen.unchanged(stamps(shards))).tolist()

    assert known(corpus.index) == [False] * 8
    ReadBack(memory).note("a/b", corpus.index, stamps(shards))
    assert known(corpus.index) == [True] * 8 and known(corpus.index.slice(3, 2)) == [True] * 2
    place = corpus.index.schema.get_field_index("source")
    other = corpus.index.set_column(place, "source", pa.array(["elsewhere", *corpus.index["source"].to_pylist()[1:]]))
    assert known(other) == [False] + [True] * 7
    arrays = next(path for path in shards if path.stem == corpus.index["shard"][0].as_py())
    os.utime(arrays, ns=(1, 1))
    assert known(corpus.index) == [False] * 8
    (memory / "a.b.arrow").write_bytes(b"no record")
    assert ReadBack(memory).unchanged(stamps(shards)) == set()
