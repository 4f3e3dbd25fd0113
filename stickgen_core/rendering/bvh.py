"""BVH: the 3D joints of one person as a hierarchy with ZXY rotations, in centimetres as animation programs expect."""

import numpy as np

from stickgen_core.rendering.scene import Scene
from stickgen_core.rendering.tree3d import JOINT_NAMES, PARENTS, animation_of
from stickgen_core.skeleton.rotations import matrix_to_euler, quaternion_to_matrix

CM = 100.0
# A joint without children ends in a stub of this length, as the format demands.
END_SITE_CM = 5.0


def bvh_text(scene: Scene, actor: int = 0) -> str:
    """Hierarchy and motion; the frame time keeps the clip's rate."""
    animation = animation_of(scene, actor)
    order: list[int] = []
    lines = ["HIERARCHY", *_joint(0, 0, animation.offsets * CM, order)]
    degrees = np.degrees(matrix_to_euler(quaternion_to_matrix(animation.rotations), "ZXY"))
    rows = np.concatenate([animation.root * CM, degrees[:, order].reshape(len(degrees), -1)], axis=1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / animation.fps:.8f}"]
    lines += [" ".join(f"{value:.5f}" for value in row) for row in rows + 0.0]
    return "\n".join(lines) + "\n"


def _joint(joint: int, depth: int, offsets: np.ndarray, order: list[int]) -> list[str]:
    order.append(joint)
    pad, kind = "\t" * depth, "JOINT" if depth else "ROOT"
    channels = "3 Zrotation Xrotation Yrotation" if depth else "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    offset = " ".join(f"{value:.5f}" for value in offsets[joint] + 0.0)
    lines = [f"{pad}{kind} {JOINT_NAMES[joint]}", f"{pad}{{", f"{pad}\tOFFSET {offset}", f"{pad}\tCHANNELS {channels}"]
    children = [child for child, parent in enumerate(PARENTS) if parent == joint]
    for child in children:
        lines += _joint(child, depth + 1, offsets, order)
    if not children:
        lines += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET 0 {END_SITE_CM:g} 0", f"{pad}\t}}"]
    return [*lines, f"{pad}}}"]
