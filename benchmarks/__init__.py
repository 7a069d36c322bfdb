"""Measured speed and memory; the tables beside the scripts are their output."""
