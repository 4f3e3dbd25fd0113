"""BVH, glTF, parallax folders and the page: read back by something that did not write them."""

import base64
import json
import os
import struct
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from stickgen_core.errors import Corrupt, StickgenError
from stickgen_core.rendering import RenderingConfig
from stickgen_core.rendering.bvh import bvh_text
from stickgen_core.rendering.gltf import gltf_text
from stickgen_core.rendering.packed import packed_people
from stickgen_core.rendering.parallax import METADATA, estimate, parallax_view, write_parallax
from stickgen_core.rendering.viewer import player_assets, player_fragment, viewer_html
from stickgen_core.skeleton import JOINT_NAMES, PARENTS, forward_kinematics
from stickgen_core.skeleton.rotations import euler_to_matrix, quaternion_to_matrix
from stickgen_core.sources.recording import Text
from tests.core.rendering.rendering_people import FPS, clip, scene, walker


def read_bvh(text):
    """An independent little reader: names, parents, offsets (cm), positions [T, J, 3] by its own recursion."""
    head, motion = text.split("MOTION")
    names, parents, offsets, stack, ending = [], [], [], [], False
    for line in head.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] in ("ROOT", "JOINT"):
            parents.append(stack[-1] if stack else -1)
            names.append(words[1])
        elif words[0] == "End":
            ending = True
        elif words[0] == "{":
            stack.append(len(names) - 1)
        elif words[0] == "}":
            stack.pop()
            ending = False
        elif words[0] == "OFFSET" and not ending:
            offsets.append([float(w) for w in words[1:]])
    lines = motion.strip().splitlines()
    rows = np.array([[float(w) for w in line.split()] for line in lines[2:]])
    rotations = euler_to_matrix(np.radians(rows[:, 3:].reshape(len(rows), -1, 3)), "ZXY")
    return names, float(lines[1].split()[-1]), forward_kinematics(rotations, np.array(offsets), parents, rows[:, :3])


def rigid():
    """A body whose bones keep their length: the walker without the wave, turned as a whole."""
    from stickgen_core.skeleton.rotations import rotation_about

    body = walker(30, wave=False)[:1]
    turns = rotation_about("Y", np.linspace(0, 2, 30)) @ rotation_about("X", np.linspace(0, 1, 30))
    return np.einsum("tij,tajc->taic", np.eye(3)[None], np.einsum("tij,akj->taki", turns, body[0]).transpose(0, 1, 3, 2)).transpose(
        0, 1, 3, 2
    )


def posed():
    from stickgen_core.rendering import scene_of_motion

    joints = rigid()
    return scene_of_motion(np.zeros((30, 1, 20)), FPS, joints=joints), joints[:, 0]


def test_bvh_puts_every_joint_where_it_was():
    made, joints = posed()
    names, step, positions = read_bvh(bvh_text(made))
    assert sorted(names) == sorted(JOINT_NAMES)
    assert step == pytest.approx(1 / FPS)
    assert_allclose(positions[:, [names.index(n) for n in JOINT_NAMES]] / 100, joints, atol=1e-4)


def test_bvh_keeps_bone_directions_of_limbs_that_bend():
    names, _, positions = read_bvh(bvh_text(scene()))
    found = positions[:, [names.index(n) for n in JOINT_NAMES]]
    truth = scene().joints[:, 0]
    for joint in ("left_wrist", "right_ankle", "left_elbow"):
        child = JOINT_NAMES.index(joint)
        a, b = (x[:, child] - x[:, PARENTS[child]] for x in (found, truth))
        cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
        assert cosine.min() > 0.9999


def test_gltf_puts_every_joint_where_it_was():
    made, joints = posed()
    value = json.loads(gltf_text(made))
    data = base64.b64decode(value["buffers"][0]["uri"].split(",")[1])
    assert len(data) == value["buffers"][0]["byteLength"]

    def accessor(n):
        a = value["accessors"][n]
        view, width = value["bufferViews"][a["bufferView"]], {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[a["type"]]
        return np.array(struct.unpack_from(f"<{a['count'] * width}f", data, view["byteOffset"])).reshape(a["count"], width)

    parents = [-1] * len(value["nodes"])
    for n, node in enumerate(value["nodes"]):
        for child in node.get("children", ()):
            parents[child] = n
    animation = value["animations"][0]
    tracks = {
        (c["target"]["node"], c["target"]["path"]): accessor(animation["samplers"][c["sampler"]]["output"]) for c in animation["channels"]
    }
    rotations = np.stack([tracks[n, "rotation"][:, [3, 0, 1, 2]] for n in range(22)], axis=1)
    offsets = np.array([node["translation"] for node in value["nodes"]])
    found = forward_kinematics(quaternion_to_matrix(rotations), offsets, parents, tracks[0, "translation"])
    assert_allclose(found, joints, atol=1e-4)


def test_flat_motion_has_no_bvh():
    with pytest.raises(StickgenError, match="no 3D joints"):
        bvh_text(scene(joints=False))


def small(**changes):
    parallax = RenderingConfig().parallax.model_copy(update={"size_px": 64, "views": 3, **changes})
    return RenderingConfig().model_copy(update={"parallax": parallax})


def test_parallax_has_the_documented_names_and_goes_on_where_it_was(tmp_path):
    from PIL import Image

    clips = [clip(30), clip(30, "synthetic/b#0")]
    first = write_parallax(clips, tmp_path, small(), fps=FPS, seed=1, actors=2)
    assert (first.written, first.frames) == (2, 6)
    folder = tmp_path / "sample_000001" / "actor_0"
    assert sorted(p.name for p in folder.iterdir()) == [METADATA, "view_00000.png", "view_00001.png", "view_00002.png"]
    picture = Image.open(folder / "view_00000.png")
    assert (picture.mode, picture.size) == ("RGBA", (64, 64))
    value = json.loads((folder / METADATA).read_text())
    assert value["clip_id"] == "synthetic/b#0"
    assert value["clip_digest"] == clips[1].digest()
    bytes_before = {p: p.read_bytes() for p in tmp_path.rglob("*.*")}
    assert write_parallax(clips, tmp_path, small(), fps=FPS, seed=1, actors=2).kept == 2
    (folder / METADATA).unlink()  # as after a kill in the middle of this actor
    (tmp_path / "sample_000000/actor_0/view_00001.png").write_bytes(b"cut")
    again = write_parallax(clips, tmp_path, small(), fps=FPS, seed=1, actors=2)
    assert again.written == 2
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.*")} == bytes_before


def test_pictures_that_were_set_aside_are_never_drawn_over(tmp_path):
    """Setting an artefact aside costs no bytes: both names are one file, and only a new file leaves the old one as it was."""
    clips = [clip(30)]
    write_parallax(clips, tmp_path, small(), fps=FPS, seed=1, actors=1)
    picture = next(tmp_path.rglob("*.png"))
    aside, before = tmp_path / "aside", picture.read_bytes()
    os.link(picture, aside)
    write_parallax(clips, tmp_path, small(), fps=FPS, seed=2, actors=1)
    assert picture.read_bytes() != before == aside.read_bytes()


def test_packed_parallax_holds_the_same_pictures_and_goes_on_after_the_last_whole_shard(tmp_path):
    clips = [clip(30, f"synthetic/{n}#0") for n in range(5)]
    write_parallax(clips, tmp_path / "loose", small(), fps=FPS, seed=1, actors=5)
    tiny_shards = small(packed=True, shard_mb=0.004)

    class Killed(Exception):
        pass

    def kill_at(done):
        def progress(label, now, total):
            if now == done:
                raise Killed

        return progress

    with pytest.raises(Killed):
        write_parallax(clips, tmp_path / "a", tiny_shards, fps=FPS, seed=1, actors=5, progress=kill_at(4))
    held = len(list(packed_people(tmp_path / "a")))
    assert 0 < held < 5
    again = write_parallax(clips, tmp_path / "a", tiny_shards, fps=FPS, seed=1, actors=5)
    assert (again.kept, again.written) == (held, 5 - held)
    found = {json.loads(metadata)["clip_id"]: (metadata, frames) for _, metadata, frames in packed_people(tmp_path / "a")}
    for n, made in enumerate(clips):
        folder = tmp_path / f"loose/sample_{n:06d}/actor_0"
        metadata, frames = found[made.id]
        assert metadata == (folder / METADATA).read_bytes()
        assert {name: frames[name].read() for name in frames} == {p.name: p.read_bytes() for p in folder.glob("*.png")}
    assert not [p for p in (tmp_path / "a").rglob(".*")]
    with pytest.raises(StickgenError, match="remove the folder"):
        write_parallax(clips, tmp_path / "a", small(packed=True, views=2), fps=FPS, seed=1, actors=5)


def test_a_spoiled_shard_is_named(tmp_path):
    write_parallax([clip(30)], tmp_path, small(packed=True), fps=FPS, seed=1, actors=1)
    (shard,) = (tmp_path / "packed").glob("*.arrow")
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(Corrupt, match=str(shard)):
        list(packed_people(tmp_path))


def test_parallax_figures_have_the_face_of_their_moment():
    standing = clip(60, bodies=walker(60, speed=0.0))
    glad = replace(standing, texts=(Text("a happy person", 0.0, 1.2, "caption"), Text("a sad person", 1.2, 2.4, "caption")))
    config = small(frames_per_view=6, size_px=512)
    differing = 0
    for view in range(6):  # some look at the face, some at the back of the head
        pairs = zip(parallax_view(standing, 0, view, config, FPS, 1)[2], parallax_view(glad, 0, view, config, FPS, 1)[2], strict=True)
        differing += sum(not np.array_equal(a, b) for a, b in pairs)
    assert 6 <= differing < 36


def test_parallax_with_several_frames_and_another_seed(tmp_path):
    write_parallax([clip(30)], tmp_path / "a", small(frames_per_view=4, views=1), fps=FPS, seed=1, actors=1)
    assert (tmp_path / "a/sample_000000/actor_0/view_00000_f003.png").exists()
    _, one, _ = parallax_view(clip(30), 0, 0, small(), FPS, 1)
    _, other, _ = parallax_view(clip(30), 0, 0, small(), FPS, 2)
    assert one.azimuth[0] != other.azimuth[0]


@pytest.mark.parametrize("frames_per_view", [1, 12])
def test_no_parallax_figure_touches_the_border(frames_per_view):
    far = clip(100, bodies=walker(100, speed=4.0))
    for view in range(12):
        _, _, pictures = parallax_view(far, 0, view, small(frames_per_view=frames_per_view), FPS, 3)
        for picture in pictures:
            alpha = picture[..., 3]
            assert alpha.any()
            assert not (alpha[0].any() or alpha[-1].any() or alpha[:, 0].any() or alpha[:, -1].any())


def test_parallax_moves_near_points_more_than_far_ones():
    from stickgen_core.rendering.camera import View

    both = np.array([[[0, 1, 0.5], [0, 1, -0.5]]] * 2, dtype=float)
    angle = np.array([0.0, 0.1])
    view = View(angle, angle * 0, np.tile([0.0, 1, 0], (2, 1)), np.full(2, 2.0), 0.6)
    pixels, depth, scale = view.look(both, (100, 100))
    assert abs(np.diff(pixels[:, 0, 0])[0]) > abs(np.diff(pixels[:, 1, 0])[0])
    assert depth[0, 0] > depth[0, 1]
    assert scale[0, 0] > scale[0, 1]


def test_clips_without_joints_are_left_out_and_the_budget_holds(tmp_path):
    assert write_parallax([clip(30, joint_source=2)], tmp_path, small(), fps=FPS, seed=1, actors=1).left_out == 1
    with pytest.raises(StickgenError, match="budget_gb"):
        write_parallax([], tmp_path, small(views=100_000), fps=FPS, seed=1, actors=10_000)
    assert estimate(2, small()).frames == 6


def test_a_page_needs_nothing_from_outside_and_no_text_can_break_out_of_it():
    nasty = scene(5, caption='</script><script>alert("x")</script>')
    page = viewer_html([nasty, scene(5)], "a <b> title")
    assert "alert(" in page
    assert "</script><script>alert" not in page
    assert "a &lt;b&gt; title" in page
    for outside in ("http://", "https://", "src=", "@import"):
        assert outside not in page
    assert player_assets().count("<script>") == 1
    assert "<script>" not in player_fragment([scene(5)])
