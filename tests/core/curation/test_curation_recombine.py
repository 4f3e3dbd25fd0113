"""Recombined motion: told truly, physically possible, made of training clips only, and on one side of every split."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from stickgen_core.corpus import Clip, Corpus
from stickgen_core.corpus.withdrawal import withdraw
from stickgen_core.curation import find_leaks, merge
from stickgen_core.curation.config import CurationConfig, RecombineConfig
from stickgen_core.curation.recombine import longest_flight, recombine
from stickgen_core.curation.retelling import mirrored_texts, retimed_texts, swapped_sides
from stickgen_core.curation.splicing import best_join, bone_lengths, joined
from stickgen_core.skeleton import JOINT, JOINT_COUNT, physics, stick_layout, sticks
from stickgen_core.skeleton.mirror import mirror_joints
from stickgen_core.sources.recording import Text
from tests.core.curation.curation_motions import FPS, walk, wave

OFF = CurationConfig(infeasible="relax")
ALL = RecombineConfig(mirrored_share=1.0, retimed_share=1.0, spliced_share=1.0, pose_m=0.3, velocity_m_s=3.0)
ON = OFF.model_copy(update={"recombine": ALL})


def clip(name, joints, *, text="a person moves the left hand", **changes):
    joints = np.asarray(joints, np.float32)[:, None]
    motion = sticks(joints.astype(float), stick_layout("stick20"), 45.0)
    frames = len(joints)
    made = Clip(
        id=f"{name}#0", source=name.split("/")[0], origin=name, joints=joints, present=np.ones((frames, 1), bool),
        joint_source=np.zeros(JOINT_COUNT, np.uint8), motion=motion.astype(np.float32), actions=np.full((frames, 1), 3, np.int16),
        physics=physics(motion, FPS).astype(np.float32), camera=np.tile(np.float32([0, 1, 1]), (frames, 1)),
        texts=(Text(text, 0.0, frames / FPS, "caption"),), source_fps=25.0, window_s=(0.0, frames / FPS),
        origin_xz_m=(0.0, 0.0), yaw_rad=0.0, camera_source="none", licence="test",
    )  # fmt: skip
    return replace(made, **changes)


def people(source, count):
    for n in range(count):
        joints = walk(90 + 2 * n, stride_hz=0.7 + 0.02 * n, seed=n) if n % 3 else wave(90 + 2 * n, rate_hz=1.2 + 0.05 * n)
        yield clip(f"{source}/{n:02d}", joints, text=f"a person walks to the left, style {n}")


@pytest.fixture
def sources(store):
    return [store("alpha", people("alpha", 18)), store("synthetic", people("synthetic", 6))]


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("a person waves the left hand", "a person waves the right hand"),
        ("Turns right, then LEFT.", "Turns left, then RIGHT."),
        ("walks in a clockwise circle", "walks in a counterclockwise circle"),
        ("steps leftwards with the right-hand side first", "steps rightwards with the left-hand side first"),
        ("a person sits down", "a person sits down"),
    ],
)
def test_a_mirrored_caption_says_the_other_side(text, mirrored):
    assert swapped_sides(text) == mirrored and swapped_sides(mirrored) == text


@pytest.mark.parametrize(
    "text", ["a man left the room", "he stands upright", "she jumps right away", "the person is left alone", "all right"]
)
def test_a_left_or_right_that_is_no_side_is_not_mirrored(text):
    assert isinstance(mirrored_texts((Text(text, 0, 2, "caption"),)), str)


def test_a_word_of_speed_is_never_made_untrue():
    def retold(text, tempo):
        return not isinstance(retimed_texts((Text(text, 0, 2, "caption"),), tempo, 0.05), str)

    assert retold("a man walks slowly", 0.85) and not retold("a man walks slowly", 1.15)
    assert retold("a man runs fast", 1.15) and not retold("a man runs fast", 0.85)
    assert not retold("a man runs fast, then slowly", 0.9) and not retold("a man walks at a normal pace", 1.1)
    assert retold("a man walks", 0.9) and retold("a man walks", 1.1)


def test_a_body_in_flight_keeps_its_time():
    joints = walk(100)[:, None]
    assert longest_flight(joints, np.ones((100, 1), bool), 0.12) <= 3
    joints[40:52] += [0, 0.5, 0]
    assert longest_flight(joints, np.ones((100, 1), bool), 0.12) >= 12


def test_a_splice_keeps_the_bones_and_does_not_jump():
    first, second = walk(100, seed=1), walk(100, stride_hz=0.9, seed=2) @ np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]]) + [3, 0, 2]
    join = best_join(first, second, 20, FPS)
    whole = joined(first, second, join, 10)
    assert np.allclose(bone_lengths(whole[:, None]), bone_lengths(first[:, None]), atol=1e-3)
    step = np.abs(np.diff(whole, axis=0)).max((1, 2))
    assert step[join.leave - 3 : join.leave + 12].max() < 1.6 * max(
        np.abs(np.diff(first, axis=0)).max(), np.abs(np.diff(second, axis=0)).max()
    )
    facing = whole[:, JOINT["left_hip"]] - whole[:, JOINT["right_hip"]]
    assert np.abs(np.diff(np.unwrap(np.arctan2(-facing[:, 2], facing[:, 0])))).max() < 0.3


def test_nothing_is_recombined_by_default(sources, tmp_path):
    plain = merge(sources, OFF, tmp_path / "merged", shards=tmp_path / "shards")
    assert not any("~" in name for name in plain.ids) and not (tmp_path / "merged.recombined").exists()


def test_recombined_clips_are_merged_and_nothing_crosses_a_split(sources, tmp_path):
    merged = merge(sources, ON, tmp_path / "merged", shards=tmp_path / "shards")
    split = dict(zip(merged.ids, merged.column("split"), strict=True))
    plain = merge(sources, OFF, tmp_path / "other", shards=tmp_path / "shards")
    before = dict(zip(plain.ids, plain.column("split"), strict=True))
    assert {name: split[name] for name in before if name in split} == before
    new = [name for name in merged.ids if "~" in name]
    kinds = {kind: [n for n in new if kind in n] for kind in ("~mirrored", "~x", "~then")}
    assert all(kinds.values()), {k: len(v) for k, v in kinds.items()}
    for name in new:
        one = merged.clip(merged.position(name))
        assert split[name] == "train" and one.source == "alpha"
        parts = one.extra.get("spliced_of", [name.split("~")[0]])
        origins = {plain.clip(plain.position(part)).origin for part in parts}
        assert set(one.extra["origins"]) == origins and {before[part] for part in parts} == {"train"}
    assert not [leak for leak in find_leaks(merged, ON) if leak.blocking]


def test_a_test_clip_that_mirrors_a_training_clip_moves_nothing_but_what_resembles_it(sources, store, tmp_path):
    """Spliced clips chain their parts together: one resemblance would take the whole chain, made clips with it, into the test split."""
    plain = merge(sources, OFF, tmp_path / "plain", shards=tmp_path / "shards")
    name = next(n for n, split in zip(plain.ids, plain.column("split"), strict=True) if split == "train" and n.startswith("alpha"))
    mirror = mirror_joints(plain.clip(plain.position(name)).joints.astype(np.float64))[:, 0]
    test = store("beta", [clip("beta/t", mirror, official_split="test")])
    before = merge([*sources, test], OFF, tmp_path / "without", shards=tmp_path / "shards")
    merged = merge([*sources, test], ON, tmp_path / "merged", shards=tmp_path / "shards")
    split = dict(zip(merged.ids, merged.column("split"), strict=True))
    old = dict(zip(before.ids, before.column("split"), strict=True))
    assert {n: split[n] for n in old if n in split} == {n: s for n, s in old.items() if n in split}
    assert {split[n] for n in split if "~" in n} == {"train"}
    gone = {row["id"] for row in merged.ledger().to_pylist() if row["reason"] == "like_held_out"}
    assert f"{name}~mirrored" in gone and gone and all("~" in n for n in gone)
    assert not [leak for leak in find_leaks(merged, ON) if leak.blocking]


def test_a_part_in_another_split_would_be_carried_along_by_its_origins(store, tmp_path):
    """The negative control: origins in `extra` are what keeps a recombined clip with its parts."""
    walker = clip("alpha/a", walk(100, seed=5), official_split="test")
    spliced = clip("alpha/b", walk(110, seed=6), extra={"origins": ["alpha/a", "alpha/b"]})
    merged = merge([store("alpha", [walker, spliced, *list(people("alpha", 4))])], OFF, tmp_path / "merged", shards=tmp_path / "shards")
    split = dict(zip(merged.ids, merged.column("split"), strict=True))
    assert split["alpha/b#0"] == "test"


def test_what_a_clip_becomes_does_not_depend_on_company_or_order(sources, store, tmp_path):
    half_the_clips = RecombineConfig(mirrored_share=0.5, retimed_share=0.5)
    config = ON.model_copy(update={"recombine": half_the_clips})
    plain = merge(sources, OFF, tmp_path / "merged", shards=tmp_path / "shards")
    every_other = store("fewer", [c for n, c in enumerate(people("alpha", 18)) if n % 2])
    fewer = merge([every_other], OFF, tmp_path / "half", shards=tmp_path / "shards")
    made = recombine(plain, config, tmp_path / "one", shards=plain.pool)
    half = recombine(fewer, config, tmp_path / "two", shards=fewer.pool)
    kept = [name for name in half.ids if name.split("~")[0] in plain.ids and name in made.ids]
    digests = [dict(zip(c.ids, c.index["digest"].to_pylist(), strict=True)) for c in (made, half)]
    assert kept and len(made) > len(half)
    assert {name: digests[0][name] for name in kept} == {name: digests[1][name] for name in kept}
    assert recombine(plain, config, tmp_path / "again", shards=plain.pool).digest == made.digest


def test_a_mirrored_wave_is_the_other_hand_s_wave(store, tmp_path):
    plain = merge(
        [store("alpha", [clip(f"alpha/{n}", wave(100 + 4 * n)) for n in range(6)])], OFF, tmp_path / "merged", shards=tmp_path / "shards"
    )
    only = ON.model_copy(update={"recombine": RecombineConfig(mirrored_share=1.0)})
    made = recombine(plain, only, tmp_path / "made", shards=plain.pool)
    assert len(made) >= 1
    one = made.clip(0)
    assert one.joints[:, 0, JOINT["right_wrist"], 1].max() > one.joints[:, 0, JOINT["left_wrist"], 1].max() + 0.3
    assert "right hand" in one.texts[0].text and one.extra["mirrored_of"] == one.id.split("~")[0]
    assert one.camera_source == "none" and np.allclose(one.joints[0, 0, 0, [0, 2]], 0, atol=1e-6)


def test_captions_that_recombined_clips_were_told_with_leave_with_their_source(store, tmp_path):
    secret = "a sentence of the withdrawn source"
    motions = [walk(90 + 2 * n, stride_hz=0.7 + 0.02 * n, seed=n) for n in range(18)]
    alpha = store("alpha", [clip(f"alpha/{n:02d}", joints, text=f"a person walks, style {n}") for n, joints in enumerate(motions)])
    beta = store("beta", [clip(f"beta/{n:02d}", joints, text=f"{secret} {n}", origin=f"alpha/{n:02d}") for n, joints in enumerate(motions)])
    merged = merge([alpha, beta], ON, tmp_path / "merged", shards=tmp_path / "shards")
    kinds = ("~mirrored", "~x", "~then~")
    assert all(any(kind in name and name.startswith("alpha/") for name in merged.ids) for kind in kinds)
    for folder in ("merged", "merged.plain"):
        shutil.rmtree(tmp_path / folder)
    withdraw(tmp_path, tmp_path / "shards", "beta", "revoked")
    assert not any(secret.encode() in path.read_bytes() for path in (tmp_path / "shards").iterdir())
    assert len(Corpus.open(tmp_path / "merged.recombined")) == 0 and Corpus.open(tmp_path / "alpha").digest == alpha.digest
