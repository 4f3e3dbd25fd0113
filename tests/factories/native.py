"""Writers of each data set's native layout, with its quirks, from the one known motion."""

import json
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import scipy.sparse

from stickgen_core.skeleton.body import JOINT, JOINT_COUNT, JOINT_NAMES, PARENTS
from stickgen_core.skeleton.rotations import matrix_to_axis_angle, matrix_to_euler, rotation_about
from stickgen_core.sources.bvh_source import JOINT_MAPS
from stickgen_core.sources.humanml3d import KIT_MIDDLE, KIT_SIDES
from stickgen_core.sources.ntu import KINECT
from tests.factories.known_motion import REST, Motion, known_motion, offsets

# (x, y, z) Y up -> (x, -z, y) Z up: what `z_up` is turned back from.
TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
AMASS_NAME = "CMU/01/01_04"
NTU_NAME = "S001C002P003R002A008"


# Body models -------------------------------------------------------------------------------------------------------


def model_arrays(joints: int, shapes: int) -> dict[str, np.ndarray]:
    """A mesh of as many vertices as joints, a regressor that is the identity, the root's parent written as 2^32 - 1."""
    template = np.zeros((joints, 3))
    template[:JOINT_COUNT] = REST
    template[JOINT_COUNT:] = REST[20]
    parents = np.array([2**32 - 1, *PARENTS[1:], *([20] * (joints - JOINT_COUNT))], np.uint32)
    directions = np.random.default_rng(3).normal(0, 0.005, (joints, 3, shapes))
    directions[..., 10:] = 1.0 if shapes == 20 else directions[..., 10:]
    return {
        "v_template": template,
        "shapedirs": directions,
        "J_regressor": np.eye(joints),
        "kintree_table": np.stack([parents, np.arange(joints, dtype=np.uint32)]),
        # What a mesh needs and joints do not: the smplx package asks for them.
        "posedirs": np.zeros((joints, 3, 9 * (joints - 1))),
        "weights": np.eye(joints),
    }


def write_body_models(root: Path) -> None:
    place = root / "body_models"
    for gender in ("male", "female", "neutral"):
        (place / "smplh" / gender).mkdir(parents=True, exist_ok=True)
        np.savez(place / "smplh" / gender / "model.npz", **model_arrays(52, 16))
    (place / "smplx").mkdir(exist_ok=True)
    # Object arrays that nobody needs lie in the real file; expression directions (the last ten) must never meet betas.
    np.savez(place / "smplx" / "SMPLX_NEUTRAL.npz", part2num=np.array({"a": 1}, dtype=object), **model_arrays(55, 20))
    (place / "smpl").mkdir(exist_ok=True)
    (place / "smpl" / "basicmodel_m_lbs_10_207_0_v1.1.0.pkl").write_bytes(chumpy_pickle(model_arrays(24, 10)))


def chumpy_pickle(arrays: dict[str, np.ndarray]) -> bytes:
    """As the released SMPL files: protocol 2, chumpy arrays, a sparse regressor."""
    module = types.ModuleType("chumpy.ch")
    chumpy = type("Ch", (), {"__module__": "chumpy.ch", "__getstate__": lambda self: {"x": self.x, "_dirty": False}})
    module.Ch = chumpy
    wrapped = chumpy()
    wrapped.x = arrays["shapedirs"]
    sys.modules["chumpy"], sys.modules["chumpy.ch"] = types.ModuleType("chumpy"), module
    try:
        return pickle.dumps({**arrays, "shapedirs": wrapped, "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"])}, protocol=2)
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]


def smpl_pose(motion: Motion, width: int, z_up: bool) -> tuple[np.ndarray, np.ndarray]:
    """poses [T, width], trans [T, 3] of betas 0; trans is not the pelvis."""
    rotations = motion.rotations.copy()
    turn = TO_Z_UP if z_up else np.eye(3)
    rotations[:, 0] = turn @ rotations[:, 0]
    poses = np.zeros((len(rotations), width))
    poses[:, : 3 * JOINT_COUNT] = matrix_to_axis_angle(rotations).reshape(len(rotations), -1)
    return poses, motion.pelvis @ turn.T - REST[0]


# Data sets ---------------------------------------------------------------------------------------------------------


def write_amass(root: Path, *, smplx: bool = False, fps: float = 120.00004577636719) -> None:
    write_body_models(root)
    folder = root / "amass" / "CMU" / "01"
    folder.mkdir(parents=True, exist_ok=True)
    poses, trans = smpl_pose(known_motion(fps), 165 if smplx else 156, z_up=True)
    common = {"trans": trans, "poses": poses, "betas": np.zeros(16)}
    if smplx:
        np.savez(folder / "01_04_stageii.npz", gender=np.array("neutral"), mocap_frame_rate=np.array(fps),
                 surface_model_type=np.array("smplx", dtype=object), **common)  # fmt: skip
        np.savez(folder / "neutral_stagei.npz", betas=np.zeros(16))
    else:
        np.savez(
            folder / "01_04_poses.npz", gender=np.array(b"male"), mocap_framerate=np.array(fps), dmpls=np.zeros((len(trans), 8)), **common
        )
        np.savez(folder / "shape.npz", betas=np.zeros(16), gender=np.array("male"))
    (root / "amass" / "CMU" / "LICENSE.txt").write_text("terms")


def humanml3d_vectors(joints: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """[T, J, 3], heading [T] -> [T-1, 12J-1]; only the columns that positions come from are filled."""
    theta = -yaw
    root = joints[:, 0] * [1, 0, 1]
    local = np.einsum("tij,tkj->tki", rotation_about("Y", theta), joints - root[:, None])
    step = np.einsum("tij,tj->ti", rotation_about("Y", theta[1:]), np.diff(root, axis=0))
    frames, count = len(joints) - 1, joints.shape[1]
    vectors = np.zeros((frames, 12 * count - 1))
    vectors[:, 0] = 0.5 * np.diff(theta)
    vectors[:, 1:3] = step[:, [0, 2]]
    vectors[:, 3] = joints[:-1, 0, 1]
    vectors[:, 4 : 4 + 3 * (count - 1)] = local[:-1, 1:].reshape(frames, -1)
    return vectors.astype(np.float32)


def yaw_of(motion: Motion) -> np.ndarray:
    return np.arctan2(motion.rotations[:, 0, 0, 2], motion.rotations[:, 0, 2, 2])


def write_humanml3d(root: Path, *, vectors: bool = False) -> None:
    folder = root / "humanml3d" / "HumanML3D"
    motion = known_motion(20.0, 8.05)
    kind = "new_joint_vecs" if vectors else "new_joints"
    for name in (kind, "texts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    values = humanml3d_vectors(motion.joints, yaw_of(motion)) if vectors else motion.joints[:-1].astype(np.float32)
    for key in ("000001", "M000001"):
        np.save(folder / kind / f"{key}.npy", values)
        lines = ["a person walks, raises the left hand, turns and sits.#a/DET person/NOUN#0.0#0.0", "", "a person sits down.#x#nan#nan",
                 "it walks # forward.#a/DET#3.0#0.0", "naïve café walk.#a#2.0#2.0"]  # fmt: skip
        (folder / "texts" / f"{key}.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "test.txt").write_text("000001\nM000001\n")
    (root / "humanml3d" / "index.csv").write_text(
        "source_path,start_frame,end_frame,new_name\n./pose_data/CMU/01/01_04_poses.npy,0,-1,000001.npy\n"
    )


def kit_joints(joints: np.ndarray, *, first_is_left: bool = True, unit_m: float = 0.0023) -> np.ndarray:
    """[T, 22, 3] in metres -> [T, 21, 3] in the set's own unit and order."""
    values = np.zeros((len(joints), 21, 3), np.float32)
    for name, index in KIT_MIDDLE.items():
        values[:, index] = joints[:, JOINT[name]] / unit_m
    for side, indices in zip(("left", "right"), KIT_SIDES if first_is_left else KIT_SIDES[::-1], strict=True):
        for name, index in indices.items():
            values[:, index] = joints[:, JOINT[f"{side}_{name}"]] / unit_m
    return values


def write_kit_ml(root: Path, *, first_is_left: bool = True, unit_m: float = 0.0023, vectors: bool = False) -> None:
    """21 joints in the set's own unit, or the 251 numbers made of them; one id has a list entry that names its AMASS recording."""
    folder = root / "kit_ml"
    motion = known_motion(12.5, 8.08 if vectors else 8.0)
    values = kit_joints(motion.joints, first_is_left=first_is_left, unit_m=unit_m)
    kind = "new_joint_vecs" if vectors else "new_joints"
    for name in (kind, "texts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if vectors:
        values = humanml3d_vectors(values.astype(np.float64), yaw_of(motion))
    np.save(folder / kind / "00001.npy", values)
    (folder / "texts" / "00001.txt").write_text("A person walks and sits.#x#0.0#0.0\n")
    (folder / "kitml.json").write_text(json.dumps({"00001": {"path": f"{AMASS_NAME}_poses", "duration": 8.0, "annotations": []}}))


def kinect_joints(motion: Motion) -> np.ndarray:
    """[T, 25, 3] in camera space: the person faces the sensor (-Z) five metres away, sensor at breast height."""
    seen = np.zeros((len(motion.joints), 25, 3))
    seen[:] = motion.joints[:, JOINT["left_wrist"], None]
    for name, index in KINECT.items():
        seen[:, index] = motion.joints[:, JOINT[name]]
    return seen @ rotation_about("Y", np.pi).T + [0.3, -1.2, 5.0]


def write_ntu(root: Path, *, name: str = NTU_NAME, folder: str = "nturgb+d_skeletons", still: bool = False) -> Path:
    """Two bodies: a wide static reflection listed first in every frame, and the person; ids of 17 digits that differ in the last.

    still   instead of the reflection somebody who stands 1.2 m away and sways by two centimetres
    """
    place = root / "ntu_rgbd" / folder
    place.mkdir(parents=True, exist_ok=True)
    person = kinect_joints(known_motion(30.0))
    ghost = np.tile(np.stack([np.linspace(-1, 1, 25), np.full(25, -1.0), np.full(25, 3.0)], axis=-1), (len(person), 1, 1))
    if still:
        ghost = person[:1] + [1.2, 0, 0] + 0.02 * np.sqrt(2) * np.sin(np.arange(len(person)) / 20)[:, None, None] * [1, 0, 1]
    lines = [str(len(person))]
    for other, frame in zip(ghost, person, strict=True):
        lines.append("2")
        for key, body in (("72057594037931102", other), ("72057594037931101", frame)):
            lines += [f"{key} 0 1 1 1 1 0 0.02 -0.05 2", "25"]
            lines += [
                " ".join([f"{v:.7f}" for v in joint] + ["250.1", "190.2", "900.3", "500.4", "0", "0", "0", "1", "2"]) for joint in body
            ]
    path = place / f"{name}.skeleton"
    path.write_text("\n".join(lines) + "\n")
    (root / "ntu_rgbd" / "NTU_RGBD_samples_with_missing_skeletons.txt").write_text("prose\nprose\nprose\nS001C002P005R002A008\n")
    return path


def bvh_text(
    motion: Motion, joint_map: dict[str, str], *, order: str = "YXZ", extra_row: bool = False, every_joint_moves: bool = False
) -> str:
    """BVH in centimetres with tabs, `Frames:    N`, a time step without its zero, end sites, and optionally a row too many."""
    bones, lines = offsets() * 100, ["HIERARCHY"]
    sequence: list[int] = []

    def write(joint: int, depth: int) -> None:
        pad = "\t" * depth
        sequence.append(joint)
        moves = joint == 0 or every_joint_moves
        lines.append(f"{pad}{'ROOT' if joint == 0 else 'JOINT'} {joint_map[JOINT_NAMES[joint]]}")
        lines.append(pad + "{")
        offset = bones[joint] if joint else np.zeros(3)
        lines.append(f"{pad}\tOFFSET\t{offset[0]:.6f} {offset[1]:.6f}\t{offset[2]:.6f}")
        names = [f"{axis}position" for axis in "XYZ"] * moves + [f"{axis}rotation" for axis in order]
        lines.append(f"{pad}\tCHANNELS {len(names)} {' '.join(names)}")
        children = [child for child, parent in enumerate(PARENTS) if parent == joint]
        for child in children:
            write(child, depth + 1)
        if not children:
            lines.extend([f"{pad}\tEnd Site", pad + "\t{", f"{pad}\t\tOFFSET 0 0 5", pad + "\t}"])
        lines.append(pad + "}")

    write(0, 0)
    angles = np.rad2deg(matrix_to_euler(motion.rotations, order))
    step = f"{1 / motion.fps:.7f}".lstrip("0")
    lines += ["MOTION", f"Frames:    {len(angles)}", f"Frame Time: {step}"]
    for frame in range(len(angles)):
        row: list[float] = []
        for joint in sequence:
            if joint == 0:
                row.extend(motion.pelvis[frame] * 100)
            elif every_joint_moves:
                row.extend(bones[joint])
            row.extend(angles[frame, joint])
        lines.append("\t".join(f"{value:.6f}" for value in row))
    if extra_row:
        lines.append(lines[-1])
    return "\n".join(lines) + "\n"


def write_100style(root: Path) -> None:
    folder = root / "100style" / "Angry"
    folder.mkdir(parents=True, exist_ok=True)
    text = bvh_text(known_motion(60.0), JOINT_MAPS["100style"], extra_row=True)
    for content in ("FW", "BW"):
        (folder / f"Angry_{content}.bvh").write_text(text)
    (folder / "._Angry_FW.bvh").write_bytes(b"\0\5\26\7")
    (root / "100style" / "Frame_Cuts.csv").write_text("STYLE_NAME,BW_START,BW_STOP,FW_START,FW_STOP\nAngry,N/A,,0,99999\n")
    (root / "100style" / "Dataset_List.csv").write_text("Style Name,Description\nAngry,walking as if angry\n")


def write_bvh(root: Path) -> None:
    """The retargeted kind: six channels on every joint, ZYX, other joint names."""
    (root / "mine").mkdir(parents=True, exist_ok=True)
    (root / "mine" / "take one.bvh").write_text(bvh_text(known_motion(60.0), JOINT_MAPS["cmu"], order="ZYX", every_joint_moves=True))


def write_beat(root: Path) -> None:
    folder = root / "beat" / "beat_english_v0.2.1" / "beat_english_v0.2.1" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / "1_wayne_0_65_65"
    stem.with_suffix(".bvh").write_text(bvh_text(known_motion(120.0), JOINT_MAPS["beat"], order="XYZ"))
    intervals = "".join(
        f'        intervals [{n}]:\n            xmin = {a}\n            xmax = {b}\n            text = "{word}"\n'
        for n, (a, b, word) in enumerate([(0.0, 0.5, ""), (0.5, 0.9, "hello"), (0.9, 1.4, "there"), (3.0, 3.4, "friend")], 1)
    )
    tier = '    item [{}]:\n        class = "IntervalTier"\n        name = "{}"\n'
    stem.with_suffix(".TextGrid").write_text(
        'File type = "ooTextFile"\nObject class = "TextGrid"\nitem []:\n'
        + tier.format(1, "words")
        + intervals
        + tier.format(2, "phones")
        + intervals
    )
    stem.with_suffix(".txt").write_text("01_beat_align\t0\t1.5\t1.5\t0.1\n02_deictic_l\t1.5\t2.0\t0.5\t0.9\tyou\n")


def write_beat2(root: Path) -> None:
    write_body_models(root)
    folder = root / "beat2" / "beat_english_v2.0.0" / "smplxflame_30"
    folder.mkdir(parents=True, exist_ok=True)
    poses, trans = smpl_pose(known_motion(30.0), 165, z_up=False)
    np.savez(folder / "2_scott_0_1_1.npz", poses=poses, trans=trans, betas=np.zeros(300), gender=np.array("neutral"),
             model=np.array("smplx2020"), mocap_frame_rate=np.array(30))  # fmt: skip
    (folder.parent / "train_test_split.csv").write_text("id,type\n2_scott_0_1_1,test\n")


def write_interhuman(root: Path, *, pickled: bool = False) -> None:
    folder = root / "interhuman"
    motion = known_motion(30.0)
    across = rotation_about("Y", np.pi)
    second = (motion.joints - [0, 0, 1.5]) @ across.T + [1.0, 0, 1.5]
    if pickled:
        write_body_models(root)
        (folder / "motions").mkdir(parents=True, exist_ok=True)
        fast = known_motion(59.94)
        poses, trans = smpl_pose(fast, 66, z_up=True)
        person = {"trans": trans, "root_orient": poses[:, :3], "pose_body": poses[:, 3:], "betas": np.zeros(10), "gender": "neutral"}
        moved = {**person, "trans": trans + [1.0, 0, 0]}
        (folder / "motions" / "7.pkl").write_bytes(
            pickle.dumps({"person1": person, "person2": moved, "mocap_framerate": 59.94, "frames": len(trans)})
        )
    else:
        for name, joints in (("person1", motion.joints), ("person2", second)):
            (folder / "motions_processed" / name).mkdir(parents=True, exist_ok=True)
            values = np.zeros((len(joints), 492), np.float32)
            values[:, : 3 * JOINT_COUNT] = (joints @ TO_Z_UP.T).reshape(len(joints), -1)
            np.save(folder / "motions_processed" / name / "7.npy", values)
    (folder / "annots").mkdir(exist_ok=True)
    (folder / "annots" / "7.txt").write_text("one walks past the other. \n\nthe two people pass each other.\n")
    (folder / "split").mkdir(exist_ok=True)
    (folder / "split" / "val.txt").write_text("7\n")


def write_babel(root: Path) -> None:
    write_amass(root)
    folder = root / "babel" / "babel_v1.0_release"
    folder.mkdir(parents=True, exist_ok=True)

    def label(text: str, categories: list[str] | None, start: float | None = None, end: float | None = None) -> dict[str, object]:
        timed = {} if start is None else {"start_t": start, "end_t": end}
        return {"raw_label": text, "proc_label": text, "act_cat": categories, "seg_id": "s", **timed}

    frames = [label("sit down", ["sit down"], 6, 8.0), label("walk forward", ["walk", "forward movement"], 0, 3.0), label("raise left hand", None, 3, 4.5),
              label("transition", ["transition"], 4.0, 5.0), label("swagger", ["unheard of"], 4.5, 6.0)]  # fmt: skip
    good = {"babel_sid": 1, "url": "", "feat_p": "CMU/CMU/01/01_04_poses.npz", "dur": 8.0, "seq_ann": {"labels": [label("walk around", ["walk"])]},
            "frame_ann": {"labels": frames}}  # fmt: skip
    gone = {"babel_sid": 2, "feat_p": "CMU/CMU/99/99_99_poses.npz", "dur": 2.0, "seq_ann": {"labels": None}, "frame_ann": None}
    (folder / "train.json").write_text(json.dumps({"1": good, "2": gone}))
    (folder / "extra_train.json").write_text(json.dumps({"3": {**gone, "seq_anns": [{"labels": [label("x", [])]}], "frame_anns": None}}))


def write_aistpp(root: Path, *, keypoints: bool = False) -> None:
    folder = root / "aistpp" / "aist_plusplus_final"
    name = "gBR_sBM_cAll_d04_mBR0_ch01"
    motion = known_motion(60.0)
    (folder / "splits").mkdir(parents=True, exist_ok=True)
    (folder / "splits" / "crossmodal_test.txt").write_text(name + "\n")
    (folder / "ignore_list.txt").write_text("gPO_sBM_cAll_d10_mPO0_ch01\n")
    (folder / "cameras").mkdir(exist_ok=True)
    (folder / "cameras" / "mapping.txt").write_text(f"{name} setting1\n")
    rig = [{"name": f"c{n:02d}", "size": [1920, 1080], "matrix": [[1500.0, 0, 960], [0, 1500.0, 540], [0, 0, 1]], "rotation": [0.0, 0.0, 0.0],
            "translation": [0.0, -100.0 * n, 400.0], "distortions": [0.0] * 5} for n in range(1, 10)]  # fmt: skip
    (folder / "cameras" / "setting1.json").write_text(json.dumps(rig))
    if keypoints:
        points = np.zeros((len(motion.joints), 17, 3))
        points[:, :5] = motion.joints[:, JOINT["head"], None]
        for index, joint in enumerate(("shoulder", "elbow", "wrist", "hip", "knee", "ankle")):
            for side, offset in (("left", 5), ("right", 6)):
                points[:, offset + 2 * index] = motion.joints[:, JOINT[f"{side}_{joint}"]]
        (folder / "keypoints3d").mkdir(exist_ok=True)
        (folder / "keypoints3d" / f"{name}.pkl").write_bytes(pickle.dumps({"keypoints3d": points * 100, "keypoints3d_optim": points * 100}))
        return
    write_body_models(root)
    poses, trans = smpl_pose(motion, 72, z_up=False)
    scaling = 93.78
    values = {"smpl_poses": poses, "smpl_scaling": np.array([scaling]), "smpl_trans": trans * scaling, "smpl_loss": 0.1}
    (folder / "motions").mkdir(exist_ok=True)
    for key in (name, "gPO_sBM_cAll_d10_mPO0_ch01"):
        (folder / "motions" / f"{key}.pkl").write_bytes(pickle.dumps(values))


def write_lsmb19(root: Path, *, long: bool = False) -> None:
    """Training blocks and a query of NTU clips, which lie beside it; or one long sequence of three performances with its annotations."""
    write_ntu(root)
    folder = root / "lsmb19"
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["; ".join(", ".join(f"{v:.6f}" for v in joint) for joint in frame) for frame in kinect_joints(known_motion(30.0))]
    if long:
        here = known_motion(30.0)
        there = kinect_joints(here) + [1.2, 0, 0.4]
        moved = ["; ".join(", ".join(f"{v:.6f}" for v in joint) for joint in frame) for frame in there]
        lines = ["#objectKey messif.objects.keys.AbstractObjectKey 1_0_0_723", "723;mcdr.objects.ObjectMocapPose", *rows, *moved, *rows]
        (folder / "cs_sequence.data").write_text("\n".join(lines) + "\n")
        (folder / "cs_annotations.txt").write_text(f"1_0_0_8_0\t0\t{len(rows)}\n1_0_0_A009_1\t{len(rows) + 60}\t120\n")
        return
    block = [f"{NTU_NAME}_0", *rows, "S002C001P004R001A009_241", *rows]
    (folder / "cs_training_samples.txt").write_text("\n".join(block) + "\n")
    key = f"#objectKey messif.objects.keys.AbstractObjectKey {NTU_NAME}_8_0_{len(rows)}"
    (folder / "queries.data").write_text("\n".join([key, f"{len(rows)};mcdr.objects.ObjectMocapPose", *rows]) + "\n")


def write_joints(root: Path, count: int = 1) -> None:
    folder = root / "walks"
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        motion = known_motion(59.0)
        np.savez(
            folder / f"take_{n:03d}.npz",
            joints=motion.joints + [0.1 * n, 0, 0],
            fps=np.array(motion.fps),
            text=np.array("someone walks and sits"),
        )
