"""Corpus and configuration to checkpoint."""
