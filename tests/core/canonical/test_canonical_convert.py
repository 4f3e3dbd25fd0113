"""Conversion: the same digest however it was done, resumed after a kill, nothing read twice, nothing lost silently."""

from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, convert, parts
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.joints_source import JointsReader
from stickgen_core.sources.reader import Discovery
from stickgen_core.sources.registry import Licence, SourceSpec
from tests.factories import native
from tests.factories.known_motion import known_motion

WALKS = SourceSpec(name="walks", title="own joints", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))


def run(root: Path, out: str = "out", spec: SourceSpec = WALKS, **options: object) -> Corpus:
    options.setdefault("units_per_part", 2)
    config = options.pop("config", CanonicalConfig())
    return convert(spec, root / spec.name, root / out, shards=root / "shards", config=config, skeleton=SkeletonConfig(), **options)  # type: ignore[arg-type]


def test_digests_do_not_depend_on_workers_order_or_part_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.write_joints(tmp_path, 6)
    one = run(tmp_path)
    two = run(tmp_path, "two", workers=2, units_per_part=1)
    discover = JointsReader.discover
    monkeypatch.setattr(JointsReader, "discover", lambda self, raw: Discovery(discover(self, raw).units[::-1]))
    shuffled = run(tmp_path, "shuffled", units_per_part=5)
    assert one.digest == two.digest == shuffled.digest and len(one) == 6


def test_a_killed_run_goes_on_where_it_was_and_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.write_joints(tmp_path, 6)
    undisturbed = run(tmp_path, "undisturbed")
    read: list[str] = []
    original = JointsReader.read
    monkeypatch.setattr(JointsReader, "read", lambda self, raw, unit: (read.append(unit.key), original(self, raw, unit))[1])

    def killed(label: str, done: int, total: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=killed)
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert run(tmp_path).digest == undisturbed.digest
    assert sorted(read) == sorted(set(read)) and len(read) == 6
    read.clear()
    run(tmp_path)
    assert read == []
    np.savez(tmp_path / "walks" / "take_007.npz", joints=known_motion(30.0).joints, fps=30.0)
    assert len(run(tmp_path)) == 7 and read == ["take_007"]
    (tmp_path / "walks" / "take_007.npz").unlink()
    assert run(tmp_path).digest == undisturbed.digest
    run(tmp_path, config=CanonicalConfig(min_frames=30))
    assert len(read) == 7


def test_a_lost_shard_is_made_again(tmp_path: Path) -> None:
    native.write_joints(tmp_path, 2)
    before = run(tmp_path)
    for shard in (tmp_path / "shards").iterdir():
        shard.unlink()
    again = run(tmp_path)
    assert again.digest == before.digest and again.verify() == []


def test_absent_is_explicit_and_vanished_keeps_the_last_good_corpus(tmp_path: Path) -> None:
    absent = run(tmp_path, "absent")
    assert len(absent) == 0 and absent.manifest.notes["absent"].startswith("$DATA_ROOT/walks is not there")
    native.write_joints(tmp_path)
    before = run(tmp_path)
    (tmp_path / "walks").rename(tmp_path / "unmounted")
    with pytest.raises(StickgenError, match="holds 1 clips of it; mount it again") as vanished:
        run(tmp_path)
    assert Corpus.open(tmp_path / "out").digest == before.digest and str(tmp_path) in str(vanished.value), "a person needs the whole path"
    removed = run(tmp_path, meant_to_be_gone=True)
    assert len(removed) == 0 and removed.digest == absent.digest
    needs = WALKS.model_copy(update={"name": "more", "needs": ("walks",)})
    (tmp_path / "unmounted").rename(tmp_path / "more")
    assert "builds on walks, and $DATA_ROOT/walks is" in run(tmp_path, "needs", needs).manifest.notes["absent"]


def test_a_source_that_stands_on_its_head_is_refused(tmp_path: Path) -> None:
    native.write_joints(tmp_path)
    values = known_motion(30.0).joints * [1, -1, -1]
    np.savez(tmp_path / "walks" / "take_000.npz", joints=values, fps=30.0)
    with pytest.raises(StickgenError, match="feet are above the head in .* set `axes`"):
        run(tmp_path)


def test_windows_are_equal_and_texts_follow_the_80_percent_rules(tmp_path: Path) -> None:
    folder = tmp_path / "walks"
    folder.mkdir()
    joints = np.concatenate([known_motion(25.0).joints] * 6)[:1201]
    np.savez(folder / "long.npz", joints=joints, fps=25.0, text=np.array("someone walks"))
    np.savez(folder / "short.npz", joints=joints[:24], fps=25.0)
    corpus = run(tmp_path)
    assert [clip.frames for clip in corpus] == [400, 401, 400]
    assert all([text.text for text in clip.texts if text.kind == "caption"] == ["someone walks"] for clip in corpus)
    assert corpus.ledger().to_pylist()[0] | {"detail": ""} == {
        "unit": "short", "id": "walks/short#0", "stage": "window", "reason": "too_short", "detail": "", "value": 24.0, "limit": 25.0,
        "file": "short.npz",
    }  # fmt: skip


def test_two_files_of_one_key_are_an_error_that_names_both(tmp_path: Path) -> None:
    native.write_joints(tmp_path)
    np.save(tmp_path / "walks" / "take_000.npy", known_motion(25.0).joints)
    with pytest.raises(StickgenError, match="are both unit 'take_000'"):
        run(tmp_path)


def test_parts_are_swept_when_the_recipe_changes(tmp_path: Path) -> None:
    native.write_joints(tmp_path, 4)
    run(tmp_path)
    run(tmp_path, config=CanonicalConfig(min_frames=30))
    recipes = {Corpus.open(place).manifest.recipe for place in (tmp_path / "out" / parts.PARTS_NAME).iterdir()}
    assert len(recipes) == 1
