"""Joint positions as a rotating tree for animation formats: rest offsets and the rotations that bring each bone to its place."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.rendering.scene import Scene
from stickgen_core.skeleton import JOINT_COUNT, JOINT_NAMES, PARENTS
from stickgen_core.skeleton.rotations import normalised, quaternion_multiply


@dataclass(frozen=True)
class Animation:
    """Of one person: offsets [22, 3] m, root [T, 3], rotations [T, 22, 4] local quaternions (wxyz); names and parents as the body's."""

    offsets: np.ndarray
    root: np.ndarray
    rotations: np.ndarray
    fps: float


def animation_of(scene: Scene, actor: int) -> Animation:
    """Shortest-arc rotations from the first frame's shape; a bone's twist is unknown from positions and stays nil.

    Joints with one child reproduce its direction exactly; where three bones meet (pelvis, spine3) the best common rotation is used and
    the children's own offsets are kept, so limb lengths are the first frame's.
    """
    if scene.joints is None:
        raise StickgenError(f"{scene.id}: has no 3D joints; BVH and glTF need them (stick motion is flat)")
    joints = scene.joints[:, actor].astype(np.float64)
    rest = np.zeros((JOINT_COUNT, 3))
    bones = joints[:, 1:] - joints[:, list(PARENTS[1:])]
    rest[1:] = bones[0]
    children: list[list[int]] = [[c for c in range(JOINT_COUNT) if PARENTS[c] == j] for j in range(JOINT_COUNT)]
    frames = len(joints)
    world = np.zeros((frames, JOINT_COUNT, 4))
    world[..., 0] = 1.0
    for joint in range(JOINT_COUNT):
        if len(children[joint]) == 1:
            child = children[joint][0]
            world[:, joint] = _arc(np.broadcast_to(rest[child], (frames, 3)), bones[:, child - 1])
        elif children[joint]:
            world[:, joint] = _best(rest[children[joint]], bones[:, [c - 1 for c in children[joint]]])
        else:
            world[:, joint] = world[:, PARENTS[joint]]
    local = world.copy()
    for joint in range(1, JOINT_COUNT):
        local[:, joint] = quaternion_multiply(world[:, PARENTS[joint]] * [1, -1, -1, -1], world[:, joint])
    return Animation(rest, joints[:, 0], local, scene.fps)


def _arc(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """[T, 3], [T, 3] -> [T, 4] the smallest turn from one direction to the other."""
    a, b = normalised(start), normalised(end)
    q = np.concatenate([1 + np.sum(a * b, axis=-1, keepdims=True), np.cross(a, b)], axis=-1)
    opposite = q[:, 0] < 1e-9
    if opposite.any():
        other = np.where(np.abs(a[opposite, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
        q[opposite] = np.concatenate([np.zeros((opposite.sum(), 1)), np.cross(a[opposite], other)], axis=-1)
    return normalised(q)


def _best(rest: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """[K, 3], [T, K, 3] -> [T, 4] least-squares rotation (Kabsch)."""
    from stickgen_core.skeleton.rotations import matrix_to_quaternion

    u, _, vt = np.linalg.svd(np.einsum("tki,kj->tij", bones, rest))
    flip = np.ones((len(bones), 3))
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    return matrix_to_quaternion((u * flip[:, None]) @ vt)


__all__ = ["JOINT_NAMES", "PARENTS", "Animation", "animation_of"]
