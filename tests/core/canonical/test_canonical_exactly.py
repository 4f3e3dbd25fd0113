"""What a change reconverts (exactly what it affects), and a real kill in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.canonical.convert import recipe_of
from stickgen_core.corpus.clip import Clip
from stickgen_core.corpus.ledger import LedgerRow
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton.body import JOINT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.amass import AmassReader
from stickgen_core.sources.reader import LeftOut, Unit
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import Licence, SourceSpec, load_registry
from tests.factories import native
from tests.factories.known_motion import known_motion

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = load_registry(ROOT / "configs" / "datasets")


def run(root: Path, spec: SourceSpec, out: str = "out", **options: object) -> Corpus:
    return convert(spec, root / spec.name, root / out / spec.name, shards=root / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig(),
                   **options)  # type: ignore[arg-type]  # fmt: skip


def recipe(root: Path, spec: SourceSpec) -> str:
    return recipe_of(spec, root / spec.name, CanonicalConfig(), SkeletonConfig())


def test_a_changed_body_model_reads_again_the_files_that_need_it_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.write_amass(tmp_path)
    native.write_amass(tmp_path, smplx=True)
    folder = tmp_path / "amass" / "CMU" / "01"
    (folder / "01_04_stageii.npz").rename(folder / "01_05_stageii.npz")
    read: list[str] = []
    original = AmassReader.read
    monkeypatch.setattr(AmassReader, "read", lambda self, raw, unit: (read.append(unit.key), original(self, raw, unit))[1])
    spec = REGISTRY["amass"]
    run(tmp_path, spec)
    assert sorted(read) == ["CMU/01/01_04", "CMU/01/01_05"]
    read.clear()
    native.write_body_models(tmp_path)
    run(tmp_path, spec)
    assert read == []
    np.savez(tmp_path / "body_models" / "smplx" / "SMPLX_NEUTRAL.npz", **native.model_arrays(55, 400))
    wider = run(tmp_path, spec)
    assert read == ["CMU/01/01_05"]
    read.clear()
    arrays = native.model_arrays(52, 16)
    np.savez(tmp_path / "body_models" / "smplh" / "male" / "model.npz", **{**arrays, "v_template": 1.1 * arrays["v_template"]})
    taller = run(tmp_path, spec)
    assert read == ["CMU/01/01_04"], "read again in the same process"
    heads = [corpus.clip(0).joints[0, 0, JOINT["head"], 1] for corpus in (wider, taller)]
    assert heads[1] / heads[0] == pytest.approx(1.1, abs=0.02)
    read.clear()
    np.savez(tmp_path / "body_models" / "smpl" / "SMPL_NEUTRAL.npz", **native.model_arrays(24, 10))
    run(tmp_path, spec)
    assert read == []


def test_a_recipe_changes_with_what_decides_clips_and_with_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stickgen_core.sources import actions

    native.write_aistpp(tmp_path)
    before = {name: recipe(tmp_path, spec) for name, spec in REGISTRY.items()}
    ntu = REGISTRY["ntu_rgbd"]
    for harmless in ({"citation": "@misc{x}"}, {"register_at": "elsewhere"}, {"retention": "optional"}, {"expected": {"files": 3}}):
        assert recipe(tmp_path, ntu.model_copy(update=harmless)) == before["ntu_rgbd"], harmless
    for telling in ({"axes": "z_up"}, {"origin": "x/{key}"}, {"unit_m": 0.01}, {"options": {"protocol": "xview"}}):
        assert recipe(tmp_path, ntu.model_copy(update=telling)) != before["ntu_rgbd"], telling
    # Another reading of NTU's classes concerns NTU and what is made of it; a sentence of a definition nobody.
    table = actions.load_actions()
    other = [row.model_copy(update={"definition": "Otherwise."}) for row in table.rows]
    monkeypatch.setattr(actions, "_load", lambda path, changed: actions.Actions(tuple(other)))
    assert {name: recipe(tmp_path, spec) for name, spec in REGISTRY.items()} == before
    other[1] = other[1].model_copy(update={"ntu": (59, 60)})
    monkeypatch.setattr(actions, "_load", lambda path, changed: actions.Actions(tuple(other)))
    changed = {name for name, spec in REGISTRY.items() if recipe(tmp_path, spec) != before[name]}
    assert changed == {"ntu_rgbd", "lsmb19"}
    other[1] = other[1].model_copy(update={"ntu": table.rows[1].ntu, "babel": ("stroll",)})
    monkeypatch.setattr(actions, "_load", lambda path, changed: actions.Actions(tuple(other)))
    assert {name for name, spec in REGISTRY.items() if recipe(tmp_path, spec) != before[name]} == {"babel"}


def test_an_edited_vocabulary_is_read_again_by_a_process_that_goes_on(tmp_path: Path) -> None:
    from stickgen_core.sources.actions import CONFIGS, load_actions

    path = tmp_path / "actions.yaml"
    text = (CONFIGS / "actions.yaml").read_text()
    path.write_text(text)
    before = load_actions(path)
    path.write_text(text.replace("name: walk,", "name: stroll,", 1))
    os.utime(path, ns=(1, 1))
    assert load_actions(path).digest() != before.digest() and load_actions(path).id_of("stroll") == before.id_of("walk")


def test_recordings_read_are_those_kept_and_those_dropped_by_reason(tmp_path: Path) -> None:
    native.write_joints(tmp_path, 3)
    folder = tmp_path / "walks"
    np.savez(folder / "short.npz", joints=known_motion(25.0).joints[:20], fps=25.0)
    np.savez(folder / "long.npz", joints=np.concatenate([known_motion(25.0).joints] * 6), fps=25.0)
    (folder / "bad.npz").write_bytes(b"x")
    spec = SourceSpec(name="walks", title="own", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))
    corpus = run(tmp_path, spec)
    assert corpus.manifest.notes["recordings"] == {
        "read": 6, "kept": 4, "dropped": 2, "by_reason": {"not_npz": 1, "too_short": 1}
    }  # fmt: skip
    assert len(corpus) == 6 and corpus.manifest.counts["read"] == 8


def test_a_ledger_that_loses_a_row_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stickgen_core.canonical import parts

    native.write_joints(tmp_path)
    (tmp_path / "walks" / "bad.npz").write_bytes(b"x")
    spec = SourceSpec(name="walks", title="own", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))
    forgetful = parts._quarantined

    def lost(unit: Unit, *rest: str) -> tuple[parts.Outcome, list[Clip], list[LedgerRow]]:
        return *forgetful(unit, *rest)[:2], []

    monkeypatch.setattr(parts, "_quarantined", lost)
    with pytest.raises(StickgenError, match=r"counts do not add up: 2 read, 1 kept \+ 0 dropped"):
        run(tmp_path, spec)


def test_broken_lists_are_named_and_the_rest_converts(tmp_path: Path) -> None:
    native.write_babel(tmp_path)
    folder = tmp_path / "babel" / "babel_v1.0_release"
    (folder / "val.json").write_text((folder / "train.json").read_text()[:200])
    (folder / "test.json").write_bytes(b"\xff\xfe\x00")
    corpus = run(tmp_path, REGISTRY["babel"])
    rows = {row["file"].split("/")[-1]: row["reason"] for row in corpus.ledger().to_pylist()}
    assert rows["val.json"] == "not_json" and rows["test.json"] == "bad_encoding" and len(corpus) == 5
    native.write_interhuman(tmp_path)
    (tmp_path / "interhuman" / "split" / "test.txt").write_bytes(b"7\xff\n")
    with pytest.raises(StickgenError, match=r"test.txt: not utf-8"):
        run(tmp_path, REGISTRY["interhuman"])


def test_a_link_out_of_lsmb19s_folder_is_quarantined(tmp_path: Path) -> None:
    native.write_lsmb19(tmp_path)
    (tmp_path / "secret.txt").write_text("S001C001P001R001A001_0\n")
    (tmp_path / "lsmb19" / "z.txt").symlink_to(tmp_path / "secret.txt")
    corpus = run(tmp_path, REGISTRY["lsmb19"])
    assert [row["reason"] for row in corpus.ledger().to_pylist()] == ["symlink_out"] and len(corpus) == 3
    assert {clip.extra.get("same_as") for clip in corpus} == {f"ntu_rgbd/{native.NTU_NAME}", None}


def test_templates_are_drawn_by_the_clip_and_never_left_open(tmp_path: Path) -> None:
    for number in range(1, 7):
        native.write_ntu(tmp_path, name=f"S00{number}C002P003R002A008")
    clips = list(run(tmp_path, REGISTRY["ntu_rgbd"]))
    texts = {clip.id: next(text.text for text in clip.texts if text.kind == "template") for clip in clips}
    assert len(set(texts.values())) > 1 and not any("{" in text for text in texts.values())
    assert not any(text.kind == "caption" for clip in clips for text in clip.texts)
    assert {
        clip.id: next(t.text for t in clip.texts if t.kind == "template") for clip in run(tmp_path, REGISTRY["ntu_rgbd"], "again")
    } == texts


def test_left_out_is_a_file_a_reason_and_a_detail() -> None:
    assert LeftOut("a", "b") == ("a", "b", "")


# Every file of a changed data set that is read again, and no other ------------------------------------------------------


def test_of_a_babel_sequence_only_what_hangs_on_a_changed_amass_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stickgen_core.sources.babel import BabelReader

    native.write_babel(tmp_path)
    train = tmp_path / "babel" / "babel_v1.0_release" / "train.json"
    records = json.loads(train.read_text())
    (key, record), motion = next(iter(records.items())), next((tmp_path / "amass").rglob("*_poses.npz"))
    twin = motion.with_name("01_99_poses.npz")
    twin.write_bytes(motion.read_bytes())
    records["99999"] = {**record, "babel_sid": 99999, "feat_p": record["feat_p"].replace(Path(record["feat_p"]).name, twin.name)}
    train.write_text(json.dumps(records))
    read: list[str] = []
    original = BabelReader.read
    monkeypatch.setattr(BabelReader, "read", lambda self, raw, unit: (read.append(unit.key), original(self, raw, unit))[1])
    whole = run(tmp_path, REGISTRY["babel"])
    assert sorted(read) == sorted([key, "99999"])
    read.clear()
    os.utime(twin, ns=(1, 1))
    assert run(tmp_path, REGISTRY["babel"]).digest == whole.digest and read == ["99999"]
    read.clear()
    records["99999"]["dur"] = float(record["dur"]) + 0.01
    train.write_text(json.dumps(records))
    run(tmp_path, REGISTRY["babel"])
    assert read == ["99999"]
    read.clear()
    twin.unlink()
    after = run(tmp_path, REGISTRY["babel"])
    assert read == [] and len(after) < len(whole) and "motion_not_in_amass" in after.ledger()["reason"].to_pylist()


# A real kill -----------------------------------------------------------------------------------------------------------

# Every read is told to a file before it begins; `die_at` kills the process in the middle of that one, and a worker in its first.
CONVERT = """
import os, signal, sys, time
from pathlib import Path
from stickgen_core.canonical import CanonicalConfig, convert, workers
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.joints_source import JointsReader
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.registry import Licence, SourceSpec

root, count, die_at, slow_s = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
workers.START_AFTER_S = workers.START_LEFT_S = 0.0
original, begun = JointsReader.read, []

def read(self, raw, unit):
    begun.append(unit.key)
    with (root / "reads.txt").open("a") as file:
        file.write(f"{unit.key} {__name__}\\n")
    if __name__ == "__main__":
        time.sleep(slow_s)
    if len(begun) == die_at and (count == 1 or __name__ != "__main__"):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, raw, unit)

JointsReader.read = read
if __name__ == "__main__":
    spec = SourceSpec(name="walks", title="own", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))
    convert(spec, root / "walks", root / "killed", shards=root / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig(),
            workers=count, units_per_part=16)
"""
WALKS = SourceSpec(name="walks", title="own", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))


def start(root: Path, workers: int, die_at: int = 0, slow_s: float = 0.0) -> subprocess.Popen[bytes]:
    script = root / "run.py"
    script.write_text(CONVERT)
    return subprocess.Popen([sys.executable, str(script), str(root), str(workers), str(die_at), str(slow_s)],
                            env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip


def begun(root: Path) -> list[list[str]]:
    """Files whose reading began, each with the module that read it: __main__, or __mp_main__ in a worker."""
    path = root / "reads.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def went_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Corpus, list[str]]:
    """The corpus that the next run makes of what a killed one left, and the files that it read."""
    from stickgen_core.sources.joints_source import JointsReader

    read: list[str] = []
    original = JointsReader.read
    with monkeypatch.context() as patched:
        patched.setattr(JointsReader, "read", lambda self, raw, unit: (read.append(unit.key), original(self, raw, unit))[1])
        corpus = convert(
            WALKS, root / "walks", root / "killed", shards=root / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig()
        )
    return corpus, read


def whole_of(root: Path) -> Corpus:
    return convert(WALKS, root / "walks", root / "whole", shards=root / "apart", config=CanonicalConfig(), skeleton=SkeletonConfig())


def test_kill_9_in_the_middle_of_a_part_costs_the_file_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.write_joints(tmp_path, 8)
    (tmp_path / "walks" / "take_002.npz").write_bytes(b"x")
    child = start(tmp_path, 1, die_at=6)
    child.communicate()
    assert child.returncode == -signal.SIGKILL and len(begun(tmp_path)) == 6
    assert not list((tmp_path / "killed").rglob("manifest.json")), "killed in its first part"
    corpus, read = went_on(tmp_path, monkeypatch)
    assert read == ["take_005", "take_006", "take_007"]
    whole = whole_of(tmp_path)
    assert corpus.digest == whole.digest and corpus.verify() == [] and corpus.ledger() == whole.ledger()
    assert corpus.manifest.notes["recordings"] == whole.manifest.notes["recordings"]
    left = [path.name for path in (tmp_path / "killed").rglob("*")] + [path.name for path in (tmp_path / "shards").iterdir()]
    assert not [name for name in left if name.startswith("journal") or name.endswith(".tmp")]


@pytest.mark.parametrize("damage", ["torn", "flipped", "foreign"])
def test_a_damaged_journal_is_believed_up_to_the_damage(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from stickgen_core.canonical import journal

    native.write_joints(tmp_path, 4)

    def stop(self: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "remove", stop)
        with pytest.raises(KeyboardInterrupt):
            went_on(tmp_path, monkeypatch)
    (path,) = (tmp_path / "killed").rglob("journal-*")
    (path.parent / "manifest.json").unlink()
    data = path.read_bytes()
    match damage:
        case "torn":
            path.write_bytes(data[: len(data) * 5 // 8])
        case "flipped":
            at = len(data) * 5 // 8
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        case "foreign":
            path.write_bytes(bytes(range(256)) * 40)
    corpus, read = went_on(tmp_path, monkeypatch)
    assert read == (["take_000", "take_001"] if damage == "foreign" else []) + ["take_002", "take_003"]
    assert corpus.digest == whole_of(tmp_path).digest and corpus.verify() == []


def test_which_of_two_equal_ids_is_kept_does_not_depend_on_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stickgen_core.sources.joints_source import JointsReader

    native.write_joints(tmp_path, 5)
    original = JointsReader.read

    def same_key(self: JointsReader, raw: Path, unit: Unit) -> Iterator[Recording]:
        for recording in original(self, raw, unit):
            moved = recording.joints.copy()
            moved[..., 0] += 0.01 * int(unit.key[-1]) * np.linspace(0, 1, len(moved)).reshape(-1, *(1,) * (moved.ndim - 2))
            yield replace(recording, key="same" if unit.key in ("take_001", "take_003", "take_004") else unit.key, joints=moved)

    monkeypatch.setattr(JointsReader, "read", same_key)
    made = [run(tmp_path, WALKS, f"out{most}", units_per_part=most) for most in (1, 2, 5)]
    assert len({corpus.digest for corpus in made}) == 1 and made[0].ids == ["walks/same#0", "walks/take_000#0", "walks/take_002#0"]
    assert all(corpus.ledger() == made[0].ledger() for corpus in made)
    (tmp_path / "walks" / "take_001.npz").unlink()
    assert run(tmp_path, WALKS, "out5").digest == run(tmp_path, WALKS, "anew").digest != made[0].digest


def test_a_worker_shares_the_work_and_the_result_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.write_joints(tmp_path, 40)
    child = start(tmp_path, 2, slow_s=0.06)
    _, problems = child.communicate()
    assert child.returncode == 0, problems.decode()
    assert {module for _, module in begun(tmp_path)} == {"__main__", "__mp_main__"} and len(begun(tmp_path)) == 40
    assert Corpus.open(tmp_path / "killed").digest == whole_of(tmp_path).digest


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_of_all_processes_costs_the_files_in_flight_and_no_bit_of_the_result(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    native.write_joints(tmp_path, 120)
    child = start(tmp_path, workers, slow_s=0.03)
    while len({module for _, module in begun(tmp_path)}) < workers or len(begun(tmp_path)) < 30:
        assert child.poll() is None
        time.sleep(0.002)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    before = {key for key, _ in begun(tmp_path)}
    assert len(before) < 120 and not (tmp_path / "killed" / "manifest.json").exists()
    corpus, read = went_on(tmp_path, monkeypatch)
    assert len(before & set(read)) <= workers and set(read) >= {f"take_{n:03d}" for n in range(120)} - before
    assert corpus.digest == whole_of(tmp_path).digest and corpus.verify() == []
    assert not list((tmp_path / "shards").glob(".*.tmp"))


@pytest.mark.slow
def test_workers_end_with_a_killed_parent_and_the_parent_tells_of_a_killed_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.write_joints(tmp_path, 120)
    child = start(tmp_path, 2, slow_s=0.05)
    while "__mp_main__" not in {module for _, module in begun(tmp_path)}:
        assert child.poll() is None
        time.sleep(0.002)
    child.kill()  # the parent alone
    child.communicate()  # its standard error is shared with the worker: this returns once both are gone
    before = {key for key, _ in begun(tmp_path)}
    corpus, read = went_on(tmp_path, monkeypatch)
    assert len(before & set(read)) <= 2 and len(corpus) == 120
    for path in (tmp_path / "reads.txt", *(tmp_path / "killed").rglob("manifest.json")):
        path.unlink()
    child = start(tmp_path, 2, die_at=3, slow_s=0.05)
    _, problems = child.communicate()
    assert child.returncode == 1 and b"a worker process ended by itself (exit code -9" in problems
    assert len(went_on(tmp_path, monkeypatch)[0]) == 120
