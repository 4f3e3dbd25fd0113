"""One known motion through every reader: height, speed, facing, left and right, contact times, and every measured joint."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, clips_of, convert
from stickgen_core.corpus.clip import Clip
from stickgen_core.corpus.ledger import by_reason
from stickgen_core.corpus.store import Corpus
from stickgen_core.skeleton.body import JOINT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.actions import labels_for, load_actions
from stickgen_core.sources.humanml3d import LEG_M, vote_for_first
from stickgen_core.sources.readers import READERS, reader_for
from stickgen_core.sources.registry import Licence, SourceSpec, load_registry
from tests.factories import native
from tests.factories.known_motion import assert_known, known_motion

REGISTRY = load_registry(Path(__file__).resolve().parents[3] / "configs" / "datasets")
OWN = {
    "mine": SourceSpec(name="mine", title="own BVH", reader="bvh", skeleton="cmu", licence=Licence(name="mine"), layout=("*.bvh",)),
    "walks": SourceSpec(name="walks", title="own joints", reader="joints", licence=Licence(name="mine"), layout=("*.npz",)),
}
WRITERS: list[tuple[str, str, Callable[[Path], object], float]] = [
    ("amass smplh", "amass", native.write_amass, 0.004),
    ("amass smplx", "amass", lambda root: native.write_amass(root, smplx=True), 0.004),
    ("amass 59 Hz", "amass", lambda root: native.write_amass(root, fps=59.0), 0.006),
    ("amass 250 Hz", "amass", lambda root: native.write_amass(root, fps=250.0), 0.004),
    ("humanml3d joints", "humanml3d", native.write_humanml3d, 0.02),
    ("humanml3d vectors", "humanml3d", lambda root: native.write_humanml3d(root, vectors=True), 0.02),
    ("kit left first", "kit_ml", native.write_kit_ml, 0.05),
    ("kit vectors", "kit_ml", lambda root: native.write_kit_ml(root, vectors=True), 0.05),
    ("kit vectors right first", "kit_ml", lambda root: native.write_kit_ml(root, first_is_left=False, vectors=True), 0.05),
    ("kit right first, metres", "kit_ml", lambda root: native.write_kit_ml(root, first_is_left=False, unit_m=1.0), 0.05),
    ("ntu", "ntu_rgbd", native.write_ntu, 0.03),
    ("100style", "100style", native.write_100style, 0.006),
    ("interhuman npy", "interhuman", native.write_interhuman, 0.012),
    ("interhuman pkl", "interhuman", lambda root: native.write_interhuman(root, pickled=True), 0.006),
    ("babel", "babel", native.write_babel, 0.004),
    ("beat", "beat", native.write_beat, 0.006),
    ("beat2", "beat2", native.write_beat2, 0.012),
    ("aistpp smpl", "aistpp", native.write_aistpp, 0.006),
    ("aistpp keypoints", "aistpp", lambda root: native.write_aistpp(root, keypoints=True), 0.08),
    ("lsmb19", "lsmb19", native.write_lsmb19, 0.03),
    ("bvh", "mine", native.write_bvh, 0.006),
    ("joints", "walks", native.write_joints, 0.006),
]  # fmt: skip


def spec_of(name: str) -> SourceSpec:
    return OWN.get(name) or REGISTRY[name]


def converted(root: Path, name: str, **options: object) -> Corpus:
    return convert(spec_of(name), root / name, root / "out" / name, shards=root / "shards", config=CanonicalConfig(),
                   skeleton=SkeletonConfig(), **options)  # type: ignore[arg-type]  # fmt: skip


def main_clip(corpus: Corpus) -> Clip:
    return corpus.clip(next(i for i, key in enumerate(corpus.ids) if key.endswith("#0")))


@pytest.mark.parametrize(("name", "source", "write", "tolerance_m"), WRITERS, ids=[row[0] for row in WRITERS])
def test_the_same_motion_through_every_reader(
    tmp_path: Path, name: str, source: str, write: Callable[[Path], object], tolerance_m: float
) -> None:
    write(tmp_path)
    corpus = converted(tmp_path, source)
    clip = main_clip(corpus)
    legs = np.linalg.norm(np.diff(known_motion(25.0).joints[0, [1, 4, 7]], axis=0), axis=-1).sum()
    assert_known(clip, tolerance_m, LEG_M / legs if source == "kit_ml" else 1.0)
    assert corpus.verify() == []
    assert corpus.manifest.counts["read"] == len(corpus) + corpus.ledger().num_rows


def test_every_registered_data_set_has_a_reader_licence_citation_and_place_to_get_it() -> None:
    documented = {"amass", "humanml3d", "kit_ml", "ntu_rgbd", "100style", "interhuman", "babel", "beat", "aistpp", "lsmb19", "synthetic"}
    assert documented <= set(REGISTRY)
    for name, spec in REGISTRY.items():
        assert spec.reader in READERS, name
        if spec.kind == "real":
            assert spec.citation and spec.register_at and spec.layout and spec.licence.name, name


def test_amass_shape_files_are_left_out_by_rule_and_counted(tmp_path: Path) -> None:
    native.write_amass(tmp_path)
    native.write_amass(tmp_path, smplx=True)
    corpus = converted(tmp_path, "amass")
    assert len({key.split("#")[0] for key in corpus.ids}) == 1
    assert by_reason(corpus.ledger()) == {"shape_stage": 2, "other_representation": 1}


def test_one_recording_has_one_origin_across_amass_babel_and_humanml3d(tmp_path: Path) -> None:
    native.write_babel(tmp_path)
    native.write_humanml3d(tmp_path)
    origins = {main_clip(converted(tmp_path, name)).origin for name in ("amass", "babel", "humanml3d")}
    assert origins == {f"amass/{native.AMASS_NAME}"}


def test_later_folder_names_of_amass_give_the_same_origin() -> None:
    from stickgen_core.sources.amass import amass_origin

    old = amass_origin("./BioMotionLab_NTroje/rub001/0001_treadmill_norm_poses.npy")
    assert (
        old
        == amass_origin("BMLrub/BMLrub/rub001/0001_treadmill_norm_stageii.npz")
        == "amass/BioMotionLab_NTroje/rub001/0001_treadmill_norm"
    )
    assert amass_origin("ACCAD/a b/C19 -  run_poses.npz") == amass_origin("ACCAD/a_b/C19_-_run_stageii.npz")
    assert amass_origin("ACCAD/a b/C19 -  run_poses.npz") == amass_origin("ACCAD/a_b/C19_-__run_stageii.npz"), "a blank, an underscore"
    assert amass_origin("BioMotionLab_NTroje/a__b/c_poses.npz").startswith("amass/BioMotionLab_NTroje/a_b/")


@pytest.mark.parametrize("first_is_left", [True, False])
def test_the_side_of_kits_legs_is_the_sets_and_no_kneeling_clip_decides_for_itself(tmp_path: Path, first_is_left: bool) -> None:
    """Toes of a person who kneels lie behind the ankles: alone, such a clip would come out swapped and facing backwards."""
    native.write_kit_ml(tmp_path, first_is_left=first_is_left)
    kneeling = known_motion(12.5).joints[:40].copy()
    kneeling[:, 0::1, 1] -= 0.4
    for side in ("left", "right"):
        knee = kneeling[:, JOINT[f"{side}_knee"]]
        knee[:, 1] = 0.05
        kneeling[:, JOINT[f"{side}_ankle"]] = knee - [0, 0, 0.4]
        kneeling[:, JOINT[f"{side}_foot"]] = knee - [0, 0, 0.55]
    values = native.kit_joints(kneeling, first_is_left=first_is_left)
    assert vote_for_first(values) == 0
    np.save(tmp_path / "kit_ml" / "new_joints" / "00002.npy", values)
    assert {clip.extra["first_side"] for clip in converted(tmp_path, "kit_ml")} == {"left" if first_is_left else "right"}


def test_clips_of_an_uneven_rate_play_at_their_true_speed_where_amass_tells_it(tmp_path: Path) -> None:
    """59 Hz become 29.5 Hz, not 20, when every second frame is kept; captions count frames at 20."""
    native.write_humanml3d(tmp_path)
    native.write_amass(tmp_path, fps=59.0)
    (tmp_path / "amass" / "CMU").rename(tmp_path / "amass" / "DanceDB")
    index = tmp_path / "humanml3d" / "index.csv"
    index.write_text(index.read_text().replace("/CMU/", "/DanceDB/"))
    motion = tmp_path / "humanml3d" / "HumanML3D" / "new_joints" / "000001.npy"
    np.save(motion, known_motion(59.0).joints[::2].astype(np.float32))
    clips = list(converted(tmp_path, "humanml3d"))
    assert clips[0].frames / 25 == pytest.approx(8.0, abs=0.1) and "rate_assumed_hz" not in clips[0].extra
    assert [clip.frames / 25 for clip in clips[1:]] == pytest.approx([3.0 * 20 / 29.5], abs=0.1)
    shutil.rmtree(tmp_path / "amass")
    again = next(iter(converted(tmp_path, "humanml3d")))
    assert again.extra["rate_assumed_hz"] == 20 and again.frames / 25 == pytest.approx(8.0 * 29.5 / 20, abs=0.1)


def test_humanml3d_without_its_texts_is_absent_and_says_so(tmp_path: Path) -> None:
    native.write_humanml3d(tmp_path)
    shutil.rmtree(tmp_path / "humanml3d" / "HumanML3D" / "texts")
    corpus = converted(tmp_path, "humanml3d")
    assert len(corpus) == 0 and "texts/*.txt" in str(corpus.manifest.notes["absent"])


def test_humanml3d_spans_become_clips_of_their_own_and_mirrors_are_left_out(tmp_path: Path) -> None:
    native.write_humanml3d(tmp_path)
    corpus = converted(tmp_path, "humanml3d")
    assert corpus.ids == ["humanml3d/000001#0", "humanml3d/000001#0.00-3.00s"]
    whole, span = corpus.clip(0), corpus.clip(1)
    assert [text.text for text in whole.texts if text.end_s - text.start_s > 7] == [
        "a person walks, raises the left hand, turns and sits.", "a person sits down.", "naïve café walk."
    ]  # fmt: skip
    assert "it walks # forward." in [text.text for text in span.texts]
    assert whole.official_split == "test"
    assert by_reason(corpus.ledger()) == {"mirrored_copy": 1}


def test_vectors_and_joints_of_humanml3d_agree() -> None:
    from stickgen_core.sources.humanml3d import recover_joints

    motion = known_motion(20.0)
    recovered = recover_joints(native.humanml3d_vectors(motion.joints, native.yaw_of(motion)).astype(float), 22)
    np.testing.assert_allclose(recovered, motion.joints[:-1], atol=1e-5)


def test_babel_labels_travel_with_time_and_frame_labels_win(tmp_path: Path) -> None:
    native.write_babel(tmp_path)
    corpus = converted(tmp_path, "babel")
    clip, ids = main_clip(corpus), load_actions().ids
    assert {clip.actions[25, 0], clip.actions[100, 0], clip.actions[180, 0]} == {ids["walk"], ids["sit_down"]}
    assert [text.kind for text in clip.texts if text.text == "transition"] == ["label"]
    assert corpus.manifest.notes["unmapped_labels"] == {"unheard of": 1}
    assert by_reason(corpus.ledger()) == {"motion_not_in_amass": 2}
    assert any(key.endswith("#0.00-3.00s") for key in corpus.ids)


def test_ntu_ghosts_go_ids_of_17_digits_stay_apart_and_cameras_share_an_origin(tmp_path: Path) -> None:
    native.write_ntu(tmp_path)
    native.write_ntu(tmp_path, name="S001C001P003R002A008")
    native.write_ntu(tmp_path, name="S001C002P005R002A008")
    corpus = converted(tmp_path, "ntu_rgbd")
    clips = list(corpus)
    assert [clip.actors for clip in clips] == [1, 1] and len({clip.origin for clip in clips}) == 1
    assert set(clips[0].actions[:, 0].tolist()) == {load_actions().ids["sit_down"]}
    assert clips[0].extra["splits"] == {"xsub": "test", "xview": "test", "xset": "test"}
    assert by_reason(corpus.ledger()) == {"official_missing_list": 1}
    assert clips[0].joint_source[JOINT["left_collar"]] == 1 and clips[0].joint_source[JOINT["left_wrist"]] == 0


def test_of_a_class_of_two_the_one_who_stands_still_stays(tmp_path: Path) -> None:
    """Somebody points a finger at somebody: whoever is pointed at hardly moves. In a class of one such a body is a reflection."""
    native.write_ntu(tmp_path, name="S001C002P003R002A054", still=True)
    native.write_ntu(tmp_path, name="S001C002P003R002A007", still=True)
    assert {clip.extra["class"]: clip.actors for clip in converted(tmp_path, "ntu_rgbd")} == {"A054": 2, "A007": 1}


def test_a_person_who_leaves_and_comes_back_is_one_actor(tmp_path: Path) -> None:
    path = native.write_ntu(tmp_path)
    lines, out, frame, at = path.read_text().splitlines(), [], 0, 1
    out.append(lines[0])
    while at < len(lines):
        block = lines[at : at + 55]
        at += 55
        person = [lines[0]] and block[28:55]
        gone = 100 <= frame < 115
        new_id = person[0].replace("72057594037931101", "72057594037931199") if frame >= 115 else person[0]
        out += ["0"] if gone else ["1", new_id, *person[1:]]
        frame += 1
    path.write_text("\n".join(out) + "\n")
    clip = main_clip(converted(tmp_path, "ntu_rgbd"))
    assert clip.actors == 1 and clip.present[0, 0] and clip.present[-1, 0] and not clip.present[90, 0]
    assert not clip.joints[90].any() and not clip.physics[90].any()


def test_interhuman_pairs_keep_distance_and_heading(tmp_path: Path) -> None:
    native.write_interhuman(tmp_path)
    clip = main_clip(converted(tmp_path, "interhuman"))
    apart = clip.joints[:, 1, 0] - clip.joints[:, 0, 0]
    truth = known_motion(25.0).joints[:, 0, 2]
    np.testing.assert_allclose(apart[:75, 2], 3.0 - 2 * truth[:75], atol=0.02)
    np.testing.assert_allclose(apart[:75, 0], 1.0, atol=0.02)
    assert [text.text for text in clip.texts] == ["one walks past the other.", "the two people pass each other."]
    assert clip.joints[0, 1, JOINT["left_hip"], 0] < clip.joints[0, 1, JOINT["right_hip"], 0]


def test_100style_cuts_and_beat_transcripts(tmp_path: Path) -> None:
    native.write_100style(tmp_path)
    native.write_beat(tmp_path)
    style, talk = converted(tmp_path, "100style"), converted(tmp_path, "beat")
    assert by_reason(style.ledger()) == {"no_frame_cut": 1}
    assert set(main_clip(style).actions[:, 0].tolist()) == {load_actions().ids["walk"]}
    clip = main_clip(talk)
    assert [text.text for text in clip.texts if text.kind == "transcript"] == ["hello there", "friend"]
    assert not [text for text in clip.texts if text.kind == "caption"] and clip.extra["emotion"] == "happiness"


def test_lsmb19_shares_ntus_origin_and_never_crosses_a_border(tmp_path: Path) -> None:
    native.write_lsmb19(tmp_path)
    native.write_ntu(tmp_path)
    long, short = converted(tmp_path, "lsmb19"), converted(tmp_path, "ntu_rgbd")
    assert len(long) == 3 and max(clip.frames for clip in long) <= 201
    assert short.clip(0).origin in {clip.origin for clip in long}


def test_aistpp_prefers_smpl_and_drops_the_ignored(tmp_path: Path) -> None:
    native.write_aistpp(tmp_path)
    corpus = converted(tmp_path, "aistpp")
    assert by_reason(corpus.ledger()) == {"ignore_list": 1}
    assert main_clip(corpus).official_split == "test" and main_clip(corpus).origin == "aistpp/gBR_sBM_ch01"


def test_words_are_matched_whole() -> None:
    table, ids = labels_for("amass"), load_actions().ids
    assert table.action("12_transition_poses") == table.action("trunk rotation") == table.action("shopping") == -1
    assert table.action("C19 -  run to hop") == ids["hop"] and table.action("JumpHigh01") == ids["jump"]


def test_the_vocabulary_is_whole() -> None:
    actions = load_actions()
    assert len(actions) == 64 and sorted(actions.ntu) == list(range(1, 121))
    assert {row.id: row.name for row in actions.rows}[63] == "dance"


def test_a_missing_body_model_names_the_files(tmp_path: Path) -> None:
    from stickgen_core.errors import MissingInput

    native.write_amass(tmp_path)
    for file in (tmp_path / "body_models" / "smplh" / "male").iterdir():
        file.unlink()
    with pytest.raises(MissingInput, match=r"SMPLH model for male; expected smplh/male/model.npz or SMPLH_MALE.pkl"):
        converted(tmp_path, "amass")


def test_bowing_lying_and_upside_down_come_out_as_they_went_in(tmp_path: Path) -> None:
    from stickgen_core.skeleton.rotations import rotation_about
    from stickgen_core.sources.recording import Recording

    standing = known_motion(25.0).joints[:50]
    for turn in ("bow", "lie", "handstand"):
        angle = {"bow": 1.2, "lie": np.pi / 2, "handstand": np.pi}[turn]
        joints = (standing - standing[:, :1]) @ rotation_about("X", angle).T + standing[:, :1]
        recording = Recording(turn, turn, turn, 25.0, joints[:, None], np.ones((50, 1), bool))
        (clip,) = clips_of(recording, OWN["walks"], CanonicalConfig(), SkeletonConfig())
        assert isinstance(clip, Clip)
        spine_in = joints[:, JOINT["neck"], 1] - joints[:, 0, 1]
        spine_out = clip.joints[:, 0, JOINT["neck"], 1] - clip.joints[:, 0, 0, 1]
        np.testing.assert_allclose(spine_out, spine_in, atol=1e-5)


@pytest.mark.slow
def test_joints_without_a_mesh_are_those_of_smplx() -> None:
    import torch
    from smplx.lbs import lbs

    from stickgen_core.sources.smpl import joints_of_model, smpl_joints

    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    vertices, count = 6890, 24
    regressor = np.where(draw.random((count, vertices)) < 0.002, draw.random((count, vertices)), 0.0)
    regressor /= regressor.sum(1, keepdims=True)
    parents = np.array([-1, *native.PARENTS[1:], 20, 21])
    values = {"v_template": draw.normal(0, 0.5, (vertices, 3)), "shapedirs": draw.normal(0, 0.01, (vertices, 3, 10)),
              "J_regressor": regressor, "kintree_table": np.stack([parents, np.arange(count)])}  # fmt: skip
    betas, poses, trans = draw.normal(size=10), draw.normal(0, 0.6, (20, 3 * count)), draw.normal(size=(20, 3))
    mine = smpl_joints(joints_of_model(values), betas, poses, trans)
    as_tensor = torch.as_tensor
    _, theirs = lbs(
        as_tensor(betas)[None].expand(20, -1), as_tensor(poses), as_tensor(values["v_template"]), as_tensor(values["shapedirs"]),
        torch.zeros((9 * (count - 1), 3 * vertices), dtype=torch.float64), as_tensor(regressor), as_tensor(parents),
        as_tensor(np.full((vertices, count), 1 / count)),
    )  # fmt: skip
    np.testing.assert_allclose(mine, theirs.numpy()[:, :22] + trans[:, None], atol=1e-6)


def test_readers_declare_a_version() -> None:
    assert all(reader_for(spec).version >= 1 for spec in [*REGISTRY.values(), *OWN.values()] if spec.reader != "synthetic")


def test_a_long_sequence_of_lsmb19_is_cut_at_its_annotations_and_wherever_the_body_jumps(tmp_path: Path) -> None:
    native.write_lsmb19(tmp_path, long=True)
    corpus = converted(tmp_path, "lsmb19")
    ids = load_actions().ids
    # 241 annotated frames, 60 of the second performance, 120 annotated, then its rest and all of the third: 302 frames with a jump.
    spans = {clip.id.split("/")[-1]: clip.frames for clip in corpus}
    assert spans == {"00000000#0": 201, "00000241#0": 50, "00000301#0": 100, "00000421#0": 51, "00000421#1": 201}
    known = {clip.id.split("/")[-1]: set(clip.actions[:, 0].tolist()) for clip in corpus}
    assert known["00000000#0"] == {ids["sit_down"]} and known["00000301#0"] == {ids["stand_up"]} and known["00000421#1"] == {-1}
    assert max(np.abs(np.diff(clip.joints, axis=0)).max() for clip in corpus) < 0.6
    assert len({clip.origin for clip in corpus}) == 4


def test_hands_that_touch_in_interhuman_touch_in_the_clip(tmp_path: Path) -> None:
    native.write_interhuman(tmp_path)
    folder = tmp_path / "interhuman" / "motions_processed"
    first = np.load(folder / "person1" / "7.npy")
    joints = first[:, :66].reshape(-1, 22, 3)
    other = joints + (joints[:, JOINT["left_wrist"]] - joints[:, JOINT["right_wrist"]])[:, None]
    second = first.copy()
    second[:, :66] = other.reshape(len(first), -1)
    np.save(folder / "person2" / "7.npy", second)
    clip = main_clip(converted(tmp_path, "interhuman"))
    apart = np.linalg.norm(clip.joints[:, 0, JOINT["left_wrist"]] - clip.joints[:, 1, JOINT["right_wrist"]], axis=-1)
    assert apart.max() < 1e-5
