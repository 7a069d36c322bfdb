"""A style by name or file, fitted to a whole video: built in, the look of an image, or learned."""

from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import cast

from static_dynamic.common.errors import UserError
from static_dynamic.interventions import check_style, is_style_file, list_styles
from static_dynamic.interventions.census import Census, Paint
from static_dynamic.interventions.styles import fit_style
from static_dynamic.media.clip import ORIGINAL, Frames
from static_dynamic.stylize.networks import learned
from static_dynamic.stylize.rendering.reel import Reel
from static_dynamic.variants import style_seed

learned.teach()  # a look may be a learned style, in worker processes too

AS_FILMED = ("0", ORIGINAL)
"""Names that are reserved and cannot be those of a style."""
FLOOR = "re-encoded"
"""The audit's name of a copy in the same style: mild noise, and JPEG of quality 75."""
ANOTHER = "another video"
"""The audit's name of the distance of two videos from each other."""


def parse_looks(text: str) -> tuple[str, ...]:
    """``"ink,my.jpg"`` → names and files; a glob selects the built-in styles that match it, otherwise the files.

    Repeated ones count once.

    Raises:
        UserError: See `check_looks`.

    Example:
        >>> parse_looks("original,*o*l")
        ('original', 'oil')
    """
    given = [name.strip() for name in text.split(",") if name.strip()]
    looks = dict.fromkeys(look for name in given for look in (list_styles(name) or sorted(glob(name)) or [name]))
    check_looks(tuple(looks))
    return tuple(looks)


def check_looks(looks: Sequence[str]) -> None:
    """Check that these are styles with different names.

    Raises:
        UserError: If one is unknown or cannot be read, a file has a reserved name, two would have the
            same name, or none is given.
    """
    labels: dict[str, str] = {}
    for look in looks:
        check_style(look)
        if is_style_file(look) and label(look) in (*AS_FILMED, FLOOR, ANOTHER):
            raise UserError(f"A style cannot be called {label(look)!r}, which is a reserved name. Rename {look}.")
        if labels.setdefault(label(look), look) != look or looks.count(look) > 1:
            raise UserError(
                f"Two styles are called {label(look)!r}: {labels[label(look)]} and {look}. Rename the file, or leave "
                "one out."
            )
    if not looks:
        raise UserError("At least one style is required. Got none.")


def label(look: str) -> str:
    """The name of a style: that of its file without extension, or its own."""
    return Path(look).stem if is_style_file(look) else look


def fit_look(look: str, census: Census, seed: int) -> Paint:
    """The operator that paints every frame of the video of the census.

    It is the one that `restyle` uses on a clip that is the whole video, with the seed that a measurement derives from
    ``seed`` for this style.

    Args:
        look: A built-in style, ``"original"``, an image, or a learned style.
        census: Census of the whole video.
        seed: Seed of the data set.
    """
    return fit_style(look, census, style_seed(seed, look))


def count_film(film: Reel) -> Census:
    """The census of a film, which is played once for every statistic that a style asks for."""
    return Census(cast(Frames, film))  # a census only plays the frames and reads their shape
