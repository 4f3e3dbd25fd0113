"""Scores, the safety critic, duplicates, splits, balanced merging, selection for training stages, and the ledgers of all that."""

from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.curating import curate, curate_recipe
from stickgen_core.curation.leaks import Leak, find_leaks
from stickgen_core.curation.measure import SCORE_COLUMNS, measure
from stickgen_core.curation.merging import merge, merge_recipe
from stickgen_core.curation.official import forced_tests
from stickgen_core.curation.safety import SafetyIssue, SafetyResult, evaluate_motion_safety
from stickgen_core.curation.scores import camera_stability, evaluate_clips, score_clips
from stickgen_core.curation.splits import SPLITS, assign_splits
from stickgen_core.curation.statistics import curation_statistics, merge_statistics, write_statistics

__all__ = [
    "SCORE_COLUMNS", "SPLITS", "CurationConfig", "Leak", "SafetyIssue", "SafetyResult", "assign_splits", "camera_stability", "curate",
    "curate_recipe", "curation_statistics", "evaluate_clips", "evaluate_motion_safety", "find_leaks", "forced_tests", "measure", "merge", "merge_recipe",
    "merge_statistics", "score_clips", "write_statistics",
]  # fmt: skip
