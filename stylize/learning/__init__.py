"""Learning a style from painted frames."""
