"""Data sets on the command line: what is there, what is missing, what it looks like, and a user's own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.settings import load_settings
from stickgen_pipeline.cli import main
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.steps import Outcome, Steps, perform
from tests.factories import native
from tests.factories.known_motion import known_motion

ROOT = Path(__file__).parents[2]
ELEVEN = ("amass", "humanml3d", "kit_ml", "ntu_rgbd", "100style", "interhuman", "babel", "beat", "aistpp", "lsmb19", "beat2")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's configuration with roots of its own, every variable set."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for name, place in (("STICKGEN_ROOT", ""), ("STICKGEN_DATA", "data"), ("DATA_ROOT", "raw"), ("DAGSTER_HOME", "dagster"),
                        ("STICKGEN_OUTPUT_DIR", "outputs"), ("STICKGEN_REGISTRY", "registry.json")):  # fmt: skip
        monkeypatch.setenv(name, str(tmp_path / place))
    monkeypatch.setenv("STICKGEN_PROFILE", "full")
    (tmp_path / "raw").mkdir()
    return tmp_path


def write_all(raw: Path) -> None:
    """Every documented data set in its authors' layout."""
    for write in (native.write_babel, native.write_humanml3d, native.write_kit_ml, native.write_lsmb19, native.write_100style,
                  native.write_interhuman, native.write_beat, native.write_beat2, native.write_aistpp):  # fmt: skip
        write(raw)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_all_eleven_are_found_with_their_prerequisites(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_all(home / "raw")
    code, out, _ = asked(capsys, "datasets", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and {name: rows[name]["state"] in ("present", "partial") for name in ELEVEN} == dict.fromkeys(ELEVEN, True)
    assert all(rows[name]["found"] >= 1 and rows[name]["licence"] and rows[name]["get"] and not rows[name]["lacks"] for name in ELEVEN)
    assert rows["body_models/smplh"]["state"] == "present" and rows["body_models/smplx"]["state"] == "partial"
    (home / "raw" / "humanml3d" / "index.csv").unlink()
    shutil.rmtree(home / "raw" / "ntu_rgbd")
    shutil.rmtree(home / "raw" / "body_models")
    _, out, _ = asked(capsys, "datasets")
    assert "builds on index.csv" in out and "lsmb19 builds on ntu_rgbd" in out
    assert "SMPLH_MALE.pkl" in out and "https://mano.is.tue.mpg.de" in out


def test_check_reads_a_few_and_says_why_others_are_left_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    native.write_amass(home / "raw")
    code, out, _ = asked(capsys, "datasets", "check", "amass")
    assert code == 0 and "CMU/01/01_04" in out and "1 shape_stage" in out
    code, _, err = asked(capsys, "datasets", "check", "babel")
    assert code == 1 and "babel is not there or empty" in err


def test_preview_is_a_sheet_and_a_film_of_joints_beside_sticks(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from stickgen_core.rendering.media import read_mp4

    native.write_100style(home / "raw")
    code, out, _ = asked(capsys, "preview", "100style", "-n", "2", "--seconds", "0.4", "-o", str(home / "shown"), "--json")
    found = json.loads(out)
    assert code == 0 and found["clips"] == ["100style/Angry/FW#0"] and found["left_out"] == 1
    frames, fps = read_mp4(Path(found["film"]))
    settings = load_settings("full")
    assert len(frames) == 10 and fps == 25 and frames[0].shape[1] == settings.config.rendering.wide_px
    left, right = np.split(frames[0], 2, axis=1)
    assert (left < 250).any() and (right < 250).any() and not np.array_equal(left, right)
    assert Path(found["picture"]).read_bytes().startswith(b"\x89PNG")


def own_bvh(home: Path, **options: object) -> None:
    (home / "raw" / "studio").mkdir()
    text = native.bvh_text(known_motion(30.0), native.JOINT_MAPS["cmu"], **options)  # type: ignore[arg-type]
    (home / "raw" / "studio" / "a.bvh").write_text(text)


def test_adding_a_data_set_shows_it_then_writes_a_yaml_that_converts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_bvh(home)
    target = home / "configs" / "datasets" / "studio.yaml"
    arguments = ("datasets", "add", "studio", "--reader", "bvh", "-o", str(home), "--licence", "mine")
    code, out, _ = asked(capsys, *arguments, "--dry-run")
    assert code == 0 and "nothing was written" in out and not target.exists() and (home / "studio_preview.png").exists()
    assert asked(capsys, *arguments)[0] == 0
    assert yaml.safe_load(target.read_text())["skeleton"] == "cmu"
    settings = load_settings("full")
    steps = steps_of(settings)
    for key in ("raw/studio", "canonical/studio"):
        outcome = perform(steps[key], steps, home / "state", lambda *_: None)
        assert not outcome.blocked_by
    assert outcome.manifest.counts["clips"] == 1
    code, _, err = asked(capsys, *arguments)
    assert code == 1 and "is there already" in err


@pytest.mark.parametrize(("more", "says"), [
    (("--unit-m", "1"), r"now 1; 0\.009\d* would put the head at 1\.55 m"), (("--axes", "z_up"), "feet are above the head|Z may be up"),
    (("--joint-map", "left_hip=LeftUpLeg"), "none of 1 units gave a clip: wrong_skeleton"), (("--skeleton", "ape"), "skeleton among"),
])  # fmt: skip
def test_what_does_not_look_like_a_person_is_never_written(
    home: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
) -> None:
    import re

    own_bvh(home)
    code, _, err = asked(capsys, "datasets", "add", "studio", "--reader", "bvh", "-o", str(home), *more)
    assert code == 1 and re.search(says, err), err
    assert not (home / "configs" / "datasets" / "studio.yaml").exists()


def test_a_data_set_that_is_removed_becomes_absent_and_what_was_made_of_it_follows(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_bvh(home)
    assert asked(capsys, "datasets", "add", "studio", "--reader", "bvh", "-o", str(home), "--licence", "mine")[0] == 0
    more = yaml.safe_load((home / "configs" / "datasets" / "studio.yaml").read_text()) | {"name": "more", "needs": ["studio"]}
    (home / "configs" / "datasets" / "more.yaml").write_text(yaml.safe_dump(more))
    shutil.copytree(home / "raw" / "studio", home / "raw" / "more")
    steps = steps_of(load_settings("full", None, ["datasets.synthetic.options.clips=4"]))
    data = [step for step in steps.values() if step.group in ("raw", "canonical")] + [steps["corpus/merged"]]

    def made(steps: Steps, *keys: str) -> list[Outcome]:
        return [perform(steps[key], steps, home / "state", lambda *_: None) for key in keys]

    def clips() -> tuple[float, ...]:
        assert not [text for outcome in made(steps, *(step.key for step in data)) for text in outcome.blocked_by]
        merged = Corpus.open(steps["corpus/merged"].folder).column("source").tolist()
        return *(len(Corpus.open(steps[f"canonical/{name}"].folder)) for name in ("studio", "more")), len(set(merged) & {"studio", "more"})

    assert clips() == (1, 1, 1)  # two of the same motion are one
    (home / "raw" / "studio").rename(home / "unmounted")
    assert "1 of 1 files are gone" in made(steps, "raw/studio")[0].blocked_by[0]
    other = steps_of(load_settings("full", None, ["canonical.min_frames=24"]))
    for key in ("canonical/studio", "canonical/more"):
        with pytest.raises(StickgenError, match="holds 1 clips of it; mount it again"):
            made(other, key)
    code, out, _ = asked(capsys, "datasets", "remove", "studio")
    assert code == 0 and "its corpus absent" in out
    assert clips() == (0, 0, 0)
    (home / "unmounted").rename(home / "raw" / "studio")
    assert clips() == (1, 1, 1)


@pytest.mark.slow
def test_every_documented_data_set_becomes_a_checked_corpus(home: Path) -> None:
    write_all(home / "raw")
    native.write_ntu(home / "raw")
    steps = steps_of(load_settings("full"))
    for name in ELEVEN:
        perform(steps[f"raw/{name}"], steps, home / "state", lambda *_: None)
    for name in ELEVEN:
        outcome = perform(steps[f"canonical/{name}"], steps, home / "state", lambda *_: None)
        counts, recordings = outcome.manifest.counts, outcome.manifest.notes["recordings"]
        assert not outcome.blocked_by and not outcome.warnings and counts["clips"] >= 1, name
        assert counts["read"] == counts["clips"] + counts["dropped"] and recordings["read"] == recordings["kept"] + recordings["dropped"]
        assert perform(steps[f"canonical/{name}"], steps, home / "state", lambda *_: None).reused, name
