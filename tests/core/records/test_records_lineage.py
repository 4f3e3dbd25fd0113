"""History, lineage and bundles: what was published is never forgotten, every link is walked, no altered byte goes unnamed."""

import json
import os
import random
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.records.bundle import VERIFIER, entry_path, record_files, told, write_bundle
from stickgen_core.records.bundle_verifier import problems
from stickgen_core.records.citations import DataSet, bibtex, citation_cff, keys
from stickgen_core.records.digests import digest_bytes, digest_entries, digest_json
from stickgen_core.records.history import Entry, History, inventory_digest
from stickgen_core.records.lineage import Lineage, tree
from stickgen_core.records.lineage_figure import lineage_svg
from stickgen_core.records.manifest import FileRecord, Manifest
from stickgen_core.records.redaction import Redaction

SEED = 7
RAW = {"a/walk.npz": digest_bytes(b"walk"), "a/run.npz": digest_bytes(b"run")}
CLIPS = [("amass/run#0", digest_bytes(b"1")), ("amass/walk#0", digest_bytes(b"2"))]


def entry(key: str, kind: str, digest: str, inputs: dict[str, str] | None = None, at: str = "2026-01-01", **manifest) -> Entry:
    found = Manifest(key, kind, digest, "room", inputs or {}, **manifest)
    return Entry(key, digest, kind, f"recipe of {key}", inputs or {}, found, made={"at": at})


def chain() -> list[Entry]:
    """raw -> canonical -> checkpoint -> report, with digests that really follow from content."""
    raw = entry("raw/amass", "inventory", inventory_digest(RAW), counts={"files": 2})
    store = {"clips_digest": digest_entries("artifact.v1", CLIPS), "annotations_digest": digest_bytes(b"none")}
    corpus_digest = digest_json({"corpus": 1, "clips": store["clips_digest"], "annotations": store["annotations_digest"]})
    corpus = entry("canonical/amass", "corpus", corpus_digest, {raw.key: raw.digest}, notes={"store": store}, counts={"clips": 2})
    model = entry("checkpoint/small_sft", "checkpoint", digest_bytes(b"weights"), {corpus.key: corpus.digest}, counts={"steps": 9})
    report = entry("evaluation/small_sft_report", "report", digest_json({"kid": 0.5}), {model.key: model.digest, corpus.key: corpus.digest})
    return [raw, corpus, model, report]


@pytest.fixture
def history(tmp_path) -> History:
    found = History(tmp_path / "lineage")
    for one in chain():
        found.add(one, {"seed": 42}, {"python": "3.11"})
    assert found.add_files(chain()[0].digest, RAW)
    return found


@pytest.fixture
def lineage(history) -> Lineage:
    return Lineage(history.entries, {e.key: e.digest for e in history.entries})


@pytest.fixture
def bundle(tmp_path, history, lineage):
    walk = lineage.walk(lineage.find("small_sft_report"))
    report = walk.root.digest[:16]
    files = record_files(walk, history) | {
        f"reports/{report}.json": json.dumps({"content": {"kid": 0.5}}).encode(),
        f"clips/{chain()[1].digest[:16]}.tsv": "".join(f"{a}\t{b}\n" for a, b in CLIPS).encode(),
    }
    return write_bundle(tmp_path / "bundle", walk, files, store_schema=1, facts={"profile": "test"})


def test_the_same_artefact_is_one_entry_and_another_derivation_a_second_one(history):
    before = len(history.entries)
    history.add(chain()[1], {"seed": 43})
    assert len(history.entries) == before and history.of("canonical/amass")[0].configuration == digest_json({"seed": 42})
    history.add(replace(chain()[1], recipe="another"))
    assert len(history.of("canonical/amass")) == 2


def test_a_raw_file_list_that_does_not_give_its_digest_is_not_kept(history):
    assert not history.add_files("0" * 64, RAW)
    assert history.files("0" * 64) is None


def test_a_configuration_that_was_changed_behind_its_name_is_found(history):
    path = next((history.folder / ".configurations").iterdir())
    path.write_text('{"seed": 41}')
    with pytest.raises(Corrupt, match="not what its name says"):
        history.configuration(path.stem)


def test_a_walk_reaches_raw_files_with_inputs_first(lineage):
    walk = lineage.walk(lineage.find("small_sft_report"))
    assert walk.whole and [e.key for e in walk.leaves()] == ["raw/amass"]
    order = [e.key for e in walk.entries]
    assert order.index("raw/amass") < order.index("canonical/amass") < order.index("checkpoint/small_sft") < order.index(walk.root.key)


def test_a_missing_link_is_named_with_who_needs_it(history):
    entries = [e for e in history.entries if e.key != "canonical/amass"]
    lineage = Lineage(entries, {e.key: e.digest for e in entries})
    walk = lineage.walk(lineage.find("checkpoint/small_sft"))
    assert not walk.whole and (walk.missing[0].key, walk.missing[0].needed_by) == ("canonical/amass", "checkpoint/small_sft")
    assert "NO RECORD" in tree(walk, lambda e: "")


def test_an_old_version_is_walked_by_the_digests_it_read_not_by_what_is_in_place(history):
    new_raw = entry("raw/amass", "inventory", inventory_digest({"a/jump.npz": digest_bytes(b"jump")}), at="2026-02-01")
    history.add(new_raw)
    lineage = Lineage(history.entries, {"raw/amass": new_raw.digest, "checkpoint/small_sft": chain()[2].digest})
    assert lineage.find("raw/amass").digest == new_raw.digest
    assert lineage.walk(lineage.find("checkpoint/small_sft")).leaves()[0].digest == chain()[0].digest
    assert lineage.find(f"raw/amass@{chain()[0].digest[:8]}").digest == chain()[0].digest


def test_an_unknown_artefact_and_an_unknown_version_say_what_there_is(lineage):
    with pytest.raises(MissingInput, match="was ever published"):
        lineage.find("corpus/nothing")
    with pytest.raises(MissingInput, match="no record of that version"):
        lineage.find("raw/amass@ffff")


def test_what_was_shown_is_not_shown_again_and_the_figure_is_well_formed(lineage):
    walk = lineage.walk(lineage.find("small_sft_report"))
    drawn = tree(walk, lambda e: "made")
    assert drawn.count("raw/amass") == 1 and drawn.count("(above)") == 1
    svg = ElementTree.fromstring(lineage_svg(walk))
    boxes = svg.findall(".//{http://www.w3.org/2000/svg}g")
    arrows = [p for p in svg.findall("{http://www.w3.org/2000/svg}path") if p.get("marker-end")]
    assert len(boxes) == len(walk.entries) and len(arrows) == sum(len(e.inputs) for e in walk.entries)


def test_a_bundle_is_checked_by_a_python_without_packages_and_needs_its_root_digest(tmp_path, bundle):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(bundle.folder, elsewhere)
    command = [sys.executable, "-I", "-S", str(elsewhere / VERIFIER)]
    right = subprocess.run([*command, bundle.root], capture_output=True, text=True, check=False)
    assert (right.returncode, right.stdout) == (0, "every byte, link and digest of this bundle holds\n")
    wrong = subprocess.run([*command, "0" * 64], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1 and "bundle.json: SHA-256 is" in wrong.stdout
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_any_of_fifty_flipped_bits_is_named(bundle):
    draw = random.Random(SEED)
    files = [p for p in sorted(bundle.folder.rglob("*")) if p.is_file() and p.name != VERIFIER]
    total = sum(p.stat().st_size for p in files)
    for _ in range(50):
        at = draw.randrange(total)
        for path in files:
            if at < path.stat().st_size:
                break
            at -= path.stat().st_size
        whole = path.read_bytes()
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(8))]) + whole[at + 1 :])
        name = path.relative_to(bundle.folder).as_posix()
        assert any(line.startswith(f"{name}:") for line in problems(bundle.folder, bundle.root)), (SEED, name, at)
        path.write_bytes(whole)
    assert problems(bundle.folder, bundle.root) == []


def forged(bundle, change) -> list[str]:
    """Problems of a bundle whose table was made to fit what somebody changed."""
    change(bundle.folder)
    table = json.loads((bundle.folder / "bundle.json").read_text())
    for name in list(table["files"]):
        path = bundle.folder / name
        if path.exists():
            table["files"][name]["sha256"] = digest_bytes(path.read_bytes())
        else:
            del table["files"][name]
            table["artefacts"] = [a for a in table["artefacts"] if a != name]
    (bundle.folder / "bundle.json").write_text(json.dumps(table))
    return problems(bundle.folder, digest_bytes((bundle.folder / "bundle.json").read_bytes()))


def test_a_removed_link_is_named_although_every_hash_was_made_to_fit(bundle):
    found = forged(bundle, lambda folder: (folder / entry_path(chain()[1])).unlink())
    assert any("checkpoint/small_sft: input canonical/amass" in line and "is not here" in line for line in found)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (f"raw_files/{chain()[0].digest[:16]}.json", "a/run.npz", "a/fun.npz", "raw/amass: its digest is not that of the raw files"),
        (f"clips/{chain()[1].digest[:16]}.tsv", "amass/run#0", "amass/ran#0", "canonical/amass: its clips digest is not"),
        (f"reports/{chain()[3].digest[:16]}.json", "0.5", "0.1", "small_sft_report: its digest is not that of the numbers"),
        (entry_path(chain()[1]), chain()[0].digest, "0" * 64, "canonical/amass: input raw/amass"),
    ],
)  # fmt: skip
def test_a_digest_that_does_not_chain_is_named_although_every_hash_was_made_to_fit(bundle, file, old, new, says):
    path = bundle.folder / file
    found = forged(bundle, lambda _: path.write_text(path.read_text().replace(old, new)))
    assert any(says in line for line in found), found


def test_an_added_file_is_named(bundle):
    (bundle.folder / "extra.txt").write_text("hello")
    assert problems(bundle.folder, bundle.root) == ["extra.txt: not part of the bundle"]


@pytest.mark.parametrize("name", ["__pycache__/motion.npz", "reports/__pycache__/x.pyc", ".hidden", "my__pycache__.txt", "dir/deep/extra"])
def test_an_added_file_is_named_wherever_it_hides(bundle, name):
    (bundle.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle.folder / name).write_bytes(b"hello")
    assert problems(bundle.folder, bundle.root) == [f"{name}: not part of the bundle"]


def test_every_link_is_named_also_one_that_leads_nowhere_and_one_to_a_folder_or_to_an_equal_file(tmp_path, bundle):
    copy = tmp_path / "copy.json"
    listed = bundle.folder / entry_path(chain()[0])
    listed.rename(copy)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "motion.npz").write_bytes(b"hello")
    for name, target in ((entry_path(chain()[0]), copy), ("dangling", tmp_path / "nowhere"), ("folder", tmp_path / "elsewhere")):
        (bundle.folder / name).symlink_to(target)
    found = problems(bundle.folder, bundle.root)
    assert found == [f"{name}: a link; a bundle holds files and folders only" for name in (entry_path(chain()[0]), "dangling", "folder")]


def test_a_pipe_is_named(bundle):
    os.mkfifo(bundle.folder / "pipe")
    assert problems(bundle.folder, bundle.root) == ["pipe: not part of the bundle"]


def test_equal_records_give_an_equal_bundle(tmp_path, history, lineage):
    walk = lineage.walk(lineage.find("small_sft_report"))
    roots = {write_bundle(tmp_path / name, walk, record_files(walk, history), store_schema=1, facts={}).root for name in ("one", "two")}
    assert len(roots) == 1


HERE = Redaction(
    {"$DATA_ROOT": Path("/mnt/lab/raw"), "$STICKGEN_DATA": Path("/people/jane/sg/data"), "~": Path("/people/jane"), "$R": Path("/top")}
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/mnt/lab/raw/amass is not there", "$DATA_ROOT/amass is not there"),
        ("/people/jane/sg/data/x and /people/jane/y", "$STICKGEN_DATA/x and ~/y"),
        ("-I/people/jane: url:///top/z", "-I~: url://$R/z"),
        (json.dumps("a\n/top/z"), json.dumps("a\n$R/z")),
        ("/people/janet /mnt/lab/raw2 https://x.org/top/a a/top /top-motion", None),
    ],
)
def test_folders_of_a_machine_give_way_to_their_names_and_nothing_else_does(text, said):
    assert HERE.text(text) == (said or text) and (HERE.found(text) is None) == (said is None) and HERE.found(HERE.text(text)) is None


def test_entries_and_configurations_that_name_folders_enter_a_bundle_without_them_and_it_still_holds(tmp_path):
    history = History(tmp_path / "lineage")
    raw, corpus = chain()[:2]
    corpus = replace(
        corpus, manifest=replace(corpus.manifest, notes={**corpus.manifest.notes, "absent": "/mnt/lab/raw/amass is not there"})
    )
    for one in (raw, corpus):
        history.add(one, {"overrides": ["text.model=/people/jane/model"]}, {"python": "3.11"})
    lineage = Lineage(history.entries, {})
    walk, files = told(lineage.walk(lineage.find(corpus.key)), history, HERE)
    made = write_bundle(tmp_path / "b", walk, files, store_schema=1, facts={}, redaction=HERE)
    assert problems(made.folder, made.root) == []
    assert json.loads(files[entry_path(corpus)])["manifest"]["notes"]["absent"] == "$DATA_ROOT/amass is not there"
    assert json.loads(files[f"configurations/{walk.root.configuration}.json"]) == {"overrides": ["text.model=~/model"]}


def test_a_file_that_names_a_folder_of_the_machine_is_refused(tmp_path, lineage):
    walk = lineage.walk(lineage.find("raw/amass"))
    with pytest.raises(StickgenError, match="reports/a.json: names /people/jane, a folder of this machine"):
        write_bundle(tmp_path / "b", walk, {"reports/a.json": b'"/people/jane/x"'}, store_schema=1, facts={}, redaction=HERE)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["motion.arrow", "clip.motion", "walk.mp4", "../up.txt", "/root.txt", "page.html"])
def test_no_motion_and_no_path_outside_can_enter_a_bundle(tmp_path, lineage, name):
    walk = lineage.walk(lineage.find("small_sft_report"))
    with pytest.raises(StickgenError, match="records only"):
        write_bundle(tmp_path / "b", walk, {name: b"x"}, store_schema=1, facts={})


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path, lineage):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(StickgenError, match="is no bundle"):
        write_bundle(tmp_path / "mine", lineage.walk(lineage.find("raw/amass")), {}, store_schema=1, facts={})
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_a_walk_with_a_hole_gives_no_bundle(tmp_path, history):
    lineage = Lineage([e for e in history.entries if e.key != "raw/amass"], {})
    with pytest.raises(StickgenError, match="would have a hole"):
        write_bundle(tmp_path / "b", lineage.walk(lineage.find("checkpoint/small_sft")), {}, store_schema=1, facts={})


def test_citations_name_every_paper_once():
    one = DataSet("a", "A", "MIT", citation="@inproceedings{x,\n title = {{A} b}, author = {Doe, Jane and Roe, Rick}, year = {2020}}")
    two = DataSet(
        "b", "B", "MIT", citation=one.citation + "\n@article{y,\n title = {C}, author = {Jane Doe}, journal = {J}, year = {2021}}"
    )
    assert keys(bibtex([one, two])) == ["x", "y"]
    page = citation_cff([two], "T", "1", "about")
    assert "family-names: Doe" in page and "given-names: Jane" in page and page.count("title:") == 3


def test_a_file_record_of_an_entry_survives_the_disk(tmp_path):
    stored = entry("release/x", "motions", "d" * 64, files={"a.motion": FileRecord(3, "e" * 64)}, counts={"files": 1})
    history = History(tmp_path)
    history.add(stored)
    assert history.entries[0].manifest.files == {"a.motion": FileRecord(3, "e" * 64)}
