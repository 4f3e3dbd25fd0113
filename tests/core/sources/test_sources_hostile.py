"""Hostile and broken files: each is quarantined with its reason, the rest converts."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.corpus.ledger import by_reason
from stickgen_core.errors import BadRecording, StickgenError
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.bvh import parse_bvh
from stickgen_core.sources.bvh_source import JOINT_MAPS
from stickgen_core.sources.fetch import fetch_deepmimic
from stickgen_core.sources.inventory import inventory
from stickgen_core.sources.pickles import load_pickle
from stickgen_core.sources.registry import Licence, SourceSpec
from tests.factories import native
from tests.factories.known_motion import known_motion

WALKS = SourceSpec(name="walks", title="own joints", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))


def reasons(root: Path, spec: SourceSpec = WALKS) -> dict[str, int]:
    corpus = convert(spec, root / spec.name, root / "out", shards=root / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig())
    assert "walks/take_000#0" in corpus.ids and corpus.verify() == []
    assert corpus.manifest.counts["read"] == len(corpus) + corpus.ledger().num_rows
    return by_reason(corpus.ledger())


def truncated(folder: Path) -> None:
    whole = (folder / "take_000.npz").read_bytes()
    (folder / "bad.npz").write_bytes(whole[: len(whole) // 2])


def empty(folder: Path) -> None:
    (folder / "bad.npz").write_bytes(b"")


def not_a_number(folder: Path) -> None:
    joints = known_motion(30.0).joints
    joints[7, 3] = np.nan
    np.savez(folder / "bad.npz", joints=joints, fps=30.0)


def rate(value: float) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        np.savez(folder / "bad.npz", joints=known_motion(30.0).joints, fps=value)

    return write


def wrong_shape(folder: Path) -> None:
    np.savez(folder / "bad.npz", joints=np.zeros((40, 17, 3)), fps=30.0)


def no_frames(folder: Path) -> None:
    np.savez(folder / "bad.npz", joints=np.zeros((0, 22, 3)), fps=30.0)


def objects(folder: Path) -> None:
    np.savez(folder / "bad.npz", joints=np.array([{"a": 1}], dtype=object), fps=30.0)


def bomb(folder: Path) -> None:
    """A member that claims terabytes, and one that lies about how little it holds."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 22, 3), }"
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(folder / "bad.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("joints.npy", npy + b"\0" * 10_000_000)


def linked_folder(folder: Path) -> None:
    """A part of the set on another disk: not followed, and not passed over in silence."""
    native.write_joints(folder.parent.parent / "other")
    (folder / "more").symlink_to(folder.parent.parent / "other" / "walks")


def link_out(folder: Path) -> None:
    outside = folder.parent.parent / "secret.npz"
    np.savez(outside, joints=known_motion(30.0).joints, fps=30.0)
    (folder / "bad.npz").symlink_to(outside)


def bad_encoding(folder: Path) -> None:
    np.savez(folder / "bad.npz", joints=known_motion(30.0).joints, fps=30.0)
    (folder / "bad.txt").write_bytes(b"a person \xff\xfe walks")


def in_millimetres(folder: Path) -> None:
    np.savez(folder / "bad.npz", joints=known_motion(30.0).joints * 1000, fps=30.0)


@pytest.mark.parametrize(("write", "reason"), [
    (truncated, "not_npz"), (empty, "empty"), (not_a_number, "non_finite"), (rate(0.0), "bad_rate"), (rate(10_000.0), "bad_rate"),
    (rate(float("nan")), "bad_rate"), (wrong_shape, "wrong_shape"), (no_frames, "wrong_shape"), (objects, "object_array"), (bomb, "truncated"),
    (link_out, "symlink_out"), (linked_folder, "symlink_folder"), (bad_encoding, "bad_encoding"), (in_millimetres, "too_large"),
])  # fmt: skip
def test_one_bad_file_is_quarantined_and_the_rest_converts(tmp_path: Path, write: Callable[[Path], None], reason: str) -> None:
    native.write_joints(tmp_path)
    write(tmp_path / "walks")
    assert reasons(tmp_path) == {reason: 1}


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"x": _Hostile()}))
    with pytest.raises(BadRecording, match="hostile_pickle.*system"):
        load_pickle(tmp_path, "a.pkl")
    for name in ("eval", "getattr", "__import__", "exec"):
        (tmp_path / "b.pkl").write_bytes(f"c__builtin__\n{name}\n(S'1'\ntR.".encode())
        with pytest.raises(BadRecording, match="hostile_pickle"):
            load_pickle(tmp_path, "b.pkl")
    assert not (tmp_path / "pwned").exists()


class _References:
    """An array of references over bytes of the file's choosing: to follow one is the end of the process."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return np.ndarray, ((1,), np.dtype("O"), b"AAAAAAAA")


def _by_state(array: np.ndarray, **changed: object) -> bytes:
    """A pickle whose array state is ours: version, shape, type, order, data."""

    class _State:
        def __reduce__(self) -> tuple[object, ...]:
            rebuild, arguments, state = array.__reduce__()
            names = ("version", "shape", "type", "order", "data")
            return rebuild, arguments, tuple(changed.get(name, value) for name, value in zip(names, state, strict=True))

    return pickle.dumps({"x": _State()}, protocol=2)


def test_no_pickle_makes_references_of_bytes(tmp_path: Path) -> None:
    eight = np.frombuffer(b"AAAAAAAA", np.uint8)
    record = np.dtype([("a", "O")])
    for data in (
        pickle.dumps({"x": _References()}), _by_state(eight, shape=(1,), type=np.dtype("O")), _by_state(eight, shape=(1,), type=record),
        _by_state(eight, shape=(10**9,)), _by_state(eight, shape=(-1,)), _by_state(eight, type="O8"),
        b"c__builtin__\nbytearray\n(I9999999999\ntR.", pickle.dumps({"x": np.zeros(2, [("a", "f8")])}),
    ):  # fmt: skip
        (tmp_path / "a.pkl").write_bytes(data)
        with pytest.raises(BadRecording):
            load_pickle(tmp_path, "a.pkl")


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_come_out_as_they_went_in(tmp_path: Path, protocol: int) -> None:
    table = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    there = {"table": table, "turned": table.T, "big": np.arange(3, dtype=">i4"), "one": np.float64(3.5), "no": np.zeros((0, 3), np.float32),
             "name": np.array("male"), "bytes": np.array(b"female"), "mixed": np.array([None, "a", {"b": np.arange(2)}], object),
             "nested": [{"deep": (np.arange(4),)}]}  # fmt: skip
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(there, protocol=protocol))
    found = load_pickle(tmp_path, "a.pkl")
    for name in ("table", "turned", "big", "one", "no", "name", "bytes"):
        assert np.array_equal(found[name], there[name]) and np.asarray(found[name]).dtype == np.asarray(there[name]).dtype, name
    assert found["mixed"][1] == "a" and found["mixed"][2]["b"].tolist() == [0, 1] and found["nested"][0]["deep"][0].tolist() == [0, 1, 2, 3]
    found["table"][0, 0] = 7.0


def test_a_pickle_that_shares_and_holds_itself_takes_no_longer_than_its_size(tmp_path: Path) -> None:
    shared: dict[str, object] = {"x": 0}
    for _ in range(300):
        shared = {"a": shared, "b": shared}
    loop: list[object] = []
    loop.append(loop)
    for value in ({"x": shared}, {"x": loop}):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(value))
        assert set(load_pickle(tmp_path, "a.pkl")) == {"x"}


def test_every_truncation_of_a_pickle_is_a_bad_recording(tmp_path: Path) -> None:
    whole = native.chumpy_pickle(native.model_arrays(24, 10))
    for stop in range(1, len(whole), max(1, len(whole) // 60)):
        (tmp_path / "a.pkl").write_bytes(whole[:stop])
        with pytest.raises(BadRecording):
            load_pickle(tmp_path, "a.pkl")


def test_bvh_that_lies_about_itself(tmp_path: Path) -> None:
    text = native.bvh_text(known_motion(30.0, 1.0), JOINT_MAPS["cmu"])
    assert len(parse_bvh(text, "x").values) == 31
    assert len(parse_bvh(text + text.splitlines()[-1] + "\n", "x").values) == 31
    short = parse_bvh(text.rsplit("\n", 2)[0] + "\n", "x")
    assert len(short.values) == 30 and short.extra == {"rows_missing": 1}, "a recorder that was stopped"
    for bad, reason in (
        (text[: int(len(text) * 0.7)], "truncated"), (text.replace("Frames:    31", "Frames:    0"), "truncated"),
        (text.replace("Frame Time: .0333333", "Frame Time: 0"), "bad_rate"), (text.replace("}", "", 1), "not_bvh"),
        (text.replace("MOTION", "EMOTION"), "not_bvh"), ("", "not_bvh"),
    ):  # fmt: skip
        with pytest.raises(BadRecording) as caught:
            parse_bvh(bad, "x")
        assert caught.value.reason == reason


def test_an_ntu_file_cut_anywhere_is_quarantined(tmp_path: Path) -> None:
    from stickgen_core.sources.ntu import parse

    text = native.write_ntu(tmp_path).read_text()
    for share in (0.0001, 0.1, 0.5, 0.999):
        with pytest.raises(BadRecording) as caught:
            parse(text[: int(len(text) * share)], "x")
        assert caught.value.reason in ("truncated", "empty")


def test_a_folder_with_nothing_usable_names_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "walks").mkdir()
    (tmp_path / "walks" / "readme.md").write_text("hello")
    with pytest.raises(StickgenError, match=r"nothing usable in .*walks; looked for \*.npz"):
        reasons(tmp_path)
    (tmp_path / "walks" / "bad.npz").write_bytes(b"x")
    with pytest.raises(StickgenError, match=r"1 units read, 1 not_npz"):
        reasons(tmp_path)


def test_a_wheel_that_is_not_the_pinned_one_gives_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pybullet.whl", "w") as archive:
        archive.writestr("pybullet_data/data/motions/humanoid3d_walk.txt", "{}")
    with pytest.raises(StickgenError, match="SHA-256"):
        fetch_deepmimic(tmp_path / "target", wheel=tmp_path / "pybullet.whl")
    assert not (tmp_path / "target").exists()


def test_an_inventory_changes_with_content_and_remembers_what_it_hashed(tmp_path: Path) -> None:
    native.write_joints(tmp_path, 3)
    first = inventory(tmp_path / "walks", tmp_path / "cache.json")
    again = inventory(tmp_path / "walks", tmp_path / "cache.json")
    assert (first.files, first.hashed, again.hashed, again.digest) == (3, 3, 0, first.digest)
    (tmp_path / "walks" / "note.txt").write_text("x")
    assert inventory(tmp_path / "walks", tmp_path / "cache.json").digest != first.digest
    (tmp_path / "cache.json").write_text("broken")
    assert inventory(tmp_path / "walks", tmp_path / "cache.json").hashed == 4
