"""BVH and glTF read back by packages that share no line with the writers: every joint stands where it was, in every frame."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from stickgen_core.rendering import scene_of_motion
from stickgen_core.rendering.bvh import bvh_text
from stickgen_core.rendering.gltf import gltf_text
from stickgen_core.skeleton import JOINT_NAMES, PARENTS
from stickgen_core.skeleton.rotations import quaternion_to_matrix
from tests.core.rendering.rendering_people import FPS, scene, walker
from tests.core.rendering.test_rendering_exports import rigid

FRAMES = 30


def turning():
    """A rigid body turning in two axes: bones keep their length, so that every position is reproduced."""
    joints = rigid()
    return scene_of_motion(np.zeros((FRAMES, 1, 20)), FPS, joints=joints), joints[:, 0]


def by_bvhio(text, folder):
    """(positions [T, 22, 3] in metres, seconds a frame) as bvhio sees them."""
    bvhio = pytest.importorskip("bvhio")
    file = folder / "a.bvh"
    file.write_text(text)
    container, root = bvhio.readAsBvh(str(file)), bvhio.readAsHierarchy(str(file))
    positions = np.zeros((container.FrameCount, len(JOINT_NAMES), 3))
    for frame in range(container.FrameCount):
        root.loadPose(frame)
        for joint, _, _ in root.layout():
            if joint.Name in JOINT_NAMES:
                positions[frame, JOINT_NAMES.index(joint.Name)] = list(joint.PositionWorld)
    return positions / 100, container.FrameTime


def by_pygltflib(text, folder):
    """(positions [T, 22, 3], seconds of the frames) from the file as pygltflib parses it; poses by its nodes and tracks."""
    pygltflib = pytest.importorskip("pygltflib")
    file = folder / "a.gltf"
    file.write_text(text)
    gltf = pygltflib.GLTF2().load(str(file))
    data = gltf.get_data_from_buffer_uri(gltf.buffers[0].uri)

    def accessor(n):
        found, width = gltf.accessors[n], {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[gltf.accessors[n].type]
        view = gltf.bufferViews[found.bufferView]
        return np.frombuffer(data, "<f4", found.count * width, view.byteOffset).reshape(found.count, width).astype(float)

    (animation,) = gltf.animations
    tracks = {(c.target.node, c.target.path): accessor(animation.samplers[c.sampler].output) for c in animation.channels}
    times = accessor(animation.samplers[0].input)[:, 0]
    positions = np.zeros((len(times), len(JOINT_NAMES), 3))

    def place(node, at, turned):
        rest = gltf.nodes[node]
        at = at + np.einsum("tij,tj->ti", turned, tracks.get((node, "translation"), np.tile(rest.translation, (len(times), 1))))
        positions[:, JOINT_NAMES.index(rest.name)] = at
        turned = turned @ quaternion_to_matrix(tracks[node, "rotation"][:, [3, 0, 1, 2]])
        for child in rest.children or ():
            place(child, at, turned)

    (root,) = gltf.scenes[gltf.scene].nodes
    place(root, np.zeros((len(times), 3)), np.tile(np.eye(3), (len(times), 1, 1)))
    return positions, times


def test_bvhio_sees_every_joint_where_it_was(tmp_path):
    made, joints = turning()
    positions, step = by_bvhio(bvh_text(made), tmp_path)
    assert step == pytest.approx(1 / FPS)
    assert_allclose(positions, joints, atol=1e-4)


def test_pygltflib_sees_every_joint_where_it_was(tmp_path):
    made, joints = turning()
    positions, times = by_pygltflib(gltf_text(made), tmp_path)
    assert_allclose(times, np.arange(FRAMES) / FPS, atol=1e-6)
    assert_allclose(positions, joints, atol=1e-4)


@pytest.mark.parametrize("actor", [0, 1])
def test_of_two_walkers_each_has_a_file_of_its_own(tmp_path, actor):
    pair = np.concatenate([walker(FRAMES), walker(FRAMES, wave=False) + [1.5, 0, 0]], axis=1)
    both = scene_of_motion(np.zeros((FRAMES, 2, 20)), FPS, joints=pair)
    for positions in (by_bvhio(bvh_text(both, actor), tmp_path)[0], by_pygltflib(gltf_text(both, actor), tmp_path)[0]):
        assert_allclose(positions[:, 0], pair[:, actor, 0], atol=1e-4)
        wrist = JOINT_NAMES.index("left_wrist")
        found = positions[:, wrist] - positions[:, PARENTS[wrist]]
        truth = pair[:, actor, wrist] - pair[:, actor, PARENTS[wrist]]
        cosine = (found * truth).sum(-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(truth, axis=-1)
        assert cosine.min() > 0.9999


def test_both_formats_agree_on_a_limb_that_bends(tmp_path):
    made = scene(FRAMES)
    assert_allclose(by_bvhio(bvh_text(made), tmp_path)[0], by_pygltflib(gltf_text(made), tmp_path)[0], atol=2e-4)
