"""Checkpoints and corpus to reports: evaluator, metrics, honesty rows, statistics."""
