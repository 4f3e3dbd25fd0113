"""Splits follow performances, not files; official test ids win everywhere."""

import json

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stickgen_core.curation.config import SplitsConfig
from stickgen_core.curation.official import forced_tests
from stickgen_core.curation.splits import assign_splits, hashed_split
from stickgen_core.sources.amass import amass_origin

CONFIG = SplitsConfig()


def index(rows):
    """Rows of (source, origin, official_split, extra)."""
    columns = list(zip(*[(s, o, off, json.dumps(extra)) for s, o, off, extra in rows], strict=True))
    return pa.table({
        "source": pa.array(columns[0]), "origin": pa.array(columns[1]), "official_split": pa.array(columns[2], pa.string()),
        "extra_json": pa.array(columns[3]),
    })  # fmt: skip


def splits(rows, **options):
    return list(assign_splits(index(rows), CONFIG, **options).split)


def test_an_official_humanml3d_test_id_forces_its_recording_into_test_in_every_source():
    rows = [
        ("amass", "cmu/1", None, {}),
        ("humanml3d", "cmu/1", "test", {}),
        ("babel", "cmu/1", "train", {}),
        ("babel", "cmu/1", "val", {}),
    ]
    found = assign_splits(index(rows), CONFIG)
    assert set(found.split) == {"test"}
    assert found.overruled == 2
    assert found.reasons == {"forced by an official test list": 1}


def test_lists_force_even_where_their_data_set_is_absent():
    rows = [("amass", f"o{n}", None, {}) for n in range(50)]
    assert splits(rows, forced={"o7": "humanml3d"})[7] == "test"
    assert [w.split(":")[0] for w in assign_splits(index(rows), CONFIG, forced={"o7": "humanml3d"}).warnings] == ["kit_ml"]
    assert "humanml3d: test ids unknown" in assign_splits(index(rows), CONFIG).warnings[0]


def test_lists_in_a_folder_without_motions_name_the_recordings_they_were_cut_from(tmp_path):
    (tmp_path / "humanml3d").mkdir()
    (tmp_path / "humanml3d" / "test.txt").write_text("000001\nM000001\n000009\n")
    (tmp_path / "humanml3d" / "index.csv").write_text(
        "source_path,start_frame,end_frame,new_name\n./pose_data/CMU/01/01_04_poses.npy,0,100,000001.npy\n"
    )
    found = forced_tests({"humanml3d": None}, lambda name: tmp_path / name, CONFIG)
    assert found == {amass_origin("CMU/01/01_04_poses.npz"): "humanml3d", "humanml3d/000009": "humanml3d"}


def test_kit_ids_force_the_amass_recordings_that_a_list_names(tmp_path):
    """KIT-ML's test ids reach AMASS and BABEL by origin, whether or not KIT-ML's own motions are there."""
    (tmp_path / "kit_ml").mkdir()
    (tmp_path / "kit_ml" / "test.txt").write_text("00017\n00018\n")
    (tmp_path / "kit_ml" / "kitml.json").write_text(json.dumps({"00017": {"path": "KIT/3/bend_left01_poses"}, "00019": {"path": "x/y/z"}}))
    found = forced_tests({"kit_ml": None}, lambda name: tmp_path / name, CONFIG)
    recording = amass_origin("KIT/3/bend_left01_poses.npz")
    assert found == {recording: "kit_ml", "kit_ml/00018": "kit_ml"}
    rows = [("amass", recording, None, {}), ("babel", recording, "train", {}), ("amass", "another", None, {})]
    assert splits(rows, forced=found)[:2] == ["test", "test"]


def test_test_wins_over_val_and_val_over_the_hash():
    assert set(splits([("a", "o", "val", {}), ("b", "o", "test", {}), ("c", "o", None, {})])) == {"test"}
    assert set(splits([("a", "o", "val", {}), ("b", "o", "train", {})])) == {"val"}


def test_an_official_train_id_alone_does_not_decide():
    origins = [f"o{n}" for n in range(300)]
    found = splits([("a", o, "train", {}) for o in origins])
    assert found == [hashed_split(o, CONFIG) for o in origins] and set(found) == {"train", "val", "test"}


def test_a_source_that_is_only_trained_on_stays_in_train_unless_a_test_list_names_its_recording():
    rows = [("recombined", f"o{n}", None, {}) for n in range(100)]
    assert set(splits(rows, train_only={"recombined"})) == {"train"}
    assert splits([*rows, ("humanml3d", "o3", "test", {})], train_only={"recombined"})[3] == "test"


def test_recombined_motion_follows_what_it_was_made_from():
    rows = [("humanml3d", "a", "test", {}), ("recombined", "mix", None, {"origins": ["a", "b"]}), ("amass", "b", None, {})]
    assert set(splits(rows)) == {"test"}


def test_equal_motions_under_two_origins_share_a_split():
    rows = [("a", f"a{n}", None, {}) for n in range(40)] + [("b", f"b{n}", None, {}) for n in range(40)]
    found = splits(rows, same=[(n, n + 40) for n in range(40)])
    assert found[:40] == found[40:] and len(set(found)) > 1


def test_shares_are_near_those_asked_for():
    found = np.array([hashed_split(f"origin {n}", CONFIG) for n in range(20_000)])
    for name, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert abs((found == name).mean() - share) < 0.01


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["o1", "o2", "o3", "o4"]), st.sampled_from([None, "train", "val", "test"])),
             min_size=1, max_size=12),
    st.randoms(),
)  # fmt: skip
def test_a_split_depends_neither_on_order_nor_on_company(rows, random):
    rows = [(*row, {}) for row in rows]
    order = list(range(len(rows)))
    random.shuffle(order)
    found = splits(rows)
    assert [found[i] for i in order] == splits([rows[i] for i in order])
    for origin in {r[1] for r in rows}:
        alone = [i for i, r in enumerate(rows) if r[1] == origin]
        assert {found[i] for i in alone} == set(splits([rows[i] for i in alone]))
