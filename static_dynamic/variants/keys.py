"""The key of a variant, and seeds that depend on names alone."""

from pathlib import Path
from typing import NamedTuple

from static_dynamic.common.seeds import derive_seed


class Variant(NamedTuple):
    """The key of a variant."""

    video: str
    style: str
    order: str


def style_seed(seed: int, style: str) -> int:
    """The seed that draws the grain of a style; of a file, the name counts and not where it lies.

    Example:
        >>> style_seed(1, "paintings/my.jpg") == style_seed(1, "my.jpg")
        True
    """
    return derive_seed(seed, "style", Path(style).name)
