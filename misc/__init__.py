"""The published analysis scripts, each a thin interface to ``static_dynamic``."""
