"""Measured speed and memory; the tables next to the scripts are their output."""
