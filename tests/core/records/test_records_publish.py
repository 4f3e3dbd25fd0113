"""Digests, seeds, atomic publishing and manifests."""

import errno
import os
import sys
import time

import numpy as np
import pytest

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.digests import digest_entries, digest_fields, digest_json, field_digest
from stickgen_core.records.folders import entries_below
from stickgen_core.records.manifest import Manifest, find_manifest, manifest_path, read_manifest, write_manifest
from stickgen_core.records.publish import FOREIGN_GRACE_S, exclusively, host_tag, publish_bytes, publishing, sweep, temporary_beside
from stickgen_core.records.seeds import generator, key64, unit


def test_a_field_digest_sees_name_type_shape_and_values():
    values = np.arange(6, dtype=np.float32)
    variants = [
        field_digest("a", values), field_digest("b", values), field_digest("a", values.reshape(2, 3)), field_digest("a", values.astype(np.float64)),
        field_digest("a", values + 1),
    ]  # fmt: skip
    assert len(set(variants)) == len(variants)


def test_a_field_digest_does_not_see_memory_layout_or_byte_order():
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    assert field_digest("a", values) == field_digest("a", np.asfortranarray(values)) == field_digest("a", values.astype(">f4"))
    assert field_digest("a", values[:, ::-1][:, ::-1]) == field_digest("a", values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_have_no_digest(bad):
    with pytest.raises(ValueError, match="non-finite"):
        field_digest("a", np.array([1.0, bad]))


def test_digests_ignore_order_and_unicode_form():
    assert digest_entries("k", [("a", "1"), ("b", "2")]) == digest_entries("k", [("b", "2"), ("a", "1")])
    assert digest_entries("k", [("a", "1")]) != digest_entries("l", [("a", "1")])
    assert digest_json({"a": 1, "b": "n\u00e9"}) == digest_json({"b": "ne\u0301", "a": 1})
    arrays = {"x": np.zeros(2), "y": np.ones(2)}
    assert digest_fields("k", arrays, {}) == digest_fields("k", dict(reversed(arrays.items())), {})


def test_draws_depend_on_their_names_alone():
    assert unit("a", 1) == unit("a", 1) != unit("a", 2)
    assert key64("ab", "c") != key64("a", "bc")
    generator("other").random()
    assert generator("x").random() == generator("x").random()


def test_publishing_replaces_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "x.txt"
    publish_bytes(target, b"old")
    with pytest.raises(RuntimeError), publishing(target) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old" and [p.name for p in target.parent.iterdir()] == ["x.txt"]


def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(StickgenError, match="the disk is full; the old version is untouched"), publishing(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_sweep_removes_what_the_dead_left_and_spares_the_living(tmp_path):
    mine = temporary_beside(tmp_path / "mine")
    mine.write_bytes(b"")
    dead = tmp_path / f".x.{2**22 + 1}.abcd1234.tmp"
    dead.write_bytes(b"")
    assert sweep(tmp_path) == 1
    assert mine.exists() and not dead.exists()


def test_a_lock_is_free_again_after_its_holder(tmp_path):
    with exclusively(tmp_path / ".lock"), pytest.raises(StickgenError, match="already writing here"), exclusively(tmp_path / ".lock"):
        pass
    with exclusively(tmp_path / ".lock"):
        pass


def test_a_manifest_comes_back_and_decides_reuse(tmp_path):
    manifest = Manifest("canonical/x", "corpus", "d", "r", {"raw/x": "p"}, {"clips": 1}, notes={"a": [1, "é"]})
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert manifest.is_current("r", {"raw/x": "p"}) and not manifest.is_current("r", {}) and not manifest.is_current("s", {"raw/x": "p"})


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"files": 3}', "\udcff"])
def test_a_damaged_manifest_is_one_line_and_counts_as_absent(tmp_path, damage):
    manifest_path(tmp_path).write_bytes(damage.encode(errors="surrogateescape"))
    with pytest.raises(Corrupt, match="not a manifest") as error:
        read_manifest(tmp_path)
    assert "\n" not in str(error.value) and find_manifest(tmp_path) is None


def test_no_manifest_says_how_to_get_one(tmp_path):
    with pytest.raises(MissingInput, match="stickgen build"):
        read_manifest(tmp_path / "none")
    assert find_manifest(tmp_path / "none") is None


def test_records_stand_alone():
    import subprocess

    code = "import sys, stickgen_core.records.manifest, stickgen_core.records.runs; assert not {'torch', 'dagster', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_writer_on_another_machine_is_left_alone_until_it_has_been_silent_for_a_day(tmp_path):
    """On a shared disk its process number says nothing here: number 1 lives on every machine, 999999999 on none."""
    assert host_tag() in temporary_beside(tmp_path / "x").name
    other = tmp_path / ".shard.arrow.ffffffff-999999999.abcd1234.tmp"
    other.write_bytes(b"half")
    assert sweep(tmp_path) == 0
    old = time.time() - FOREIGN_GRACE_S - 10
    os.utime(other, (old, old))
    assert sweep(tmp_path) == 1 and not other.exists()


def test_an_artefact_of_another_schema_is_never_taken_for_none(tmp_path):
    write_manifest(tmp_path, Manifest("a", "corpus", "d", "r"))
    path = manifest_path(tmp_path)
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 0'))
    with pytest.raises(Corrupt, match="corpus migrate"):
        find_manifest(tmp_path)


def test_a_walk_enters_linked_folders_once_and_refuses_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "disk" / "x").mkdir(parents=True)
    (tmp_path / "disk" / "x" / ".file").write_text("1")
    (tmp_path / "disk" / "round").symlink_to(tmp_path / "disk")
    root = tmp_path / "root"
    (root / "own").mkdir(parents=True)
    (root / "a").symlink_to(tmp_path / "disk")
    (root / "b").symlink_to(root / "own")
    (root / "own" / "file").write_text("2")
    found = [path.relative_to(root).as_posix() for path in entries_below(root) if path.is_file()]
    assert found == ["own/file", "a/x/.file"]
    assert list(entries_below(tmp_path / "nothing")) == []
    (root / "unmounted").symlink_to(tmp_path / "gone")
    with pytest.raises(MissingInput, match="unmounted: leads to .*gone, which is not there"):
        list(entries_below(root))
