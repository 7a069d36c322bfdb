"""The key of a variant, and seeds that depend on names alone."""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple


class Variant(NamedTuple):
    """The key of a variant."""

    video: str
    style: str
    order: str


def derive_seed(seed: int, *parts: object) -> int:
    """A seed that depends on the study's seed and on names alone, so that any worker at any time draws the same.

    Example:
        >>> derive_seed(1, "cat.mp4", "shuffle") == derive_seed(1, "cat.mp4", "shuffle")
        True
    """
    return int.from_bytes(sha256(repr((seed, *parts)).encode()).digest()[:8], "big")


def style_seed(seed: int, style: str) -> int:
    """The seed that draws the grain of a style; of a file, the name counts and not where it lies.

    Example:
        >>> style_seed(1, "paintings/my.jpg") == style_seed(1, "my.jpg")
        True
    """
    return derive_seed(seed, "style", Path(style).name)
