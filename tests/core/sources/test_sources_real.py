"""Real captures, where they can be had: DeepMimic from the pinned wheel, CMU's BVH from Debian's assimp-testmodels."""

import os
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.errors import StickgenError
from stickgen_core.skeleton.body import JOINT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.fetch import fetch_deepmimic
from stickgen_core.sources.registry import Licence, SourceSpec, load_registry

pytestmark = pytest.mark.slow
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


def test_cmu_bvh_of_debian(tmp_path: Path) -> None:
    folder = Path(os.environ.get("STICKGEN_TEST_BVH", "/usr/share/assimp/models/BVH"))
    if not (folder / "01_01.bvh").exists():
        pytest.skip("assimp-testmodels is not installed")
    (tmp_path / "cmu").mkdir()
    (tmp_path / "cmu" / "01_01.bvh").write_bytes((folder / "01_01.bvh").read_bytes())
    # The unit of CMU files is 1/0.45 inch; frame 0 is an inserted T-pose.
    spec = SourceSpec(name="cmu", title="CMU", reader="bvh", skeleton="cmu", licence=Licence(name="free"), layout=("*.bvh",), unit_m=0.056444,
                      options={"skip_frames": 1})  # fmt: skip
    corpus = convert(
        spec, tmp_path / "cmu", tmp_path / "out", shards=tmp_path / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig()
    )
    assert [clip.frames for clip in corpus] == [286, 287]
    for clip in corpus:
        body = clip.joints[:, 0]
        assert 0.85 < body[:, 0, 1].mean() < 1.1 and (clip.joint_source == 0).all()
        assert body[0, JOINT["left_hip"], 0] > body[0, JOINT["right_hip"], 0]
