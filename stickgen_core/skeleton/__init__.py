"""The body: joint names and trees, rotations, forward kinematics, stick layouts, projection, mirroring, stick physics."""
