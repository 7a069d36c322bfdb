"""A contact sheet of flow: frames next to their flow, to check by eye whether it follows the motion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from static_dynamic.common.errors import BadClip, one_line
from static_dynamic.flow.colour_wheel import Frame, paint
from static_dynamic.flow.tree import GAPS, flow_path, read_sequences
from static_dynamic.media.images import read_image
from static_dynamic.media.pictures import HEIGHT, LABEL, MARGIN, PAPER, card, framed

WIDTH = 234
"""Width of a picture with its margin, pixels."""
MOMENTS = (1 / 4, 3 / 4)
"""The frames of a sequence that are shown, as shares of its length."""
TITLES = {1: "flow to the next frame", -1: "flow to the one before"}
MISSING = (225, 225, 225)


def flow_sheet(
    root: str | Path, out: str | Path | None = None, gaps: Sequence[int] = GAPS, frames: str | None = None
) -> Frame:
    """Draw a row for each sequence: two of its frames, each with its flows to the right; a missing one is grey.

    Args:
        root: The data set.
        out: Where `compute_flow` wrote; ``root`` if not given.
        gaps: The flows to show.
        frames: The folder of the sequences below ``root``, as for `compute_flow`.

    Returns:
        ``(rows, columns, 3)`` uint8 RGB.

    Raises:
        UserError: If there are no sequences.
    """
    rows = [_header(gaps)]
    for name, paths in read_sequences(root, frames).items():
        shown = [paths[int(moment * len(paths))] for moment in MOMENTS]
        flows = [[flow_path(out or root, gap, name, frame) for gap in gaps] for frame in shown]
        pictures = [path for frame, others in zip(shown, flows, strict=True) for path in (frame, *others)]
        rows.append(np.concatenate([card(one_line(name)), *map(_picture, pictures)], axis=1))
    return np.concatenate(rows)


def wheel_disc(side: int) -> Frame:
    """The colour wheel, ``(side, side, 3)``: a point has the colour of the flow from the centre to it."""
    across = np.linspace(-1, 1, side, dtype=np.float32)
    vectors = np.stack(np.meshgrid(across, across), axis=-1)
    disc = paint(vectors)
    disc[np.linalg.norm(vectors, axis=-1) > 1] = PAPER
    return disc


def _header(gaps: Sequence[int]) -> Frame:
    """The wheel, and the titles of the columns."""
    key = card("direction of flow", low=True)
    disc = wheel_disc(HEIGHT - 40)
    left = (LABEL - len(disc)) // 2
    key[MARGIN : MARGIN + len(disc), left : left + len(disc)] = disc
    titles = ["frame", *(TITLES.get(gap, f"flow, gap {gap}") for gap in gaps)] * len(MOMENTS)
    return np.concatenate([key, *(card(title, WIDTH, low=True) for title in titles)], axis=1)


def _picture(path: Path) -> Frame:
    try:
        return framed(read_image(path), WIDTH)
    except BadClip:
        return framed(np.full((HEIGHT, WIDTH, 3), MISSING, np.uint8), WIDTH)
