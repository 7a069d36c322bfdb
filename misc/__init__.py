"""The published analysis scripts, each a thin door to ``static_dynamic``."""
