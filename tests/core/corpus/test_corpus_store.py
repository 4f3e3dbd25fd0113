"""What goes into the store comes out, under a digest that depends on content alone."""

import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.clips import random_clip
from stickgen_core.corpus import BadClip, Corpus, CorpusConfig, CorpusWriter, LedgerRow, current, union
from stickgen_core.corpus.clip import ARRAY_FIELDS
from stickgen_core.corpus.index import clips_digest, column_digest
from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.digests import digest_entries
from stickgen_core.sources.recording import Text


def test_a_clip_comes_back_as_it_went_in(build):
    corpus = build(numbers=range(20))
    for i in range(20):
        sent, got = random_clip(i, frames=25 + i % 7, actors=1 + i % 2), corpus.clip(i)
        for name, dtype in ARRAY_FIELDS.items():
            assert getattr(got, name).dtype == dtype
            np.testing.assert_array_equal(getattr(got, name), getattr(sent, name))
        assert got.identity() == sent.identity()
        assert got.digest() == sent.digest() == corpus.index["digest"][i].as_py()
    assert corpus.verify() == []


def test_arrays_are_read_only_views_into_the_shard(build):
    motion = build().arrays(3, "motion")["motion"]
    assert not motion.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        motion[0] = 0


def test_the_digest_ignores_order_and_shard_layout(build):
    one = build("a")
    two = build("b", order=-1, layout=CorpusConfig())
    assert one.digest == two.digest
    assert one.index["shard"].to_pylist() != two.index["shard"].to_pylist()


def test_the_digest_sees_each_field(tmp_path):
    def digest_with(**changes):
        with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as writer:
            writer.add(random_clip(1, frames=30, **changes))
            return writer.publish().digest

    base = random_clip(1, frames=30)
    digests = [digest_with()]
    for name in ARRAY_FIELDS:
        other = getattr(base, name).copy()
        other.flat[-1] = not other.flat[-1] if other.dtype == bool else other.flat[-1] + 1
        digests.append(digest_with(**{name: other}))
    for changes in (
        {"texts": (Text("other", 0, 1, "caption"),)},
        {"licence": "x"},
        {"yaw_rad": 0.31},
        {"extra": {}},
        {"official_split": "test"},
    ):
        digests.append(digest_with(**changes))
    assert len(set(digests)) == len(digests)


def test_whole_numbers_given_as_integers_keep_the_digest(tmp_path):
    as_int = random_clip(0, source_fps=30, window_s=(0, 1), origin_xz_m=(np.float32(0), 0), yaw_rad=0)
    as_float = random_clip(0, source_fps=30.0, window_s=(0.0, 1.0), origin_xz_m=(0.0, 0.0), yaw_rad=0.0)
    assert as_int.digest() == as_float.digest()


def test_texts_come_back_in_order_singly_and_all_at_once(build):
    corpus = build()
    table = corpus.text_table().to_pylist()
    singly = [(i, n, t.text, t.start_s, t.end_s, t.kind, t.actor) for i in range(len(corpus)) for n, t in enumerate(corpus.texts(i))]
    assert [tuple(row.values()) for row in table] == singly
    assert len(singly) == corpus.manifest.counts["texts"] > 10


def test_decomposed_unicode_is_the_same_text(tmp_path):
    composed, decomposed = (random_clip(0, texts=(Text(t, 0, 1, "caption"),)) for t in ("n\u00e9", "ne\u0301"))
    assert composed.digest() == decomposed.digest()
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as writer:
        writer.add(decomposed)
        assert writer.publish().texts(0)[0].text == "n\u00e9"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"motion": np.zeros((30, 1, 20))}, "wrong_dtype"),
        ({"motion": np.zeros((29, 1, 20), np.float32)}, "wrong_shape"),
        ({"joints": np.full((30, 1, 22, 3), np.nan, np.float32)}, "non_finite"),
        ({"camera": np.full((30, 3), np.inf, np.float32)}, "non_finite"),
        ({"yaw_rad": float("nan")}, "non_finite"),
        ({"id": ""}, "bad_name"),
        ({"id": "a\nb"}, "bad_name"),
        ({"origin": "a\tb"}, "bad_name"),
        ({"extra": {"x": np.zeros(3)}}, "bad_extra"),
        ({"extra": {"x": float("inf")}}, "bad_extra"),
        ({"texts": (Text("\ud800", 0, 1, "caption"),)}, "bad_text"),
        ({"texts": (Text("x", 0, float("nan"), "caption"),)}, "bad_text"),
        ({"texts": (Text("x", 0, 1, "rumour"),)}, "bad_text"),
    ],
)
def test_a_bad_clip_is_refused_with_a_reason_and_leaves_no_trace(tmp_path, changes, reason):
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as writer:
        with pytest.raises(BadClip) as refused:
            writer.add(random_clip(1, frames=30, **changes))
        assert refused.value.reason == reason
        writer.add(random_clip(2, frames=30))
        assert writer.publish().verify() == []


def test_an_id_twice_and_two_layouts_are_refused(tmp_path):
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as writer:
        writer.add(random_clip(1))
        with pytest.raises(BadClip, match="duplicate_id"):
            writer.add(random_clip(1))
        with pytest.raises(BadClip, match="48 wide"):
            writer.add(random_clip(2, width=48))


def test_a_caller_may_reuse_its_buffers(tmp_path):
    clip = random_clip(1, frames=30)
    digest = clip.digest()
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as writer:
        writer.add(clip)
        clip.motion[:] = 0
        assert writer.publish().clip(0).digest() == digest


def test_nothing_is_a_corpus_only_when_it_says_why(tmp_path):
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="canonical/x") as writer:
        writer.drop(LedgerRow("f", "", "read", "wrong_shape"))
        with pytest.raises(StickgenError, match=r"canonical/x would hold no clip \(1 wrong_shape\)"):
            writer.publish()
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="canonical/x") as writer:
        corpus = writer.publish({"absent": "data/raw/x does not exist"})
    assert len(corpus) == 0 and corpus.verify() == [] and corpus.text_table().num_rows == 0
    assert len(union([corpus], tmp_path / "y", "merged", "r", notes={"absent": "no input"})) == 0


def test_counts_must_add_up(build, tmp_path):
    corpus = build(drops=3)
    assert corpus.manifest.counts["read"] == 23 and corpus.manifest.counts["dropped"] == 3
    assert corpus.ledger().num_rows == 3
    with CorpusWriter(tmp_path / "x", shards=tmp_path / "shards", name="x") as writer:
        writer.add(random_clip(1))
        with pytest.raises(StickgenError, match="do not add up: 3 read, but 1 kept"):
            writer.publish(read=3)
    drop = [LedgerRow("u", corpus.ids[n], "critic", "jitter", value=0.4, limit=0.3) for n in range(5, 20)]
    for wrong, complaint in (
        (drop[1:], "neither kept"),
        ([*drop, drop[0]], "2 times"),
        ([*drop, replace(drop[0], id=corpus.ids[0])], "both kept"),
    ):
        with pytest.raises(StickgenError, match=complaint):
            corpus.select(range(5), tmp_path / "s", "s", "r", ledger=wrong)
    assert corpus.select(range(5), tmp_path / "s", "s", "r", ledger=drop).manifest.counts["read"] == 20


def test_selecting_shares_shards_and_keeps_annotations_in_line(build, tmp_path):
    corpus = build()
    rows = [7, 3, 11]
    drops = [LedgerRow("u", clip_id, "cut", "not_wanted") for n, clip_id in enumerate(corpus.ids) if n not in rows]
    before = {p.name for p in corpus.pool.iterdir()}
    chosen = corpus.select(rows, tmp_path / "s", "s", "r", {"rank": [7, 3, 11], "keys": [["a"], [], ["b", "c"]]}, ledger=drops)
    assert {p.name for p in corpus.pool.iterdir()} == before
    assert chosen.ids == [corpus.ids[n] for n in (3, 7, 11)]
    assert chosen.column("rank").tolist() == [3, 7, 11] and chosen.index["keys"].to_pylist() == [[], ["a"], ["b", "c"]]
    again = chosen.select([True, True, True], tmp_path / "t", "t", "r", {"rank": None, "split": ["train"] * 3})
    assert again.clips_digest == chosen.clips_digest and again.digest != chosen.digest
    assert "rank" not in again.index.column_names and again.index["keys"].to_pylist() == [[], ["a"], ["b", "c"]]
    assert again.manifest.parents == {"s": chosen.digest} and again.manifest.counts["motion_width"] == 20
    assert chosen.verify() == again.verify() == []


@pytest.mark.parametrize(
    ("values", "complaint"),
    [([1.0, float("nan")], "NaN"), ([[1.0], [float("inf")]], "NaN"), ([1.0], "expected 2"), ([None, None], "missing")],
)
def test_bad_annotations_are_refused(build, tmp_path, values, complaint):
    corpus = build(numbers=range(2))
    with pytest.raises(StickgenError, match=complaint):
        corpus.select([0, 1], tmp_path / "s", "s", "r", {"score": values})
    assert not (tmp_path / "s" / "manifest.json").exists()


def test_annotations_may_be_missing_and_do_not_rename_motions(build, tmp_path):
    corpus = build(numbers=range(2))
    a = corpus.select([0, 1], tmp_path / "s", "s", "r", {"score": [0.5, None]})
    b = corpus.select([0, 1], tmp_path / "t", "t", "r", {"score": [0.5, 0.0]})
    assert a.index["score"].null_count == 1
    assert a.clips_digest == b.clips_digest == corpus.clips_digest and len({a.digest, b.digest, corpus.digest}) == 3
    with pytest.raises(StickgenError, match="content column"):
        corpus.select([0, 1], tmp_path / "u", "u", "r", {"frames": [1, 2]})


def test_a_union_does_not_depend_on_the_order_of_its_inputs(build, tmp_path):
    a, b = build("a", range(5)), build("b", range(3), source="other")
    one, two = union([a, b], tmp_path / "m", "m", "r"), union([b, a], tmp_path / "n", "m", "r")
    assert one.digest == two.digest and len(one) == 8 and one.verify() == []
    assert one.manifest.parents == {"canonical/a": a.digest, "canonical/b": b.digest}
    with pytest.raises(StickgenError, match="occurs twice"):
        union([a, build("c", range(1))], tmp_path / "o", "o", "r")


def test_a_union_over_two_pools_brings_the_shards_together(build, tmp_path):
    a, b = build("a", range(5)), build("b", range(3), source="other", root=tmp_path / "elsewhere")
    merged = union([a, b], tmp_path / "m", "m", "r")
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    assert merged.verify() == [] and Corpus.open(tmp_path / "m").clip(7).source == "other"


def test_new_texts_give_new_clip_digests_over_the_same_motion(build, tmp_path):
    corpus = build()
    name = corpus.ids[3]
    united = (*corpus.texts(3), Text("from its duplicate", 0.0, 1.0, "caption"))
    merged = corpus.select(np.ones(20, bool), tmp_path / "m", "m", "r", texts={name: united})
    assert merged.texts(3) == united and merged.index["caption_count"][3].as_py() == corpus.index["caption_count"][3].as_py() + 1
    assert merged.index["digest"][3] != corpus.index["digest"][3] and merged.index["shard"][3] == corpus.index["shard"][3]
    assert merged.index["digest"][4] == corpus.index["digest"][4] and merged.verify() == []


def test_the_size_of_the_content_is_known_from_the_index(build):
    corpus = build()
    assert corpus.content_bytes == sum(values.nbytes for i in range(20) for values in corpus.arrays(i).values())


def test_a_corpus_travels_to_worker_processes(build):
    corpus = build()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(corpus)).arrays(2, "motion")["motion"], corpus.arrays(2, "motion")["motion"])


def test_memoised_only_for_the_same_recipe_and_inputs(build, tmp_path):
    build()
    assert current(tmp_path / "a", "r1", {"raw": "0"}) is not None
    assert current(tmp_path / "a", "r2", {"raw": "0"}) is None
    assert current(tmp_path / "a", "r1", {"raw": "1"}) is None
    assert current(tmp_path / "none", "r1", {}) is None


def test_publishing_again_leaves_one_index_and_the_link_for_people(build, tmp_path):
    build(numbers=range(5))
    corpus = build(numbers=range(6))
    assert len(list((tmp_path / "a").glob("index-*.parquet"))) == len(list((tmp_path / "a").glob("ledger-*.parquet"))) == 1
    assert pa.parquet.read_table(tmp_path / "a" / "index.parquet").num_rows == len(corpus) == 6


def test_a_link_left_behind_by_a_kill_is_mended_when_asked_again(build, tmp_path):
    corpus = build()
    (tmp_path / "a" / "index.parquet").unlink()
    (tmp_path / "a" / "index.parquet").write_bytes(b"old")
    assert any("index.parquet: differs" in line for line in corpus.verify())
    current(tmp_path / "a", "r1", {"raw": "0"})
    assert corpus.verify() == []


def test_opening_nothing_says_what_is_missing(build, tmp_path):
    with pytest.raises(MissingInput, match=r"none/manifest\.json: not there"):
        Corpus.open(tmp_path / "none")
    corpus = build()
    (tmp_path / "a" / corpus.manifest.notes["store"]["index"]).unlink()
    with pytest.raises(MissingInput, match="index is missing"):
        Corpus.open(tmp_path / "a")


def test_a_shard_name_never_becomes_a_path_outside_the_pool(build, tmp_path):
    corpus = build()
    column = pa.array(["../../etc/passwd"] * len(corpus))
    corpus.index = corpus.index.set_column(corpus.index.schema.get_field_index("shard"), "shard", column)
    corpus._reset()
    with pytest.raises(Corrupt, match="does not name a shard"):
        corpus.arrays(0)


def test_a_column_digest_sees_values_not_their_storage():
    values = [["a", "b"], None, [], ["c"]] * 3
    plain = pa.array(values)
    others = [
        pa.chunked_array([plain.slice(0, 5), plain.slice(5)]), pa.array([["x"], *values]).slice(1), pa.array(values, pa.large_list(pa.large_string())),
        pa.array(values, pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    ]  # fmt: skip
    assert {column_digest(other) for other in others} == {column_digest(plain)}
    different = [[["a"], ["b"]], [["a", "b"], []], [["a", "b"], None], [["ab"], []], [[], ["a", "b"]], [None, ["a", "b"]]]
    assert len({column_digest(pa.array(d)) for d in different}) == len(different)


def test_what_lies_under_a_null_is_not_content():
    hidden = pa.Array.from_buffers(pa.int32(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([5, 99], "<i4").tobytes())])
    assert hidden.to_pylist() == [5, None] and column_digest(hidden) == column_digest(pa.array([5, None], pa.int32()))
    assert column_digest(pa.array([5, 0], pa.int32())) != column_digest(hidden) != column_digest(pa.array([5, None], pa.int64()))


def test_annotations_of_two_types_under_one_name_are_refused(build, tmp_path):
    a = build("a", range(2)).select([0, 1], tmp_path / "s", "s", "r", {"x": ["t", "u"]})
    b = build("b", range(2), source="other").select([0, 1], tmp_path / "t", "t", "r", {"x": [1, 2]})
    with pytest.raises(StickgenError, match="different types in different inputs"):
        union([a, b], tmp_path / "m", "m", "r")
    assert len(union([a, b], tmp_path / "m", "m", "r", annotations={"x": [0, 0, 1, 1]})) == 4


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=6)), max_size=30), st.integers(0, 5))
def test_text_is_hashed_as_its_length_and_its_bytes(texts, skipped):
    """Hashing many rows with one call changes no digest, nor does a table that is not sorted."""
    column = pa.array(texts, pa.string())[skipped:]
    said = column.to_pylist()
    hasher = hashlib.sha256(f"string\0{len(said)}\0".encode() + np.packbits(np.array([text is not None for text in said], bool)).tobytes())
    for text in said:
        if text is not None:
            hasher.update(len(text.encode()).to_bytes(8, "little") + text.encode())
    assert column_digest(column) == hasher.hexdigest()
    ids = sorted({text for text in said if text})
    for order in (ids, ids[::-1]):
        table = pa.table({"id": pa.array(order, pa.string()), "digest": pa.array([f"d{i}" for i in order], pa.string())})
        assert clips_digest(table) == digest_entries("artifact.v1", [(i, f"d{i}") for i in order])
