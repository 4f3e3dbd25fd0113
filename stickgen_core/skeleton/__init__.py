"""The body: joint names and trees, rotations, forward kinematics, stick layouts, projection, mirroring, physics."""

from stickgen_core.skeleton.body import JOINT, JOINT_COUNT, JOINT_NAMES, MIRROR, PARENTS
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.kinematics import forward_kinematics, world_rotations
from stickgen_core.skeleton.mirror import mirror_joints
from stickgen_core.skeleton.physics import PHYSICS_NAMES, physics, physics_where_present
from stickgen_core.skeleton.sticks import Segment, StickLayout, layout_of_width, project, stick_layout, stick_points, sticks

__all__ = [
    "JOINT", "JOINT_COUNT", "JOINT_NAMES", "MIRROR", "PARENTS", "PHYSICS_NAMES", "Segment", "SkeletonConfig", "StickLayout",
    "forward_kinematics", "layout_of_width", "mirror_joints", "physics", "physics_where_present", "project", "stick_layout",
    "stick_points", "sticks", "world_rotations",
]  # fmt: skip
