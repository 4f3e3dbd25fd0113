"""Forward kinematics: local rotations and bone offsets down a tree, one level of the tree at a time."""

from collections.abc import Sequence

import numpy as np


def levels(parents: Sequence[int]) -> list[np.ndarray]:
    """Joint indices by depth, the root alone first; a tree with no root, two roots or a cycle is refused."""
    parents = [int(parent) for parent in parents]
    roots = [joint for joint, parent in enumerate(parents) if not 0 <= parent < len(parents)]
    if len(roots) != 1:
        raise ValueError(f"a skeleton has one root, found {len(roots)} in parents {parents}")
    found, current = [], roots
    while current:
        found.append(np.array(current))
        current = [joint for joint, parent in enumerate(parents) if parent in set(current)]
    if sum(map(len, found)) != len(parents):
        raise ValueError(f"parents {parents} hold a cycle")
    return found


def world_rotations(rotations: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """Local [..., J, 3, 3] -> world [..., J, 3, 3]."""
    parent_of = np.asarray(parents)
    world = np.array(rotations, dtype=np.float64)
    for level in levels(parents)[1:]:
        world[..., level, :, :] = world[..., parent_of[level], :, :] @ world[..., level, :, :]
    return world


def forward_kinematics(rotations: np.ndarray, offsets: np.ndarray, parents: Sequence[int], root: np.ndarray) -> np.ndarray:
    """Joint positions: local rotations [..., J, 3, 3], offsets from the parent [J, 3] or [..., J, 3], root position [..., 3] -> [..., J, 3].

    The root joint stands at `root`; its own offset is not added (SMPL: root = J(beta)[0] + trans).
    """
    parent_of = np.asarray(parents)
    world = world_rotations(rotations, parents)
    offsets = np.broadcast_to(np.asarray(offsets, dtype=np.float64), world.shape[:-1])
    positions = np.empty(world.shape[:-1])
    depth = levels(parents)
    positions[..., depth[0], :] = np.asarray(root, dtype=np.float64)[..., None, :]
    for level in depth[1:]:
        above = parent_of[level]
        bones = np.einsum("...ij,...j->...i", world[..., above, :, :], offsets[..., level, :])
        positions[..., level, :] = positions[..., above, :] + bones
    return positions
