"""Checkpoints in every published format: finding, reading and fitting weights."""
