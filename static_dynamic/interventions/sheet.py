"""A contact sheet: one clip in every style and scramble, to check by eye whether it stays recognisable."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from static_dynamic.interventions.census import Frame
from static_dynamic.interventions.scrambles import apply_scramble, changes_pixels, list_scrambles, scramble
from static_dynamic.interventions.styles import list_styles, restyle
from static_dynamic.media.clip import ORIGINAL, Frames
from static_dynamic.media.pictures import labelled_row


def contact_sheet(
    frames: Frames, styles: Iterable[str] | None = None, scrambles: Iterable[str] | None = None, seed: int = 0
) -> Frame:
    """Draw the original clip, then every style, then every scramble; one row each, frames side by side.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB; all of them are shown.
        styles: Names for `restyle`; all if not given.
        scrambles: Names for `apply_scramble`; all that are possible for this length if not given.
        seed: Seed of every style and scramble.

    Returns:
        ``(rows, columns, 3)`` uint8 RGB.

    Raises:
        UserError: As `restyle` and `apply_scramble`.
    """
    kinds = list_scrambles(length=len(frames)) if scrambles is None else scrambles
    names = [ORIGINAL, *(list_styles() if styles is None else styles)]
    rows = [labelled_row(Path(name).stem, restyle(frames, name, seed)) for name in names]
    rows += [labelled_row(_caption(kind, len(frames), seed), apply_scramble(frames, kind, seed)) for kind in kinds]
    return np.concatenate(rows)


def _caption(kind: str, length: int, seed: int) -> str:
    """The name of a scramble and, if it has one, the order of frames."""
    if changes_pixels(kind):
        return kind
    return f"{kind}\n{' '.join(str(i + 1) for i in scramble(kind, length, seed))}"
