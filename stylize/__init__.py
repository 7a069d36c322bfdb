"""Stylized data sets: rendering them, learning new styles, and auditing what a style does."""
