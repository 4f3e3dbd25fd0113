"""Shards that were damaged, cut off or lost: found, named, set aside, and written again to the same digests."""

from pathlib import Path

import pytest

from stickgen_core.corpus import Corpus
from stickgen_core.corpus.repair import DAMAGED, set_damaged_aside, shards_of
from stickgen_core.corpus.verify import verify_folder
from stickgen_core.records.manifest import read_manifest
from stickgen_core.text.vectors import verify_vectors
from stickgen_pipeline.checks import store_is_whole


def corpora(root) -> list[Path]:
    return [root.folder / "motions_processed" / "synthetic", root.folder / "merged_all", root.folder / "curated" / "sft_data_embedded"]


def largest_shard(root) -> Path:
    return max(shards_of(root.folder / "merged_all"), key=lambda path: path.stat().st_size)


def digests(outcomes) -> dict[str, str]:
    return {key: outcome.manifest.digest for key, outcome in outcomes.items()}


def flip(path: Path) -> None:
    values = bytearray(path.read_bytes())
    values[len(values) // 2] ^= 1
    path.write_bytes(values)


def test_a_flipped_bit_is_named_set_aside_and_built_anew(root):
    before, shard = digests(root.build()), largest_shard(root)
    flip(shard)
    found = verify_folder(root.folder / "merged_all")
    assert found and str(shard) in found[0] and "--repair" in found[0]
    assert set_damaged_aside(corpora(root)) == [shard.with_name(shard.name + DAMAGED)]
    again = root.build()
    assert digests(again) == before and not any(outcome.blocked_by for outcome in again.values())
    assert not any(verify_folder(folder) for folder in corpora(root))
    assert shard.with_name(shard.name + DAMAGED).exists()


def test_a_lost_shard_is_written_again_without_being_asked(root):
    before, shard = digests(root.build()), largest_shard(root)
    shard.unlink()
    again = root.build()
    assert digests(again) == before and not again["canonical/synthetic"].reused
    assert not any(verify_folder(folder) for folder in corpora(root))
    assert all(outcome.reused for outcome in root.build().values())


def test_a_lost_shard_of_text_vectors_is_encoded_again_without_being_asked(root):
    before, folders = digests(root.build()), list((root.folder / "text_vectors").glob("*/"))
    assert folders
    for folder in folders:
        next(folder.glob("*.arrow")).unlink()
        assert verify_vectors(folder)
    again = root.build()
    assert digests(again) == before and not any(outcome.blocked_by for outcome in again.values())
    assert not any(verify_vectors(folder) for folder in folders)
    assert all(outcome.reused for outcome in root.build().values())


def test_a_shard_that_was_cut_off_holds_everything_back_in_one_line(root):
    root.build()
    shard = largest_shard(root)
    shard.write_bytes(shard.read_bytes()[:1000])
    blocked = root.build(only=("raw/", "canonical/synthetic"))["canonical/synthetic"].blocked_by
    assert len(blocked) == 1 and "\n" not in blocked[0] and str(shard) in blocked[0] and "--repair" in blocked[0]


def test_a_gate_reads_a_clip_once_and_again_when_its_file_was_touched(root):
    """The inodes of a copied root are new: nothing of it has been read yet on this machine."""
    ask = store_is_whole(root.settings()).test

    def gate(name):
        verdict = ask(read_manifest(root.folder / name), root.folder / name, True)
        return verdict.passed, verdict.measured["read_back"], verdict.measured["known_from_before"]

    clips = len(Corpus.open(root.folder / "merged_all"))
    assert [gate("merged_all"), gate("merged_all")] == [(True, clips, 0), (True, 0, clips)]
    assert gate("curated/sft_data")[:2] == gate("curated/sft_data_embedded")[:2] == (True, 0)
    flip(largest_shard(root))
    passed, read, _ = gate("merged_all")
    assert not passed and read > 0
    assert gate("merged_all")[0] is False


@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_whole_shards_are_left_alone(root, damage):
    root.build()
    shard = largest_shard(root)
    others = {path: path.read_bytes() for path in shards_of(root.folder / "merged_all") - {shard}}
    damage(shard)
    set_damaged_aside(corpora(root))
    assert all(path.read_bytes() == held for path, held in others.items())
