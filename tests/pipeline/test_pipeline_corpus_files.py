"""What people take out of a corpus: a sheet of kept and dropped clips, and the documented .pt files, made only when asked for."""

import hashlib
import re
import subprocess
from dataclasses import replace

import pytest
from PIL import Image

from bench.clips import random_clip
from stickgen_core.corpus import Corpus, CorpusWriter, LedgerRow
from stickgen_core.errors import ConfigError, MissingInput
from stickgen_core.records.manifest import read_manifest
from stickgen_core.settings import load_settings
from stickgen_core.sources.recording import Text
from stickgen_core.text import embed
from stickgen_pipeline.cli import main
from stickgen_pipeline.exporting import default_path, write_pt
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.samples import contact_sheet, samples
from stickgen_pipeline.steps import Work, chosen

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.fixture
def settings(tmp_path):
    return load_settings("test", environ={"STICKGEN_DATA": str(tmp_path)})


@pytest.fixture
def merged(settings):
    """A canonical corpus of eight clips and a merged one that dropped three of them for two reasons."""
    places = settings.places
    with CorpusWriter(places.canonical("deepmimic"), shards=places.shards, name="canonical/deepmimic") as writer:
        for number in range(8):
            clip = random_clip(number, source="deepmimic", frames=25)
            writer.add(replace(clip, texts=(Text(f"a person does thing {number}", 0.0, 1.0, "caption"),)))
        corpus = writer.publish()
    gone = [LedgerRow("deepmimic", corpus.ids[n], "merge", reason, value=value, limit=limit)
            for n, reason, value, limit in ((1, "jitter", 0.5, 0.3), (4, "jitter", 0.9, 0.3), (6, "duplicate", None, None))]  # fmt: skip
    kept = [0, 2, 3, 5, 7]
    splits = ["train", "train", "val", "test", "train"]
    return corpus.select(kept, places.merged, "corpus/merged", "r", {"split": splits}, ledger=gone)


def test_a_sheet_shows_kept_clips_and_dropped_ones_with_the_number_that_decided(settings, merged, tmp_path):
    found = samples(settings, merged, kept=3, each=1)
    assert [s.reason for s in found] == ["kept"] * 3 + ["duplicate", "jitter"]
    assert found[-1].said == "jitter 0.5, limit 0.3" and found[-1].corpus.ids[found[-1].position] == "deepmimic/000001#0"
    assert {s.corpus.ids[s.position] for s in samples(settings, merged, kept=0, each=9)} == {f"deepmimic/00000{n}#0" for n in (1, 4, 6)}
    sheet = Image.open(contact_sheet(settings, found, tmp_path / "sheet.png"))
    assert sheet.height > 2 * settings.config.rendering.height_px // 2 and len(sheet.convert("RGB").getcolors(1 << 24)) > 10


def test_dropped_clips_of_an_input_that_has_changed_are_not_shown(settings, merged):
    corpus = Corpus.open(settings.places.canonical("deepmimic"))
    rest = [LedgerRow("d", clip_id, "x", "cut") for clip_id in corpus.ids[1:]]
    corpus.select([0], corpus.folder, "canonical/deepmimic", "other", ledger=rest)
    assert {s.reason for s in samples(settings, merged, kept=2, each=2)} == {"kept"}


def test_exports_are_made_when_named_and_never_by_the_way(settings, merged):
    steps = steps_of(settings)
    exports = {key for key in steps if key.startswith("export/")}
    assert {"export/deepmimic_pt", "export/merged_pt", "export/curated_sft_pt", "export/embedded_pretrain_pt"} <= exports
    for pattern in ([], ["corpus/merged+"], ["+corpus/merged"]):
        assert not exports & {step.key for step in chosen(steps, pattern)}
    assert {step.key for step in chosen(steps, ["export/*"])} == exports
    step = steps["export/merged_pt"]
    step.make(Work(step.key, step.folder, "r", {}, lambda *_: None))
    path = settings.places.data / "merged_all.pt"
    assert step.folder == path and path.with_name("merged_all.pt.md5").read_text().split()[0] == hashlib.md5(path.read_bytes()).hexdigest()
    manifest = read_manifest(path)
    assert manifest.parents == {"corpus/merged": merged.digest} and step.checks[0].test(manifest, path, True).passed
    path.write_bytes(path.read_bytes() + b"x")
    assert not step.checks[0].test(manifest, path, True).passed
    assert default_path(settings.places.canonical("deepmimic")) == settings.places.canonical("deepmimic") / "canonical.pt"


def test_a_combined_file_holds_a_split_of_several_embedded_corpora(settings, merged, tmp_path):
    parts = [embed(merged, settings.config.text, settings.places.text_vectors, tmp_path / name, name=name) for name in ("p", "s")]
    path = write_pt(settings, parts, tmp_path / "train_data.pt", split="train", joints=True)
    found = torch.load(path, weights_only=True, mmap=True)
    assert [s["id"] for s in found] == ["deepmimic/000000#0", "deepmimic/000002#0", "deepmimic/000007#0"]
    assert all(s["split"] == "train" and s["embedding"].shape == (64,) and s["joints"].shape == (25, 22, 3) for s in found)
    with pytest.raises(MissingInput, match="no clip of split 'nowhere'"):
        write_pt(settings, parts, tmp_path / "x.pt", split="nowhere")
    with pytest.raises(ConfigError, match="different encoders"):
        write_pt(settings, [merged, parts[0]], tmp_path / "x.pt")


@pytest.fixture
def told(settings, monkeypatch, capsys):
    """told(command...) -> (exit code, lines on stderr) of the command line over these folders."""
    monkeypatch.setenv("STICKGEN_DATA", str(settings.places.data))
    monkeypatch.setenv("STICKGEN_PROFILE", "test")

    def run(*arguments: str) -> tuple[int, list[str]]:
        code = main([*arguments])
        said = capsys.readouterr()
        return code, [line for line in (said.err + said.out).splitlines() if not line.startswith(("verifying", "export "))]

    return run


def test_a_damaged_shard_and_a_lost_manifest_are_one_line_each_and_nothing_is_lost(settings, merged, told):
    shard = max(settings.places.shards.glob("*.arrow"), key=lambda path: path.stat().st_size)
    whole = shard.read_bytes()
    shard.write_bytes(whole[:999] + bytes([whole[999] ^ 1]) + whole[1000:])
    code, lines = told("corpus", "verify", "corpus/merged")
    assert code == 1 and len(lines) == 1 and shard.stem in lines[0] and "damaged" in lines[0]
    shard.write_bytes(whole)
    assert told("corpus", "verify", "corpus/merged")[0] == 0
    manifest = settings.places.merged / "manifest.json"
    kept = manifest.read_bytes()
    manifest.unlink()
    code, lines = told("corpus", "show", "corpus/merged")
    assert code == 1 and len(lines) == 1 and "manifest.json: not there" in lines[0]
    manifest.write_bytes(kept)
    assert told("corpus", "show", "corpus/merged")[0] == 0


def test_damage_to_text_vectors_and_exports_is_a_finding_each_beside_the_others(settings, merged, told, tmp_path):
    embedded = embed(merged, settings.config.text, settings.places.text_vectors, settings.places.embedded("sft"), name="e")
    cache = settings.places.text_vectors / embedded.manifest.notes["encoder_digest"]
    path = write_pt(settings, [merged], tmp_path / "merged_all.pt")
    assert told("corpus", "verify")[0] == 0

    def damaged(file, what, to):
        whole = file.read_bytes()
        assert what in whole
        file.write_bytes(whole.replace(what, to, 1))
        code, lines = told("corpus", "verify")
        file.write_bytes(whole)
        assert code == 1
        return [line for line in lines if "every digest holds" not in line]

    assert len(damaged(cache / "index.parquet", b"PAR1", b"PAR3")) == 1
    assert len(damaged(cache / "manifest.json", b'"text_vectors"', b'"text_vectorr"')) == 1
    assert len(damaged(cache / "manifest.json", b'"kind"', b'"kine"')) == 1
    assert len(damaged(path.with_name("merged_all.pt.manifest.json"), b'"export"', b'"expnrt"')) == 1
    assert len(damaged(path.with_name("merged_all.pt.md5"), b"merged", b"nerged")) == 1


def test_a_full_disk_is_one_line_and_the_old_copy_stays(settings, merged, told, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        for command in (
            ("corpus", "pack", "corpus/merged", str(disk / "pod")),
            ("export-pt", "corpus/merged", "--joints", "-o", str(disk / "x.pt")),
        ):
            code, lines = told(*command)
            assert code == 1 and len(lines) == 1 and re.search("No space left|disk is full", lines[0]), lines
            assert not [path for path in disk.rglob("*.tmp")]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    assert merged.verify() == []
