"""Stickgen's pure library: from raw motion capture to text-to-motion checkpoints, with no orchestrator inside."""

__version__ = "0.1.0"
