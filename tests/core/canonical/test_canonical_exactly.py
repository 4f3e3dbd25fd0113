"""What a change reconverts (exactly what it affects), and a real kill in the middle."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.canonical.convert import recipe_of
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.amass import AmassReader
from stickgen_core.sources.reader import LeftOut
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
    run(tmp_path, spec)
    assert read == ["CMU/01/01_05"]
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
    monkeypatch.setattr(actions, "_load", lambda path: actions.Actions(tuple(other)))
    assert {name: recipe(tmp_path, spec) for name, spec in REGISTRY.items()} == before
    other[1] = other[1].model_copy(update={"ntu": (59, 60)})
    monkeypatch.setattr(actions, "_load", lambda path: actions.Actions(tuple(other)))
    changed = {name for name, spec in REGISTRY.items() if recipe(tmp_path, spec) != before[name]}
    assert changed == {"ntu_rgbd", "lsmb19"}
    other[1] = other[1].model_copy(update={"ntu": table.rows[1].ntu, "babel": ("stroll",)})
    monkeypatch.setattr(actions, "_load", lambda path: actions.Actions(tuple(other)))
    assert {name for name, spec in REGISTRY.items() if recipe(tmp_path, spec) != before[name]} == {"babel"}


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
    from stickgen_core.corpus.writer import CorpusWriter

    native.write_joints(tmp_path)
    (tmp_path / "walks" / "bad.npz").write_bytes(b"x")
    spec = SourceSpec(name="walks", title="own", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))
    forgetful = parts._quarantined

    def lost(writer: CorpusWriter, *rest: str) -> parts.Outcome:
        outcome = forgetful(writer, *rest)  # type: ignore[arg-type]
        outcome.drops.clear()
        return outcome

    monkeypatch.setattr(parts, "_quarantined", lost)
    with pytest.raises(StickgenError, match="counts do not add up: 2 recordings read, 1 kept, 0 dropped"):
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


# A real kill -----------------------------------------------------------------------------------------------------------

CONVERT = """
import sys
from pathlib import Path
from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.registry import Licence, SourceSpec
if __name__ == "__main__":
    root, workers = Path(sys.argv[1]), int(sys.argv[2])
    spec = SourceSpec(name="walks", title="own", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))
    convert(spec, root / "walks", root / "killed", shards=root / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig(),
            workers=workers, units_per_part=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_in_the_middle_costs_the_files_in_flight_and_no_bit_of_the_result(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stickgen_core.sources.joints_source import JointsReader

    count = 60
    native.write_joints(tmp_path, count)
    spec = SourceSpec(name="walks", title="own", reader="joints", licence=Licence(name="mine"), layout=("*.npz",))
    whole = convert(
        spec, tmp_path / "walks", tmp_path / "whole", shards=tmp_path / "apart", config=CanonicalConfig(), skeleton=SkeletonConfig()
    )
    script = tmp_path / "run.py"
    script.write_text(CONVERT)
    child = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), str(workers)], env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True
    )
    parts = tmp_path / "killed" / ".parts"
    done: list[Path] = []
    while len(done) < 4 and child.poll() is None:
        time.sleep(0.005)
        done = list(parts.glob("*/manifest.json"))
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    finished = len(list(parts.glob("*/manifest.json")))
    assert child.returncode == -signal.SIGKILL and not (tmp_path / "killed" / "manifest.json").exists() and 4 <= finished < count // 2
    read: list[str] = []
    original = JointsReader.read
    monkeypatch.setattr(JointsReader, "read", lambda self, raw, unit: (read.append(unit.key), original(self, raw, unit))[1])
    again = convert(spec, tmp_path / "walks", tmp_path / "killed", shards=tmp_path / "shards", config=CanonicalConfig(),
                    skeleton=SkeletonConfig(), units_per_part=7)  # fmt: skip
    assert again.digest == whole.digest and again.verify() == []
    assert len(read) == count - 2 * finished, "files of finished parts are not read again"
    assert not list((tmp_path / "shards").glob(".*.tmp"))
