"""A withdrawn source is gone from every corpus and from the disk; what was made of it is named, however far down."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from bench.clips import random_clip
from stickgen_core.corpus import Corpus, CorpusWriter, LedgerRow, union, withdrawal
from stickgen_core.corpus.clip import followed_by, recombined_id
from stickgen_core.corpus.descent import marks_of
from stickgen_core.corpus.repair import set_damaged_aside
from stickgen_core.corpus.upkeep import shards_of, sweep_pool
from stickgen_core.corpus.verify import verify_folder
from stickgen_core.corpus.withdrawal import publish_absent, read_tombstone, reinstate, withdraw
from stickgen_core.errors import Corrupt, StickgenError
from stickgen_core.records.manifest import Manifest, write_manifest
from stickgen_core.sources.recording import Text


def drop_rest(corpus, kept):
    return [LedgerRow("u", clip_id, "cut", "not_wanted") for n, clip_id in enumerate(corpus.ids) if n not in kept]


def two_source_corpora(root):
    """A shard that holds two sources, a selection over it, and one corpus of the doomed source alone."""
    with CorpusWriter(root / "mixed", shards=root / "shards", name="mixed") as writer:
        for number in range(6):
            writer.add(random_clip(number, source="good" if number % 2 else "doomed", frames=30))
        mixed = writer.publish()
    with CorpusWriter(root / "alone", shards=root / "shards", name="alone") as writer:
        writer.add(random_clip(9, source="doomed", frames=30))
        writer.publish()
    return mixed.select([0, 3, 4], root / "cut", "cut", "r", {"score": [1.0, 2.0, 3.0]}, ledger=drop_rest(mixed, {0, 3, 4}))


def test_a_withdrawn_source_is_gone_from_every_corpus_and_from_the_disk(tmp_path):
    two_source_corpora(tmp_path)
    secret = random_clip(2, source="doomed", frames=30).motion.tobytes()
    keep = random_clip(1, source="good", frames=30).motion.tobytes()
    stone = withdraw(tmp_path, tmp_path / "shards", "doomed", "the licence was revoked")
    assert stone.clips == 4 and set(stone.corpora) == {"mixed", "cut", "alone"}
    files = [p.read_bytes() for p in tmp_path.rglob("*.arrow")]
    assert not any(secret in data for data in files) and any(keep in data for data in files)
    for name, clips in (("mixed", 3), ("cut", 2), ("alone", 0)):
        corpus = Corpus.open(tmp_path / name)
        assert len(corpus) == clips and corpus.verify() == [] and "doomed" not in corpus.index["source"].to_pylist()
    assert "withdrawn" in Corpus.open(tmp_path / "cut").ledger()["reason"].to_pylist()
    assert Corpus.open(tmp_path / "alone").manifest.notes["absent"] == "doomed was withdrawn: the licence was revoked"
    assert read_tombstone(tmp_path, "doomed").reason == "the licence was revoked"
    again = withdraw(tmp_path, tmp_path / "shards", "doomed", "again")
    assert again.clips == 4
    with pytest.raises(StickgenError, match="no corpus holds a clip of 'unknown'"):
        withdraw(tmp_path, tmp_path / "shards", "unknown", "x")
    with pytest.raises(StickgenError, match="not a name"):
        withdraw(tmp_path, tmp_path / "shards", "../x", "x")


def test_withdrawing_spares_a_corpus_that_only_shares_shards_with_the_source(tmp_path):
    two_source_corpora(tmp_path)
    mixed = Corpus.open(tmp_path / "mixed")
    good = mixed.select([3, 4], tmp_path / "good", "good", "r", ledger=drop_rest(mixed, {3, 4}))
    assert set(good.index["source"].to_pylist()) == {"good"}
    withdraw(tmp_path, tmp_path / "shards", "doomed", "x")
    after = Corpus.open(tmp_path / "good")
    assert after.digest == good.digest and after.verify() == []
    secret = random_clip(2, source="doomed", frames=30).motion.tobytes()
    assert not any(secret in p.read_bytes() for p in tmp_path.rglob("*.arrow"))


def test_a_withdrawal_killed_before_it_deletes_is_finished_by_asking_again(tmp_path, monkeypatch):
    two_source_corpora(tmp_path)
    with monkeypatch.context() as killed:
        killed.setattr(withdrawal, "shard_path", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            withdraw(tmp_path, tmp_path / "shards", "doomed", "x")
    secret = random_clip(2, source="doomed", frames=30).motion.tobytes()
    assert any(secret in p.read_bytes() for p in tmp_path.rglob("*.arrow"))
    withdraw(tmp_path, tmp_path / "shards", "doomed", "x")
    assert not any(secret in p.read_bytes() for p in tmp_path.rglob("*.arrow"))


def test_a_withdrawal_that_was_cut_short_is_finished_by_asking_again(tmp_path, monkeypatch):
    two_source_corpora(tmp_path)
    calls = []
    real = withdrawal._without

    def once(*args):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        real(*args)

    monkeypatch.setattr(withdrawal, "_without", once)
    with pytest.raises(KeyboardInterrupt):
        withdraw(tmp_path, tmp_path / "shards", "doomed", "x")
    monkeypatch.setattr(withdrawal, "_without", real)
    withdraw(tmp_path, tmp_path / "shards", "doomed", "x")
    secret = random_clip(2, source="doomed", frames=30).motion.tobytes()
    assert not any(secret in p.read_bytes() for p in tmp_path.rglob("*.arrow"))
    assert all(verify_folder(tmp_path / name) == [] for name in ("mixed", "cut", "alone"))


def artefact(path, kind, name, digest, **parents):
    write_manifest(path, Manifest(name, kind, digest, "r", {key.replace("__", "/"): value for key, value in parents.items()}))
    return path


def test_everything_made_of_it_is_named_however_far_down_and_exports_are_gone(tmp_path):
    cut = two_source_corpora(tmp_path)
    only_good = Corpus.open(tmp_path / "mixed").select(
        [3, 4, 5], tmp_path / "good", "good", "r", ledger=drop_rest(Corpus.open(tmp_path / "mixed"), {3, 4, 5})
    )
    home = tmp_path / "home"
    trained = artefact(home / "checkpoints" / "small_pretrain", "checkpoint", "checkpoint/small_pretrain", "c1", cut=cut.digest)
    tuned = artefact(home / "checkpoints" / "small_sft", "checkpoint", "checkpoint/small_sft", "c2", small=("c1"))
    report = artefact(home / "eval_results" / "x", "report", "evaluation/x", "e1", sft="c2")
    older = artefact(home / "checkpoints" / "old", "checkpoint", "checkpoint/old", "c3", cut="a version that is gone")
    clean = artefact(home / "checkpoints" / "clean", "checkpoint", "checkpoint/clean", "c4", good="another")
    (tmp_path / "cut.pt").write_bytes(b"tensors")
    (tmp_path / "cut.pt.md5").write_text("x")
    artefact(tmp_path / "cut.pt", "export", "export/cut.pt", "x1", cut=cut.digest)
    stone = withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked", also_below=[home])
    # "good" was selected from a corpus that held the source: its ancestry leads there, though none of its rows is the source's.
    assert stone.derived == ["home/checkpoints/small_pretrain", "home/checkpoints/small_sft", "home/eval_results/x"]
    assert stone.possible == ["home/checkpoints/old"] and stone.removed == ["cut.pt"]
    assert not list(tmp_path.glob("cut.pt*"))
    for path, digest, certain in ((trained, "c1", True), (tuned, "c2", True), (report, "e1", True), (older, "c3", False)):
        (row,) = marks_of(path, digest)
        assert row["source"] == "doomed" and row["reason"] == "revoked" and row["certain"] is certain
    assert marks_of(clean, "c4") == [] and marks_of(trained, "trained anew") == []
    assert Corpus.open(tmp_path / "good").verify() == [] and len(only_good) == 3


def test_what_lies_on_another_disk_is_withdrawn_and_marked_as_well(tmp_path):
    data, disk = tmp_path / "data", tmp_path / "disk"
    for name in ("cut", "checkpoints"):
        (disk / name).mkdir(parents=True)
    data.mkdir()
    (data / "cut").symlink_to(disk / "cut")
    (data / "checkpoints").symlink_to(disk / "checkpoints")
    cut = two_source_corpora(data)
    trained = artefact(data / "checkpoints" / "small", "checkpoint", "checkpoint/small", "c1", cut=cut.digest)
    stone = withdraw(data, data / "shards", "doomed", "revoked")
    after = Corpus.open(data / "cut")
    assert after.index["source"].to_pylist() == ["good"] * 2 and after.verify() == []
    assert stone.derived == [str(disk / "checkpoints" / "small")] and marks_of(trained, "c1")


def test_captions_that_its_equals_took_over_leave_with_it(tmp_path):
    """A clip of another source carries the withdrawn one's caption: it leaves the merged corpus, not its own."""
    mine = random_clip(0, source="good", frames=30)
    secret = "a sentence that only the withdrawn source says"
    for name, clips in {"good": [mine, random_clip(1, source="good", frames=30)],
                        "doomed": [replace(mine, id="doomed/0#0", source="doomed", texts=(Text(secret, 0.0, 1.0, "caption"),))]}.items():  # fmt: skip
        with CorpusWriter(tmp_path / name, shards=tmp_path / "shards", name=f"canonical/{name}") as writer:
            for clip in clips:
                writer.add(clip)
            writer.publish()
    union([Corpus.open(tmp_path / "good"), Corpus.open(tmp_path / "doomed")], tmp_path / "merged", "merged", "r", rows=[[0, 1], []],
          texts={mine.id: (*mine.texts, Text(secret, 0.0, 1.0, "caption"))},
          ledger=[LedgerRow("doomed", "doomed/0#0", "merge", "duplicate", f"same motion as {mine.id}")])  # fmt: skip
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert not any(secret.encode() in path.read_bytes() for path in (tmp_path / "shards").iterdir())
    assert Corpus.open(tmp_path / "merged").ids == ["good/000001#0"] and len(Corpus.open(tmp_path / "good")) == 2
    reason = {row["id"]: row["detail"] for row in Corpus.open(tmp_path / "merged").ledger().to_pylist()}
    assert reason[mine.id] == "was made with doomed: revoked"
    assert all(verify_folder(tmp_path / name) == [] for name in ("good", "merged", "doomed"))


SECRET = "a sentence that only the withdrawn source says"


def said_by(clip, *texts, **changes):
    return replace(clip, texts=tuple(Text(text, 0.0, 1.0, "caption") for text in texts), **changes)


def publish(root, name, *clips, **about):
    with CorpusWriter(root / name.rpartition("/")[2], shards=root / "shards", name=name, **about) as writer:
        for clip in clips:
            writer.add(clip)
        return writer.publish()


def merged_and_cut(root):
    """A clip of "good" that took over the caption of its equal in "doomed", merged, and cut from that with a clip of its own words."""
    mine, plain = (said_by(random_clip(n, source="good", frames=30), f"own words {n}") for n in range(2))
    good = publish(root, "canonical/good", mine, plain)
    doomed = publish(root, "canonical/doomed", said_by(mine, SECRET, id="doomed/0#0", source="doomed"))
    merged = union([good, doomed], root / "merged", "merged", "r", rows=[[0, 1], []],
                   texts={mine.id: (*mine.texts, Text(SECRET, 0.0, 1.0, "caption"))},
                   ledger=[LedgerRow("doomed", "doomed/0#0", "merge", "duplicate", f"same motion as {mine.id}")])  # fmt: skip
    return merged.select([0, 1], root / "cut", "cut", "r")


def saying(root, words=SECRET):
    """Files of shards that hold the words, whatever they are called."""
    return [path.name for path in (root / "shards").iterdir() if words.encode() in path.read_bytes()]


def test_captions_taken_over_leave_though_the_merge_that_tells_of_them_is_gone(tmp_path):
    merged_and_cut(tmp_path)
    shutil.rmtree(tmp_path / "merged")
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert saying(tmp_path) == [] and Corpus.open(tmp_path / "cut").ids == ["good/000001#0"]
    assert len(Corpus.open(tmp_path / "good")) == 2 and all(verify_folder(tmp_path / name) == [] for name in ("good", "cut", "doomed"))


def test_captions_taken_over_are_known_by_their_words_where_the_motion_has_changed_since(tmp_path):
    merged_and_cut(tmp_path)
    shutil.rmtree(tmp_path / "merged")
    publish(tmp_path, "canonical/doomed", said_by(random_clip(7, source="doomed", frames=30), SECRET))
    sweep_pool(tmp_path, tmp_path / "shards", grace_h=0.0)
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert saying(tmp_path) == [] and Corpus.open(tmp_path / "cut").ids == ["good/000001#0"]


def test_words_that_a_clip_s_own_data_set_says_too_stay(tmp_path):
    shared = "a person walks"
    good = publish(tmp_path, "canonical/good", *(said_by(random_clip(n, source="good", frames=30), shared) for n in range(2)))
    publish(tmp_path, "canonical/doomed", said_by(random_clip(0, source="good", frames=30), shared, id="doomed/0#0", source="doomed"))
    good.select([0, 1], tmp_path / "cut", "cut", "r")
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert Corpus.open(tmp_path / "cut").digest == good.digest and Corpus.open(tmp_path / "cut").verify() == []


def test_motion_recombined_from_it_or_from_what_says_its_words_leaves_with_it(tmp_path):
    cut = merged_and_cut(tmp_path)
    carrier, plain = cut.clip(0), cut.clip(1)
    made = [
        said_by(random_clip(3, frames=30), "doomed mirrored", id="doomed/0#0~mirrored", source="doomed"),
        said_by(carrier, "its words mirrored", id=recombined_id(carrier.id, "mirrored")),
        said_by(carrier, "own words, then its words", id=recombined_id(plain.id, followed_by(carrier.id))),
        said_by(plain, "own words mirrored", id=recombined_id(plain.id, "mirrored")),
    ]
    publish(tmp_path, "recombined", *made, parents={cut.manifest.name: cut.digest})
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert Corpus.open(tmp_path / "recombined").ids == ["good/000001#0~mirrored"] and Corpus.open(tmp_path / "recombined").verify() == []
    assert not any(saying(tmp_path, words) for words in ("doomed mirrored", "its words mirrored", "then its words"))
    assert saying(tmp_path, "own words mirrored")


def test_its_superseded_shards_go_and_those_of_others_stay(tmp_path):
    for source in ("doomed", "good"):
        for generation in ("first", "second"):
            publish(
                tmp_path,
                f"canonical/{source}",
                said_by(random_clip(ord(source[0]), source=source, frames=30), f"{source} {generation}"),
            )
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert saying(tmp_path, "doomed") == [] and saying(tmp_path, "good first") and Corpus.open(tmp_path / "good").verify() == []


def test_shards_that_a_repair_set_aside_go_as_well(tmp_path):
    clip = said_by(random_clip(0, source="doomed", frames=30), SECRET)
    corpus = publish(tmp_path, "canonical/doomed", clip)
    for path in (tmp_path / "shards").glob("*.arrow"):
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(data)
    assert len(set_damaged_aside([corpus.folder])) == 2
    publish(tmp_path, "canonical/doomed", clip)
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert list((tmp_path / "shards").iterdir()) == []


def test_a_shard_that_cannot_be_read_stops_a_withdrawal_only_where_clips_of_others_need_it(tmp_path):
    publish(tmp_path, "canonical/doomed", random_clip(0, source="doomed", frames=30))
    good = publish(tmp_path, "canonical/good", random_clip(1, source="good", frames=30))
    (tmp_path / "shards" / f"{'a' * 64}.arrow").write_bytes(b"anything")
    torn = tmp_path / "shards" / f"{good.index['text_shard'][0].as_py()}.arrow"
    whole = torn.read_bytes()
    torn.write_bytes(whole[:100])
    with pytest.raises(Corrupt, match="not a readable shard"):
        withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert len(Corpus.open(tmp_path / "doomed")) == 1
    torn.write_bytes(whole)
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert {path.stem for path in (tmp_path / "shards").iterdir()} == shards_of(good.index)


def test_a_lifted_withdrawal_leaves_its_stone_and_asks_nothing_more(tmp_path):
    two_source_corpora(tmp_path)
    withdraw(tmp_path, tmp_path / "shards", "doomed", "revoked")
    assert reinstate(tmp_path, "doomed").reason == "revoked"
    assert read_tombstone(tmp_path, "doomed") is None
    (lifted,) = (tmp_path / "tombstones").glob("doomed.lifted-*.json")
    assert json.loads(lifted.read_text())["source"] == "doomed"
    with pytest.raises(StickgenError, match="no tombstone"):
        reinstate(tmp_path, "doomed")


def test_an_absent_corpus_replaces_what_was_there(tmp_path):
    two_source_corpora(tmp_path)
    corpus = publish_absent(tmp_path / "alone", tmp_path / "shards", "canonical/alone", "r", {"raw/alone": "0"}, "withdrawn")
    assert len(corpus) == 0 and corpus.manifest.notes["absent"] == "withdrawn" and corpus.verify() == []
    assert np.array_equal(corpus.column("frames"), [])
