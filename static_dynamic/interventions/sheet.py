"""A contact sheet: one clip in every style and scramble, for eyes to judge whether it stayed readable."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from static_dynamic.clip import ORIGINAL, Frames
from static_dynamic.errors import UserError
from static_dynamic.files import write_atomically
from static_dynamic.interventions.census import Frame
from static_dynamic.interventions.scrambles import list_scrambles, scramble
from static_dynamic.interventions.styles import list_styles, restyle

HEIGHT = 128
"""Height of a row, pixels."""
MARGIN = 4
LABEL = 190
"""Width of the labels, pixels."""
INK, PAPER = (30, 30, 30), (255, 255, 255)


def contact_sheet(
    frames: Frames, styles: Iterable[str] | None = None, scrambles: Iterable[str] | None = None, seed: int = 0
) -> Frame:
    """Draw a clip as filmed, then in every style, then in every scramble; a row each, frames side by side.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB; all of them are shown.
        styles: Names for `restyle`; all built-in ones if not given.
        scrambles: Names for `scramble`; all that a clip of this length can have, if not given.
        seed: Seed of every style and scramble.

    Returns:
        ``(rows, columns, 3)`` uint8 RGB.

    Raises:
        UserError: As `restyle` and `scramble`.
    """
    kinds = list_scrambles("*" if len(frames) > 1 else "freeze") if scrambles is None else scrambles
    names = [ORIGINAL, *(list_styles() if styles is None else styles)]
    rows = [_row(Path(name).stem, restyle(frames, name, seed)) for name in names]
    for kind in kinds:
        order = scramble(kind, len(frames), seed)
        rows.append(_row(f"{kind}\n{' '.join(str(i + 1) for i in order)}", frames[order]))
    return np.concatenate(rows)


def write_png(image: Frame, path: Path) -> None:
    """Write an RGB image as PNG: whole or not at all. Missing parent folders are made.

    Raises:
        UserError: If the name does not end in ``.png``, or the place cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise UserError(f"A contact sheet is a PNG: its name must end in .png. Got {str(path)!r}.")
    _, data = cv2.imencode(".png", image[..., ::-1])
    write_atomically(path, lambda partial: partial.write_bytes(data.tobytes()))


def _row(label: str, frames: Frames) -> Frame:
    height, width = frames.shape[1:3]
    size = (max(1, round(width * HEIGHT / height)), HEIGHT)
    shown = [_framed(np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))) for frame in frames]
    return np.concatenate([_card(label), *shown], axis=1)


def _framed(image: Frame) -> Frame:
    border = (MARGIN, MARGIN, MARGIN, MARGIN)
    return np.asarray(cv2.copyMakeBorder(image, *border, cv2.BORDER_CONSTANT, value=PAPER))


def _card(text: str) -> Frame:
    """The label of a row, with its line breaks."""
    card = np.full((HEIGHT + 2 * MARGIN, LABEL, 3), PAPER, dtype=np.uint8)
    for number, line in enumerate(text.splitlines()):
        place = (10, HEIGHT // 2 + 18 * number)
        cv2.putText(card, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return card
