"""Collection on a real data root: it frees what it said, keeps what a root needs and what cannot be proved, and what went comes back equal."""

import json
import os
import shutil
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from stickgen_core.corpus import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.records.collection import Policy, Proof, Thing, apply, by_class, decide
from stickgen_core.records.manifest import read_manifest
from stickgen_core.records.pins import pin, pins, unpin
from stickgen_core.records.publish import exclusively
from stickgen_pipeline.collecting import damaged, plan
from stickgen_pipeline.commands import corpus
from stickgen_pipeline.proofs import Prover
from stickgen_pipeline.witness import history_of, lineage_of

GENERATIONS = ("datasets.synthetic.options.seed=2", "datasets.synthetic.options.seed=3")
NOW = Policy(grace_h=0.0)


def on_disk(folder: Path) -> int:
    return sum({(s.st_dev, s.st_ino): s.st_size for s in (p.stat() for p in folder.rglob("*") if p.is_file())}.values())


@pytest.fixture(scope="module")
def generations(pristine, tmp_path_factory):
    """Three generations of synthetic data; the last one is in place."""
    found = type(pristine)(tmp_path_factory.mktemp("three") / "data", pristine.raw)
    shutil.copytree(pristine.folder, found.folder)
    for generation in GENERATIONS:
        found.build(generation)
    return found


@pytest.fixture
def three(generations, copy_of):
    return copy_of(generations, "copy")


def test_three_generations_free_what_was_said_and_what_is_in_place_still_verifies(three):
    settings = three.settings(GENERATIONS[-1])
    decisions = plan(settings, NOW)
    going = [d for d in decisions if d.remove]
    assert going and all(d.thing.row == "superseded_shard" for d in going)
    assert all("recorded configuration" in " ".join(d.proof.lines) for d in going), "an older configuration proves an older shard"
    before, said = on_disk(three.folder), sum(d.bytes for d in going)
    freed = apply(decisions)
    assert said == freed == before - on_disk(three.folder) > 0
    assert damaged(settings) == []
    assert not any(d.remove for d in plan(settings, NOW)), "a second collection finds nothing"
    assert all(o.reused for o in three.build(GENERATIONS[-1]).values()), "collection touched what is in place"


def test_an_optional_artefact_that_went_is_made_again_to_the_same_digest(root):
    before = read_manifest(root.folder / "merged_all").digest
    decisions = plan(root.settings(), Policy(0.0, ("optional",)))
    assert [d.thing.name for d in decisions if d.remove and d.thing.row == "merged"] == ["corpus/merged"]
    apply(decisions)
    assert not (root.folder / "merged_all").exists()
    outcomes = root.build()
    assert read_manifest(root.folder / "merged_all").digest == before
    assert outcomes["corpus/curated_pretrain"].reused, "what is downstream had to be made again"


def test_what_cannot_be_made_again_stays_with_the_reason(three):
    """Somebody edited the history's configuration away: the older generations can no longer be argued for."""
    for path in (three.folder / "lineage" / ".configurations").iterdir():
        path.unlink()
    held = [d for d in plan(three.settings(GENERATIONS[-1]), NOW) if d.thing.row == "superseded_shard"]
    assert held and not any(d.remove for d in held)
    assert all(d.because == "cannot be made again from what remains" and d.proof.lines for d in held)


@pytest.mark.slow
def test_raw_files_that_are_gone_prove_nothing(root):
    folder = root.raw / "deepmimic"
    folder.mkdir(parents=True)
    rows = [[0.04, 0.0, 0.9, 0.0, 1.0, 0.0, 0.0, 0.0, *([1.0, 0.0, 0.0, 0.0] * 9)][:44] for _ in range(60)]
    (folder / "humanoid3d_stand.txt").write_text(json.dumps({"Loop": "none", "Frames": rows}))
    root.build()
    canonical = ("canonical/deepmimic", read_manifest(root.folder / "motions_processed" / "deepmimic").digest)
    assert Prover(root.settings())(canonical).holds
    (folder / "humanoid3d_stand.txt").unlink()
    found = Prover(root.settings())(canonical)
    assert not found.holds and any("1 of its files are gone" in line for line in found.lines)


def test_a_pin_keeps_an_older_generation_and_letting_it_go_frees_it(three):
    settings = three.settings(GENERATIONS[-1])
    lineage = lineage_of(settings)
    oldest = history_of(settings).of("corpus/merged")[-1]
    kept = pin(three.folder / "pins", lineage.walk(lineage.find(f"corpus/merged@{oldest.digest}")), "a paper")
    apply(plan(settings, NOW))
    assert oldest.belongs and all((three.folder / "shards" / f"{shard}.arrow").exists() for shard in oldest.belongs)
    unpin(three.folder / "pins", kept.name)
    assert pins(three.folder / "pins") == []
    assert sum(d.remove for d in plan(settings, NOW)) == len(oldest.belongs)


def test_what_is_in_place_and_pinned_stays_whatever_is_asked_and_its_row_names_the_pin(root):
    settings = root.settings()
    lineage = lineage_of(settings)
    found = {name: lineage.find(name) for name in ("corpus/embedded_sft", "canonical/synthetic")}
    greedy = Policy(0.0, ("discardable", "optional", "recommended"), {"discardable": 0, "optional": 0, "recommended": 0})
    before = {d.thing.name for d in plan(settings, greedy) if d.remove}
    assert {"corpus/merged", "corpus/curated_sft", "canonical/synthetic"} <= before and any(name.startswith("vectors ") for name in before)
    kept = pin(root.folder / "pins", lineage.walk(found["corpus/embedded_sft"]), "released")
    decisions = {d.thing.name: d for d in plan(settings, greedy)}
    held = {name for name, d in decisions.items() if d.thing.pins}
    assert held >= {"corpus/merged", "corpus/curated_sft", "canonical/synthetic", "corpus/embedded_sft"}
    assert {kind.split()[0] for kind in held} >= {"shard", "vectors"}
    assert all(not decisions[name].remove and kept.name in decisions[name].because for name in held)
    apply(decisions.values())
    assert (root.folder / "merged_all").exists() and damaged(settings) == []


@pytest.fixture
def sweep(monkeypatch):
    """`stickgen corpus sweep --grace-h 0` on a root."""

    def swept(settings) -> int:
        monkeypatch.setattr(corpus, "settings_of", lambda options: settings)
        return corpus.sweep(Namespace(grace_h=0.0, json=False))

    return swept


def test_a_sweep_leaves_the_shards_of_a_pinned_generation(three, sweep):
    settings = three.settings(GENERATIONS[-1])
    lineage, (*_, middle, oldest) = lineage_of(settings), history_of(settings).of("corpus/merged")
    there = {path.stem for path in (three.folder / "shards").glob("*.arrow")}
    assert set(oldest.belongs) | set(middle.belongs) <= there
    pin(three.folder / "pins", lineage.walk(lineage.find(f"corpus/merged@{oldest.digest}")), "a paper")
    sweep(settings)
    left = {path.stem for path in (three.folder / "shards").glob("*.arrow")}
    assert set(oldest.belongs) <= left and not set(middle.belongs) <= left and damaged(settings) == []


def test_a_sweep_waits_for_a_build(root, sweep):
    shard = root.folder / "shards" / f"{'a' * 64}.arrow"
    shard.write_bytes(b"not named yet")
    with exclusively(root.folder / ".build" / "lock"), pytest.raises(StickgenError, match="already writing here"):
        sweep(root.settings())
    assert shard.exists()


def test_a_damaged_pin_stops_collection(root):
    (root.folder / "pins").mkdir()
    (root.folder / "pins" / "x.json").write_text("{")
    with pytest.raises(StickgenError, match="not a pin"):
        plan(root.settings(), NOW)


def test_the_grace_period_spares_what_is_young(three):
    assert not any(d.remove for d in plan(three.settings(GENERATIONS[-1]), Policy(grace_h=1.0)))


def test_an_artefact_that_has_not_passed_its_gates_stops_collection(root):
    place = root.folder / ".steps" / "corpus.merged"
    (place / "aside").mkdir()
    with pytest.raises(StickgenError, match="has not passed its gates"):
        plan(root.settings(), NOW)


def test_an_unknown_shard_is_kept_and_a_leftover_of_a_dead_writer_goes(root):
    (root.folder / "shards" / f"{'a' * 64}.arrow").write_bytes(b"whose?")
    (root.folder / "shards" / ".x.arrow.999999999.abcd.tmp").write_bytes(b"half")
    decisions = {d.thing.name: d for d in plan(root.settings(), NOW)}
    unknown = decisions[f"shard {'a' * 12}"]
    assert not unknown.remove and "no record" in unknown.because
    assert decisions["leftover .x.arrow.999999999.abcd.tmp"].remove


def a_thing(tmp_path: Path, name: str, row: str, size: int = 10, age_h: float = 100.0, roots=("in place",), owners=(("k", "d"),)) -> Thing:
    path = tmp_path / name
    path.write_bytes(b"x" * size)
    return Thing(name, (path,), row, age_h, roots, owners)


def yes(name):
    return Proof(True, ("can be",))


def no(name):
    return Proof(False, ("cannot be",))


def test_critical_things_that_a_root_needs_never_go_whatever_is_asked(tmp_path):
    thing = a_thing(tmp_path, "weights", "checkpoint")
    (found,) = decide([thing], yes, Policy(0.0, ("discardable", "optional", "recommended"), {"recommended": 0, "optional": 0}))
    assert not found.remove and "critical" in found.because


def test_nothing_goes_without_a_proof_not_even_over_its_quota(tmp_path):
    things = [a_thing(tmp_path, str(n), "videos", 100, age_h=n) for n in range(3)]
    decisions = decide(things, no, Policy(0.0, ("optional",), {"optional": 0}))
    assert not any(d.remove for d in decisions)


def test_a_quota_takes_the_oldest_first_until_it_fits(tmp_path):
    things = [a_thing(tmp_path, str(n), "videos", 100, age_h=n) for n in (1, 3, 2)]
    decisions = decide(things, yes, Policy(0.0, (), {"optional": 150}))
    assert {d.thing.name for d in decisions if d.remove} == {"3", "2"}


def test_a_quota_passes_over_what_a_pin_holds(tmp_path):
    things = [a_thing(tmp_path, str(n), "videos", 100, age_h=n) for n in (1, 3, 2)]
    things[1] = replace(things[1], pins=("pin x",))
    decisions = {d.thing.name: d for d in decide(things, yes, Policy(0.0, ("optional",), {"optional": 150}))}
    assert {name for name, d in decisions.items() if d.remove} == {"1", "2"}
    assert decisions["3"].because == "held by pin x"


def test_bytes_of_a_hard_link_count_only_when_the_last_one_goes(tmp_path):
    one = a_thing(tmp_path, "one", "videos", 1000, roots=())
    os.link(tmp_path / "one", tmp_path / "two")
    two = Thing("two", (tmp_path / "two",), "videos", 100.0, (), (("k", "d"),))
    (alone,) = decide([one], yes, NOW)
    assert alone.remove and alone.bytes == 0
    both = decide([one, two], yes, NOW)
    assert sum(d.bytes for d in both) == 1000 and apply(both) == 1000


def test_a_folder_is_never_half_an_artefact(tmp_path, monkeypatch):
    """Killed while it removes, collection leaves a folder without a manifest: not there, never wrong."""
    folder = tmp_path / "merged"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    (folder / "index.parquet").write_bytes(b"x")
    thing = Thing("merged", (folder,), "merged", 100.0, (), (("k", "d"),))

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("stickgen_core.records.collection.shutil.rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        apply(decide([thing], yes, NOW))
    assert not (folder / "manifest.json").exists() and (folder / "index.parquet").exists()


def test_bytes_by_class_add_up(tmp_path):
    things = [a_thing(tmp_path, "a", "videos", 7), a_thing(tmp_path, "b", "checkpoint", 11), a_thing(tmp_path, "c", "refused", 5, roots=())]
    table = by_class(decide(things, yes, NOW))
    assert {kind: (row["bytes"], row["freed"]) for kind, row in table.items()} == {
        "optional": (7, 0),
        "critical": (11, 0),
        "discardable": (5, 5),
    }


def test_weights_of_a_superseded_run_go_but_its_record_stays(root, monkeypatch):
    from stickgen_core.records.digests import digest_file
    from stickgen_core.records.history import Entry
    from stickgen_core.records.manifest import FileRecord, Manifest
    from stickgen_core.records.runs import Run

    settings = root.settings()
    run = Run.create(settings.places.outputs, "small_sft", task="small_sft", config_yaml="a: 1", config_hash="h", environment={})
    (run.folder / "model.safetensors").write_bytes(b"weights of long ago")
    run.finish("completed", metrics={"val_loss": 2.0})
    better = Run.create(settings.places.outputs, "small_sft", task="small_sft", config_yaml="a: 1", config_hash="h", environment={})
    better.finish("completed", metrics={"val_loss": 1.0})
    from stickgen_core.records.model_registry import ModelRegistry

    ModelRegistry(settings.places.registry_file).rebuild(settings.places.outputs)
    record = FileRecord(len(b"weights of long ago"), digest_file(run.folder / "model.safetensors"))
    manifest = Manifest("checkpoint/small_sft", "checkpoint", "c" * 64, "r", {}, files={"model.safetensors": record})
    history_of(settings).add(
        Entry(manifest.name, manifest.digest, "checkpoint", "unknown recipe", {}, manifest, made={"at": str(time.time())})
    )
    mine = {d.thing.name: d for d in plan(settings, NOW)}[f"run {run.run_id}"]
    assert not mine.remove and mine.because == "cannot be made again from what remains"
    monkeypatch.setattr("stickgen_pipeline.proofs.Prover.__call__", lambda self, name: Proof(True, ("argued",)))
    decisions = plan(settings, NOW)
    apply(decisions)
    assert not (run.folder / "model.safetensors").exists()
    assert {p.name for p in run.folder.iterdir()} >= {"config.yaml", "metadata.yaml"}


def test_collection_leaves_a_corpus_readable_while_it_is_open(three):
    merged = Corpus.open(three.folder / "merged_all")
    apply(plan(three.settings(GENERATIONS[-1]), NOW))
    assert sum(clip.motion.shape[0] for clip in merged) == int(merged.index["frames"].to_numpy().sum())


def test_a_checkpoint_in_a_folder_on_another_disk_keeps_the_weights_it_is(root, tmp_path):
    from stickgen_core.records.runs import Run

    settings = root.settings()
    run = Run.create(settings.places.outputs, "small_sft", task="small_sft", config_yaml="a: 1", config_hash="h", environment={})
    (run.folder / "model.safetensors").write_bytes(b"weights")
    run.finish("completed", metrics={"val_loss": 1.0})
    disk = tmp_path / "disk" / "small_sft"
    disk.mkdir(parents=True)
    os.link(run.folder / "model.safetensors", disk / "model.safetensors")
    settings.places.checkpoints.mkdir(parents=True, exist_ok=True)
    (settings.places.checkpoints / "small_sft").symlink_to(disk)
    mine = {d.thing.name: d for d in plan(settings, NOW)}[f"run {run.run_id}"]
    assert "the checkpoint in place is this file" in mine.thing.roots
