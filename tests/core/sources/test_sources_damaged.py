"""Every reader beside damaged files of its own format: each is quarantined with its reason, and the good recording still converts."""

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.canonical.parts import seen
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.registry import SourceSpec, load_registry
from tests.factories import native

REGISTRY = load_registry(Path(__file__).resolve().parents[3] / "configs" / "datasets")
# Data set -> its writer, a good file, and a name under which a damaged copy is a recording of its own.
FILES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "amass": (native.write_amass, "CMU/01/01_04_poses.npz", "CMU/01/01_05_poses.npz"),
    "humanml3d": (native.write_humanml3d, "HumanML3D/new_joints/000001.npy", "HumanML3D/new_joints/000002.npy"),
    "kit_ml": (lambda root: native.write_kit_ml(root, vectors=True), "new_joint_vecs/00001.npy", "new_joint_vecs/00002.npy"),
    "ntu_rgbd": (native.write_ntu, "nturgb+d_skeletons/S001C002P003R002A008.skeleton", "nturgb+d_skeletons/S001C002P003R002A009.skeleton"),
    "100style": (native.write_100style, "Angry/Angry_FW.bvh", "Angry/Angry_FR.bvh"),
    "interhuman": (native.write_interhuman, "motions_processed/person2/7.npy", "motions_processed/person2/8.npy"),
    "beat": (native.write_beat, "beat_english_v0.2.1/beat_english_v0.2.1/1/1_wayne_0_65_65.bvh", "1_wayne_0_66_66.bvh"),
    "beat2": (native.write_beat2, "beat_english_v2.0.0/smplxflame_30/2_scott_0_1_1.npz", "smplxflame_30/2_scott_0_2_2.npz"),
    "aistpp": (native.write_aistpp, "aist_plusplus_final/motions/gBR_sBM_cAll_d04_mBR0_ch01.pkl", "motions/gBR_sBM_cAll_d05_mBR0_ch02.pkl"),
}  # fmt: skip


def half(good: Path, bad: Path) -> None:
    data = good.read_bytes()
    bad.write_bytes(data[: len(data) // 2])


def empty(good: Path, bad: Path) -> None:
    bad.write_bytes(b"")


def noise(good: Path, bad: Path) -> None:
    bad.write_bytes(np.random.default_rng(5).bytes(5000))


def elsewhere(good: Path, bad: Path) -> None:
    bad.symlink_to("/etc/hostname")


def as_another(good: Path, bad: Path) -> None:
    """A whole file, of another format."""
    np.savez(bad.with_suffix(".tmp.npz"), something=np.zeros(3))
    bad.with_suffix(".tmp.npz").rename(bad)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_of_every_format_are_quarantined(tmp_path: Path, name: str) -> None:
    write, good, bad = FILES[name]
    write(tmp_path)
    folder, spec = tmp_path / name, REGISTRY[name]
    if name == "100style":
        (folder / "Frame_Cuts.csv").write_text("STYLE_NAME,FW_START,FW_STOP,FR_START,FR_STOP\nAngry,0,99999,0,99999\n")
    if name == "interhuman":
        shutil.copy(folder / "motions_processed/person1/7.npy", folder / "motions_processed/person1/8.npy")
    before = converted(tmp_path, spec)
    for number, damage in enumerate((half, empty, noise, elsewhere, as_another)):
        target = folder / bad
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        damage(folder / good, target)
        corpus = convert(
            spec, folder, tmp_path / f"out{number}", shards=tmp_path / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig()
        )
        rows = [row for row in corpus.ledger().to_pylist() if row["stage"] == "read"]
        assert corpus.digest == before, (damage.__name__, "the good recording is what it was")
        assert len(rows) == 1 and rows[0]["reason"] not in ("", "unreadable"), (damage.__name__, rows)
        assert rows[0]["file"] and rows[0]["detail"], damage.__name__


def converted(root: Path, spec: SourceSpec) -> str:
    folder = root / spec.name
    return convert(spec, folder, root / "whole", shards=root / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig()).digest


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("name", ["aistpp", "interhuman"])
def test_a_hostile_pickle_among_good_ones_is_named_and_never_run(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = {"aistpp": "motions/gPO_sBM_cAll_d05_mPO0_ch02.pkl", "interhuman": "motions/9.pkl"}[name]
    native.write_aistpp(tmp_path) if name == "aistpp" else native.write_interhuman(tmp_path, pickled=True)
    target = tmp_path / name / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(pickle.dumps({"smpl_poses": _Hostile(), "person1": _Hostile()}))
    corpus = convert(
        REGISTRY[name], tmp_path / name, tmp_path / "out", shards=tmp_path / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig()
    )
    rows = [row for row in corpus.ledger().to_pylist() if row["stage"] == "read"]
    assert [(row["reason"], row["file"]) for row in rows] == [("hostile_pickle", place)] and "system" in rows[0]["detail"]
    assert len(corpus) == 1 and not (tmp_path / "pwned").exists()


def test_an_archive_that_unpacks_to_too_much_is_a_bomb_and_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stickgen_core.sources import files

    native.write_amass(tmp_path)
    whole = (tmp_path / "amass" / "CMU" / "01" / "01_04_poses.npz").stat().st_size
    monkeypatch.setattr(files, "MAX_ARRAY_BYTES", whole)
    with zipfile.ZipFile(tmp_path / "amass" / "CMU" / "01" / "01_05_poses.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trans.npy", bytes(whole + 1))
    corpus = convert(
        REGISTRY["amass"],
        tmp_path / "amass",
        tmp_path / "out",
        shards=tmp_path / "shards",
        config=CanonicalConfig(),
        skeleton=SkeletonConfig(),
    )
    assert [row["reason"] for row in corpus.ledger().to_pylist() if row["stage"] == "read"] == ["zip_bomb"] and len(corpus) == 1


def test_npy_conversions_of_ntu_are_refused_by_name(tmp_path: Path) -> None:
    native.write_ntu(tmp_path)
    np.save(tmp_path / "ntu_rgbd" / "S001C001P001R001A001.skeleton.npy", np.array({"file_name": "x"}, dtype=object))
    corpus = convert(
        REGISTRY["ntu_rgbd"], tmp_path / "ntu_rgbd", tmp_path / "out", shards=tmp_path / "shards", config=CanonicalConfig(),
        skeleton=SkeletonConfig(),
    )  # fmt: skip
    assert [row["reason"] for row in corpus.ledger().to_pylist()] == ["npy_conversion_holds_pickled_objects"] and len(corpus) == 1


# Lists, tables and labels beside the motion --------------------------------------------------------------------------------

WRITERS: dict[str, Callable[[Path], object]] = {
    **{name: write for name, (write, _, _) in FILES.items()}, "babel": native.write_babel, "lsmb19": native.write_lsmb19,
}  # fmt: skip
SIDE_DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "noise": lambda data: np.random.default_rng(5).bytes(3000),
    "half": lambda data: data[: len(data) // 2],
    "other encoding": lambda data: data + b"\nna\xefve,\xff\n",
    "unclosed quote": lambda data: b'a,b\n\0,1\n"unclosed',
    "other columns": lambda data: b"x,y,z\nfoo bar,baz\n",
    "a list": lambda data: b'[1, 2, {"a": 3}]',
    "other types": lambda data: b'{"1": {"path": 5}, "2": [3], "3": null, "4": {"labels": "abc", "seq_anns": 5, "frame_ann": [1]}}',
    "numbers for words": lambda data: data.replace(b'"labels": [', b'"labels": 5, "x": [').replace(b'"feat_p": "', b'"feat_p": 5, "y": "'),
    "no times": lambda data: data.replace(b"8.0", b"NaN").replace(b"null", b"Infinity"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_lists_are_told_of_in_one_line_or_in_the_ledger(tmp_path: Path, name: str) -> None:
    """A fault of a list is an error that names it, or leaves out what it concerns; it never ends in a traceback."""
    WRITERS[name](tmp_path)
    raw, reader = tmp_path / name, reader_for(REGISTRY[name])
    sides = [path for path in raw.rglob("*") if path.suffix in (".csv", ".json", ".txt", ".data")]
    for path in sides:
        good = path.read_bytes()
        for kind, damage in SIDE_DAMAGE.items():
            path.write_bytes(damage(good))
            try:
                found = reader.discover(raw)
            except StickgenError as error:
                assert path.name in str(error) and "\n" not in str(error), (path.name, kind, error)
            else:
                assert all(seen(raw, unit).signature for unit in found.units), (path.name, kind)
        path.write_bytes(good)


def test_a_babel_record_that_is_none_costs_that_record(tmp_path: Path) -> None:
    native.write_babel(tmp_path)
    train = tmp_path / "babel" / "babel_v1.0_release" / "train.json"
    records = json.loads(train.read_text())
    good = records["1"]
    records |= {"4": {**good, "dur": float("nan")}, "5": {**good, "frame_ann": {"labels": 5}}, "6": {**good, "dur": "eight"}}
    train.write_text(json.dumps(records))
    corpus = convert(
        REGISTRY["babel"],
        tmp_path / "babel",
        tmp_path / "out",
        shards=tmp_path / "shards",
        config=CanonicalConfig(),
        skeleton=SkeletonConfig(),
    )
    rows = {row["file"].split(":")[-1]: row["reason"] for row in corpus.ledger().to_pylist()}
    assert {key: rows[key] for key in "456"} == dict.fromkeys("456", "bad_record") and len(corpus) == 5


def test_an_index_without_its_columns_is_an_error_and_not_a_set_of_strangers(tmp_path: Path) -> None:
    native.write_humanml3d(tmp_path)
    (tmp_path / "humanml3d" / "index.csv").write_text("path,name\na,b\n")
    with pytest.raises(StickgenError, match=r"index.csv: expected a column source_path, found path, name"):
        converted(tmp_path, REGISTRY["humanml3d"])
