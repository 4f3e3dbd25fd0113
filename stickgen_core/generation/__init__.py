"""Prompt to motion: the generator, its bounds, and the safety gate that uses the critic."""

from stickgen_core.generation.config import GenerationConfig

__all__ = ["GenerationConfig"]
