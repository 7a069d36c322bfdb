"""Probes: what a linear read-out finds in every stage of a model."""
