"""Scores, safety critic, dedupe, splits, balanced merge and selection, each drop with its reason."""
