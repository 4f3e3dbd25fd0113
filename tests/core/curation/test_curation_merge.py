"""The chain from sources to stages: nothing is lost without a reason, nothing leaks, nothing depends on order, and asking again is free."""

import json
import os
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from stickgen_core.corpus import Clip, Corpus, CorpusWriter
from stickgen_core.corpus.folder import Draft, publish_folder
from stickgen_core.corpus.index import index_table
from stickgen_core.corpus.ledger import ledger_table
from stickgen_core.curation import curate, find_leaks, merge
from stickgen_core.curation.config import CurationConfig, MergeConfig, StageConfig
from stickgen_core.curation.measure import chunks, measure
from stickgen_core.curation.statistics import curation_statistics, merge_statistics, write_statistics
from stickgen_core.errors import StickgenError
from stickgen_core.records.publish import temporary_beside
from stickgen_core.skeleton import JOINT_COUNT, physics, stick_layout, sticks
from stickgen_core.sources.recording import Text
from tests.core.curation.curation_motions import FPS, frozen, jittery, kick, one_joint_jumps, stuck_loop, walk, wave

CONFIG = CurationConfig(infeasible="relax")
NAMES = ("alpha", "beta", "gamma", "delta", "huge", "real", "synthetic", "mute")
MAKES = [walk, wave, kick, frozen, jittery, one_joint_jumps, stuck_loop]


def clip(name, joints, *, texts=("a person moves",), **changes):
    source = name.split("/")[0]
    joints = np.asarray(joints, np.float32)[:, None]
    motion = sticks(joints.astype(float), stick_layout("stick20"), 45.0)
    frames = len(joints)
    made = Clip(
        id=f"{name}#0", source=source, origin=name, joints=joints, present=np.ones((frames, 1), bool),
        joint_source=np.zeros(JOINT_COUNT, np.uint8), motion=motion.astype(np.float32), actions=np.full((frames, 1), -1, np.int16),
        physics=physics(motion, FPS).astype(np.float32), camera=np.tile(np.float32([0, 1, 1]), (frames, 1)),
        texts=tuple(Text(t, 0.0, frames / FPS, "caption") for t in texts), source_fps=25.0, window_s=(0.0, frames / FPS),
        origin_xz_m=(0.0, 0.0), yaw_rad=0.0, camera_source="none", licence="test",
    )  # fmt: skip
    return replace(made, **changes)


def bank(source, count, **changes):
    """Different clips: walks of all tempi, and every second one a fault or another motion; each source has a body height of its own."""
    tall = 0.75 + 0.06 * NAMES.index(source)
    for n in range(count):
        make = MAKES[n // 2 % len(MAKES)] if n % 2 else walk
        joints = make(100 + 3 * n) if make is not walk else walk(100 + 3 * n, stride_hz=0.6 + 0.013 * n, seed=n)
        yield clip(f"{source}/{n:03d}", tall * joints, **changes)


@pytest.fixture
def sources(store):
    return [store(name, bank(name, 30)) for name in ("alpha", "beta", "gamma", "delta")]


def accounted(children, parents):
    read = sum(len(parent) for parent in parents)
    assert len(children) + children.ledger().num_rows == read


def test_every_clip_is_kept_or_in_the_ledger_with_value_and_limit(sources, tmp_path):
    merged = merge(sources, CONFIG, tmp_path / "merged")
    accounted(merged, sources)
    pretrain = curate(merged, "pretrain", CONFIG, tmp_path / "pretrain")
    accounted(pretrain, [merged])
    rows = pretrain.ledger().to_pylist()
    assert {"jitter", "static_share", "explosion_z", "repetition"} <= {row["reason"] for row in rows}
    for row in rows:
        assert row["id"] and row["stage"] == "pretrain"
        if row["reason"] in ("jitter", "static_share", "explosion_z", "repetition"):
            assert row["value"] > row["limit"]
    fall = pretrain.manifest.notes["waterfall"]
    assert fall[0]["left"] == len(merged) and fall[-1]["left"] == len(pretrain)
    assert all(a["left"] - b["dropped"] == b["left"] for a, b in zip(fall, fall[1:], strict=False))


def test_source_shares_hold_in_the_training_split_of_every_stage(sources, store, tmp_path):
    config = CurationConfig(merge=MergeConfig(max_source_fraction=0.4), infeasible="refuse",
                            pretrain=StageConfig(min_quality=0, max_artefact=1, max_source_fraction=0.3))  # fmt: skip
    many = [*sources, store("huge", bank("huge", 90))]
    merged = merge(many, config, tmp_path / "merged")
    stage = curate(merged, "pretrain", config, tmp_path / "pretrain")
    for corpus, cap in ((merged, 0.4), (stage, 0.3)):
        counts = Counter(s for s, split in zip(corpus.column("source"), corpus.column("split"), strict=True) if split == "train")
        assert max(counts.values()) <= cap * counts.total()
    in_test = [row["id"] for row in merged.index.to_pylist() if row["split"] == "test"]
    assert set(in_test) <= set(stage.ids), "test clips go through untouched"


def test_infeasible_caps_are_refused_or_relaxed_and_recorded(sources, tmp_path):
    with pytest.raises(StickgenError, match="only the empty selection fits"):
        merge(sources[:2], CurationConfig(), tmp_path / "merged")
    merged = merge(sources[:2], CONFIG, tmp_path / "merged")
    assert merged.manifest.notes["balance"]["relaxed"] and merged.manifest.notes["balance"]["used"] == 0.5


def test_nothing_to_merge_says_so(tmp_path):
    with pytest.raises(StickgenError, match="nothing to merge"):
        merge([], CONFIG, tmp_path / "merged")


def test_a_source_that_is_not_there_changes_nothing_but_the_parents(sources, tmp_path):
    folder, pool = tmp_path / "absent", tmp_path / "shards"
    draft = Draft("canonical/absent", "corpus", "r", {}, {"absent": "no such folder"}, {})
    publish_folder(folder, pool, index_table([]), ledger_table([]), draft, {"read": 0, "motion_width": 0})
    with_it = merge([sources[0], Corpus.open(folder), *sources[1:]], CONFIG, tmp_path / "with")
    assert with_it.digest == merge(sources, CONFIG, tmp_path / "without").digest
    assert "canonical/absent" in with_it.manifest.parents
    assert len(curate(with_it, "pretrain", CONFIG, tmp_path / "pretrain"))


def test_the_order_of_sources_does_not_matter(sources, tmp_path):
    a = merge(sources, CONFIG, tmp_path / "a")
    b = merge(sources[::-1], CONFIG, tmp_path / "b")
    assert a.digest == b.digest
    assert a.ledger().equals(b.ledger())
    assert curate(a, "pretrain", CONFIG, tmp_path / "pa").digest == curate(b, "pretrain", CONFIG, tmp_path / "pb").digest


def test_asking_again_measures_and_writes_nothing(sources, tmp_path):
    calls = []
    first = merge(sources, CONFIG, tmp_path / "merged", cache=tmp_path / "cache", progress=lambda *a: calls.append(a))
    assert calls
    stamp = (tmp_path / "merged" / "manifest.json").stat().st_mtime_ns
    again = merge(sources, CONFIG, tmp_path / "merged", cache=tmp_path / "cache", progress=lambda *a: pytest.fail("measured again"))
    assert again.digest == first.digest and (tmp_path / "merged" / "manifest.json").stat().st_mtime_ns == stamp


def test_a_changed_source_alone_is_measured_and_gives_what_a_fresh_run_gives(sources, store, tmp_path):
    merge(sources, CONFIG, tmp_path / "merged", cache=tmp_path / "cache")
    changed = [*sources[:3], store("delta", bank("delta", 34))]
    labels = set()
    found = merge(changed, CONFIG, tmp_path / "merged", cache=tmp_path / "cache", progress=lambda label, *_: labels.add(label))
    assert labels == {"score canonical/delta"}
    assert found.digest == merge(changed, CONFIG, tmp_path / "fresh").digest


def test_equal_motions_collapse_to_the_captioned_one_with_texts_united(store, tmp_path):
    joints = walk(120)
    a = store("amass", [clip("amass/take", joints, texts=()), clip("amass/other", kick())])
    b = store("babel", [clip("babel/7", joints, texts=("walk",), origin="amass/take")])
    h = store("humanml3d", [clip("humanml3d/1", joints, texts=("a person walks", "someone strolls"), origin="humanml3d/1")])
    merged = merge([a, b, h], CONFIG, tmp_path / "merged")
    gone = {row["id"]: row for row in merged.ledger().to_pylist() if row["reason"] == "duplicate"}
    assert set(gone) == {"amass/take#0", "babel/7#0"} and "humanml3d/1#0" in gone["amass/take#0"]["detail"]
    if "humanml3d/1#0" in merged.ids:
        kept = merged.texts(merged.position("humanml3d/1#0"))
        assert [t.text for t in kept] == ["a person walks", "someone strolls", "walk"]
    assert merged.verify() == []


def test_a_clip_that_gained_captions_may_still_be_capped_away(sources, store, tmp_path):
    """Its captions then go with it: they belong to a clip that is not there."""
    told = [walk(100 + 3 * n, stride_hz=0.6 + 0.013 * n, seed=n) for n in range(30)]
    twice = store(
        "huge", (clip(f"huge/{n}{which}", j, texts=(f"{which} {n}",), origin=f"huge/{n}") for n, j in enumerate(told) for which in "ab")
    )
    merged = merge([*(store(n, bank(n, 5)) for n in ("real", "mute")), twice], replace_balance(CONFIG, 0.4), tmp_path / "merged")
    reasons = Counter(row["reason"] for row in merged.ledger().to_pylist())
    assert reasons["duplicate"] == 30 and reasons["source_balance"] > 0
    left = [merged.texts(n) for n, name in enumerate(merged.ids) if name.startswith("huge/")]
    assert left and all(len(texts) == 2 for texts in left) and merged.verify() == []


def test_a_test_id_reaches_a_bit_equal_motion_of_another_origin(store, tmp_path):
    joints = [walk(100 + n, stride_hz=0.7 + 0.02 * n) for n in range(12)]
    official = store("humanml3d", [clip(f"humanml3d/{n}", j, official_split="test") for n, j in enumerate(joints)])
    nearly = store("amass", [clip(f"amass/{n}", j + 0.001) for n, j in enumerate(joints)])
    merged = merge([official, nearly], replace_balance(CONFIG, 1.0), tmp_path / "merged")
    assert set(merged.column("split")) == {"test"}
    assert merged.manifest.notes["near_duplicates"]["pairs"] >= 12


def replace_balance(config, cap):
    return config.model_copy(update={"merge": MergeConfig(max_source_fraction=cap)})


@pytest.mark.parametrize("kind", ["origin", "group", "motion", "near duplicate"])
def test_a_planted_leak_of_each_kind_is_caught(kind, store, tmp_path):
    joints = walk(140)
    other = {"origin": kick(), "group": kick(), "motion": joints, "near duplicate": joints + 0.0005}[kind]
    corpus = store("made", [clip("made/a", joints), clip("made/b", other, origin="made/a" if kind == "origin" else "made/b")])
    measured = measure(corpus, CONFIG)
    annotations = {"split": pa.array(["train", "test"]), "motion_digest": measured["motion_digest"].combine_chunks()}
    if kind == "group":  # different performances that grouping had joined, as through a third clip
        annotations["group"] = pa.array(["made/a", "made/a"])
    leaky = corpus.select([0, 1], tmp_path / "leaky", "leaky", "r", annotations=annotations)
    found = {leak.kind: leak for leak in find_leaks(leaky, CONFIG)}
    assert found[kind].blocking and found[kind].count == 1
    assert not found["caption"].blocking


def test_a_merged_corpus_has_no_leak(sources, tmp_path):
    merged = merge(sources, CONFIG, tmp_path / "merged")
    assert [leak for leak in find_leaks(merged, CONFIG) if leak.blocking] == []


def test_idle_people_are_not_copies_of_each_other(store, tmp_path):
    still = frozen(100)
    sway = [still + 0.004 * np.sin(np.arange(100) / (5 + n))[:, None, None] * np.eye(22)[n % 22][None, :, None] for n in range(10)]
    corpus = store("idle", [clip(f"idle/{n}", j) for n, j in enumerate(sway)])
    merged = merge([corpus], replace_balance(CONFIG, 1.0), tmp_path / "merged")
    assert merged.manifest.notes["near_duplicates"]["pairs"] == 0


def test_sft_asks_for_text_caps_actions_and_synthetic_and_reports_its_overlap(store, tmp_path):
    real = store("real", (replace(c, actions=np.full_like(c.actions, n % 3)) for n, c in enumerate(bank("real", 40))))
    made = store("synthetic", bank("synthetic", 60))
    mute = store("mute", bank("mute", 20, texts=()))
    sft = StageConfig(
        min_quality=0, max_artefact=1, needs_text=True, max_source_fraction=0.6, max_action_fraction=0.3, max_synthetic_fraction=0.4
    )
    config = replace_balance(CONFIG, 1.0).model_copy(update={"sft": sft, "infeasible": "refuse"})
    merged = merge([real, made, mute], config, tmp_path / "merged")
    stages = {
        name: curate(merged, name, config.model_copy(update={"infeasible": "relax"}), tmp_path / name) for name in ("pretrain", "sft")
    }
    rows = [row for row in stages["sft"].index.to_pylist() if row["split"] == "train"]
    counts = Counter(row["source"] for row in rows)
    assert "mute" not in counts and counts["synthetic"] <= 0.4 * len(rows) and counts["real"] <= 0.6 * len(rows)
    actions = Counter(row["action"] for row in rows)
    assert all(n <= 0.3 * len(rows) for action, n in actions.items() if action >= 0)
    capped = [row for row in stages["sft"].ledger().to_pylist() if row["reason"] in ("action_balance", "source_balance")]
    assert capped and all(row["limit"] < 1 and row["value"] > row["limit"] for row in capped), "each over the share of its own class"
    found = curation_statistics(merged, stages)
    assert found["overlap_within_train"]["sft_in_pretrain"]["clips"] <= len(rows)
    write_statistics(tmp_path / "curation_stats.json", found)
    assert json.loads((tmp_path / "curation_stats.json").read_text())["stages"]["sft"]["drops"]["by_reason"]["no_text"] > 0


def test_camera_stability_is_asked_only_of_clips_with_a_camera(store, tmp_path):
    shaken = np.random.default_rng(0).normal([0, 1, 1], 0.05, (120, 3)).astype(np.float32)
    corpus = store("cam", [clip("cam/a", walk(120)), clip("cam/b", walk(121), camera=np.tile(np.float32([0, 1, 1]), (121, 1)), camera_source="measured"),
                           clip("cam/c", walk(120, seed=5, stride_hz=0.8), camera=shaken, camera_source="measured")])  # fmt: skip
    rules = StageConfig(min_quality=0, max_artefact=1, min_camera_stability=0.6, max_source_fraction=1)
    config = replace_balance(CONFIG, 1.0).model_copy(
        update={"sft": rules, "splits": CONFIG.splits.model_copy(update={"train": 1.0, "val": 1e-12, "test": 1e-12})}
    )
    sft = curate(merge([corpus], config, tmp_path / "merged"), "sft", config, tmp_path / "sft")
    assert [row["id"] for row in sft.ledger().to_pylist()] == ["cam/c#0"]


def test_statistics_are_equal_bytes_for_equal_corpora(sources, tmp_path):
    for name, order in (("a", sources), ("b", sources[::-1])):
        write_statistics(tmp_path / f"{name}.json", merge_statistics(merge(order, CONFIG, tmp_path / name)))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_curating_leaves_the_merged_corpus_as_it_was(sources, tmp_path):
    merged = merge(sources, CONFIG, tmp_path / "merged")
    before = merged.digest
    curate(merged, "sft", CONFIG.model_copy(update={"sft": StageConfig(min_quality=0, max_artefact=1)}), tmp_path / "sft")
    assert Corpus.open(tmp_path / "merged").digest == before and Corpus.open(tmp_path / "merged").verify() == []


def test_the_statistics_tell_what_conversion_had_left_out(store, tmp_path):
    from stickgen_core.corpus import LedgerRow

    with CorpusWriter(tmp_path / "beta", shards=tmp_path / "shards", name="canonical/beta") as writer:
        for one in bank("beta", 4):
            writer.add(one)
        writer.drop(LedgerRow("file", "", "window", "too_short"))
        beta = writer.publish()
    corpora = [store("alpha", bank("alpha", 4)), beta]
    merged = merge(corpora, CONFIG, tmp_path / "merged")
    assert merge_statistics(merged, corpora)["drops_before"] == {"canonical/beta": {"too_short": 1}}


def test_two_workers_measure_what_one_does(store):
    corpus = store("alpha", bank("alpha", 12))
    tiny = CurationConfig(scores=CONFIG.scores.model_copy(update={"chunk_frames": 120}))
    assert len(list(chunks(corpus.column("frames"), 120))) > 2
    with pytest.MonkeyPatch.context() as small:
        small.setattr(sys.modules["stickgen_core.curation.measure"], "CHUNKS_A_TASK", 3)
        assert measure(corpus, tiny, workers=2).equals(measure(corpus, tiny))


def test_what_a_killed_measuring_left_behind_is_swept_by_the_next(store, tmp_path):
    corpus = store("alpha", bank("alpha", 3))
    cache = tmp_path / "measured"
    cache.mkdir()
    left = temporary_beside(cache / "x.parquet")
    left = left.with_name(left.name.replace(f"-{os.getpid()}.", "-999999999."))
    left.write_bytes(b"half")
    measure(corpus, CONFIG, cache)
    assert not left.exists() and len(list(cache.iterdir())) == 1
