"""Where files lie does not matter, how joints are worked out does: documented subfolders, and the smplx package's own joints."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.corpus.ledger import by_reason
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import ConfigError, MissingInput
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.registry import SourceSpec, load_registry
from stickgen_core.sources.smpl import joints_of_model, joints_via, smpl_joints
from tests.factories import native

REGISTRY = load_registry(Path(__file__).resolve().parents[3] / "configs" / "datasets")
# Data set -> what writes it, and where its files go: name pattern -> documented subfolder.
MOVES: dict[str, tuple[Callable[[Path], object], dict[str, str]]] = {
    "amass": (native.write_amass, {"CMU": "raw"}),
    "humanml3d": (native.write_humanml3d, {"HumanML3D/new_joints": "raw", "HumanML3D/texts": "", "HumanML3D/test.txt": "annotations", "index.csv": "annotations"}),
    "kit_ml": (native.write_kit_ml, {"new_joints": "raw", "kitml.json": "annotations"}),
    "ntu_rgbd": (native.write_ntu, {"nturgb+d_skeletons": "raw", "NTU_RGBD_samples_with_missing_skeletons.txt": "annotations"}),
    "100style": (native.write_100style, {"Angry": "raw", "Frame_Cuts.csv": "annotations", "Dataset_List.csv": "texts"}),
    "interhuman": (native.write_interhuman, {"motions_processed": "raw", "annots": "texts", "split/val.txt": "annotations"}),
    "babel": (native.write_babel, {"babel_v1.0_release/train.json": "annotations", "babel_v1.0_release/extra_train.json": "annotations"}),
    "beat": (native.write_beat, {"beat_english_v0.2.1": "raw"}),
    "beat2": (native.write_beat2, {"beat_english_v2.0.0/smplxflame_30": "raw", "beat_english_v2.0.0/train_test_split.csv": "annotations"}),
    "aistpp": (native.write_aistpp, {f"aist_plusplus_final/{part}": place for part, place in (
        ("motions", "raw"), ("cameras", "raw"), ("splits/crossmodal_test.txt", "annotations"), ("ignore_list.txt", "annotations"))}),
    "lsmb19": (native.write_lsmb19, {"cs_training_samples.txt": "raw", "queries.data": "raw"}),
}  # fmt: skip


def converted(root: Path, spec: SourceSpec, out: str = "out") -> Corpus:
    return convert(
        spec, root / spec.name, root / out / spec.name, shards=root / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig()
    )


@pytest.mark.parametrize("name", MOVES)
def test_native_roots_and_documented_subfolders_give_the_same_corpus(tmp_path: Path, name: str) -> None:
    write, moves = MOVES[name]
    write(tmp_path)
    before = converted(tmp_path, REGISTRY[name])
    for old, folder in moves.items():
        target = tmp_path / name / folder / Path(old).name if folder else tmp_path / name / Path(old).name
        target.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / old).rename(target)
    after = converted(tmp_path, REGISTRY[name], "moved")
    assert len(after) and after.digest == before.digest
    assert by_reason(after.ledger()) == by_reason(before.ledger())


def test_kit_clips_share_the_origin_of_the_amass_recording_that_a_list_names(tmp_path: Path) -> None:
    native.write_kit_ml(tmp_path)
    native.write_amass(tmp_path)
    kit, amass = (converted(tmp_path, REGISTRY[name]) for name in ("kit_ml", "amass"))
    assert kit.clip(0).origin == amass.clip(0).origin == f"amass/{native.AMASS_NAME}"
    (tmp_path / "kit_ml" / "kitml.json").unlink()
    assert converted(tmp_path, REGISTRY["kit_ml"], "alone").clip(0).origin == "kit_ml/00001"


def test_mirrored_copies_are_dropped_or_recorded_as_such_and_share_the_originals_origin(tmp_path: Path) -> None:
    native.write_humanml3d(tmp_path)
    keep = REGISTRY["humanml3d"].model_copy(update={"options": {"mirrored": "keep"}})
    clips = {clip.id: clip for clip in converted(tmp_path, keep)}
    copy, original = clips["humanml3d/M000001#0"], clips["humanml3d/000001#0"]
    assert copy.extra["mirrored_of"] == "000001" and "mirrored_of" not in original.extra
    assert (copy.origin, copy.official_split) == (original.origin, original.official_split)
    assert by_reason(converted(tmp_path, REGISTRY["humanml3d"], "dropped").ledger()) == {"mirrored_copy": 1}


def test_humanml3d_without_its_index_is_absent_with_that_reason(tmp_path: Path) -> None:
    native.write_humanml3d(tmp_path)
    (tmp_path / "humanml3d" / "index.csv").unlink()
    corpus = converted(tmp_path, REGISTRY["humanml3d"])
    assert len(corpus) == 0 and "builds on index.csv" in corpus.manifest.notes["absent"]


def test_the_rig_of_aistpp_stays_beside_the_clip_in_metres_of_its_body(tmp_path: Path) -> None:
    native.write_aistpp(tmp_path)
    clip = converted(tmp_path, REGISTRY["aistpp"]).clip(0)
    cameras = clip.extra["cameras"]
    assert clip.extra["camera_rig"] == "setting1" and [camera["name"] for camera in cameras] == [f"c{n:02d}" for n in range(1, 10)]
    # 4 m in front and 1 m a camera above the world's origin, for a body 93.78 cm to the unit of the model.
    np.testing.assert_allclose(cameras[2]["centre_m"], [0.0, 300 / 93.78, -400 / 93.78], atol=1e-3)
    assert clip.camera_source == "none"


def test_an_origin_rule_that_asks_for_what_the_reader_does_not_know_says_so(tmp_path: Path) -> None:
    native.write_joints(tmp_path)
    spec = SourceSpec(name="walks", title="own", reader="joints", licence={"name": "mine"}, layout=("*.npz",), origin="{performer}/{key}")
    with pytest.raises(ConfigError, match=r"origin '\{performer\}/\{key\}'.*it may use \{source\}, \{key\}"):
        converted(tmp_path, spec)


# The package's own joints --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["amass", "beat2", "aistpp"])
def test_joints_via_smplx_are_our_joints(tmp_path: Path, name: str) -> None:
    import torch

    torch.set_num_threads(1)
    MOVES[name][0](tmp_path)
    spec = REGISTRY[name]
    theirs = spec.model_copy(update={"options": {**spec.options, "joints_via": "smplx"}})
    one, two = (converted(tmp_path, each, out).clip(0) for each, out in ((spec, "own"), (theirs, "smplx")))
    np.testing.assert_allclose(one.joints, two.joints, atol=1e-6)


def test_joints_via_something_else_and_a_model_without_a_mesh_are_refused_in_one_line(tmp_path: Path) -> None:
    spec = REGISTRY["amass"].model_copy(update={"options": {"joints_via": "mesh"}})
    with pytest.raises(ConfigError, match="joints_via 'mesh': expected own or smplx"):
        joints_via(spec)
    native.write_amass(tmp_path)
    few = {key: value for key, value in native.model_arrays(52, 16).items() if key != "weights"}
    np.savez(tmp_path / "body_models" / "smplh" / "male" / "model.npz", **few)
    with pytest.raises(MissingInput, match="model.npz: not a whole body model .*weights"):
        converted(tmp_path, spec.model_copy(update={"options": {"joints_via": "smplx"}}))


@pytest.mark.slow
@pytest.mark.parametrize(("family", "vertices", "joints", "shapes"), [("smplh", 6890, 52, 16), ("smplx", 10475, 55, 10)])
def test_joints_without_a_mesh_are_those_of_smplx_on_a_model_of_full_size(family: str, vertices: int, joints: int, shapes: int) -> None:
    import torch
    from smplx.lbs import lbs

    torch.set_num_threads(1)
    draw, frames = np.random.default_rng(0), 20
    regressor = np.where(draw.random((joints, vertices)) < 0.002, draw.random((joints, vertices)), 0.0)
    regressor /= regressor.sum(1, keepdims=True)
    parents = native.model_arrays(joints, shapes)["kintree_table"][0].astype(np.int64)
    parents[0] = -1
    values = {"v_template": draw.normal(0, 0.5, (vertices, 3)), "shapedirs": draw.normal(0, 0.01, (vertices, 3, shapes)),
              "J_regressor": regressor, "kintree_table": np.stack([parents, np.arange(joints)])}  # fmt: skip
    betas, poses, trans = draw.normal(size=shapes), draw.normal(0, 0.6, (frames, 3 * joints)), draw.normal(size=(frames, 3))
    mine = smpl_joints(joints_of_model(values), betas, poses, trans)
    as_tensor = torch.as_tensor
    # Blend shapes and skinning that are not nothing: joints must not depend on them.
    weights = draw.random((vertices, joints))
    _, theirs = lbs(
        as_tensor(betas)[None].expand(frames, -1), as_tensor(poses), as_tensor(values["v_template"]), as_tensor(values["shapedirs"]),
        as_tensor(draw.normal(0, 0.01, (9 * (joints - 1), 3 * vertices))), as_tensor(regressor), as_tensor(parents),
        as_tensor(weights / weights.sum(1, keepdims=True)),
    )  # fmt: skip
    np.testing.assert_allclose(mine, theirs.numpy()[:, :22] + trans[:, None], atol=1e-6)
