"""The key of a variant, and seeds that depend only on names."""

from pathlib import Path
from typing import NamedTuple

from static_dynamic.common.seeds import derive_seed


class Cell(NamedTuple):
    """A condition under which every video is shown.

    Attributes:
        style: Its appearance.
        order: Its dynamics.
        replicate: 0, or the number of a replicate: the same variant under a small nuisance.
    """

    style: str
    order: str
    replicate: int = 0

    def __str__(self) -> str:
        return f"{self.style}, {self.order}{f', replicate {self.replicate}' if self.replicate else ''}"


class Variant(NamedTuple):
    """The key of a variant: a video in a cell."""

    video: str
    style: str
    order: str
    replicate: int = 0

    @property
    def cell(self) -> Cell:
        """Its condition."""
        return Cell(*self[1:])


def style_seed(seed: int, style: str) -> int:
    """The seed that draws the grain of a style; for a file, only its name counts, not its folder.

    Example:
        >>> style_seed(1, "paintings/my.jpg") == style_seed(1, "my.jpg")
        True
    """
    return derive_seed(seed, "style", Path(style).name)
