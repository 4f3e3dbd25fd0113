"""Checkpoint and prompt to checked motion."""
