"""Sentence encoders and their content-addressed cache."""
