"""Stylized data sets on disk."""
