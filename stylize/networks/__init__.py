"""Styles that a network paints: reading and running them."""
