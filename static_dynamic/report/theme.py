"""The look of all figures: the colours of factors and classes, widths, fonts, and how a figure becomes a file."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO, StringIO
from itertools import cycle
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import pandas as pd

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.files import write_atomically, write_text
from static_dynamic.common.tables import as_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito (2008): distinguishable for colour-blind readers and, by their lightness, in grey.
BLUE, SKY, GREEN, VERMILION, ORANGE, PURPLE, YELLOW = (
    *("#0072B2", "#56B4E9", "#009E73", "#D55E00"),
    *("#E69F00", "#CC79A7", "#F0E442"),
)
GREY, PALE, BLACK = "#8C8C8C", "#DDDDDD", "#000000"
COLOURS = {
    **dict.fromkeys(("dynamic", "motion", "order"), BLUE),
    **dict.fromkeys(("static", "still", "no order", "appearance", "style"), VERMILION),
    **dict.fromkeys(("joint", "interaction", "both"), GREEN),
    **dict.fromkeys(("residual", "neither", "noise", "unreliable"), GREY),
    **dict.fromkeys(("differ", "mixed", "nuisance"), PURPLE),
    **dict.fromkeys(("same", "content"), SKY),
    "reliability": ORANGE,
    "dead": PALE,
}
"""Colours of factors and classes: equal meanings have one colour, and two of one estimator differ."""
CYCLE = (BLUE, ORANGE, PURPLE, SKY, BLACK, YELLOW, GREEN, VERMILION)
"""Colours of external names; each picture takes those that it does not use yet."""
UNTRAINED = "#6E6E6E"

Width = Literal["single", "double"]
WIDTHS: Mapping[str, float] = {"single": 3.35, "double": 6.9}
"""Width of one column of a page and of two, in inches."""
Format = Literal["pdf", "svg", "png"]
FORMATS = ("pdf", "svg", "png")
TEXT, SMALL = 8.0, 7.0
"""Sizes of titles and labels, and of all other text, in points."""
DOTS, COARSE = 300, 150
"""Dots per inch of a PNG: for a paper, and for figures that are wider than its pages."""
MOST_PIXELS = 2**16 - 1
"""Largest number of pixels along one side of a PNG."""
LONGEST_NAME = 32
"""Largest number of characters of a name in a figure."""
CHARACTER, LINE = 0.6, 1.25
"""Width of a character and height of a line, in sizes of the font."""

PAPER: dict[str, Any] = {
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "figure.titlesize": TEXT,
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize"), SMALL),
    "axes.titlepad": 4.0,
    **dict.fromkeys(("xtick.major.pad", "ytick.major.pad"), 2.0),
    "axes.linewidth": 0.8,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.0,
    "patch.linewidth": 0.5,
    "legend.handlelength": 1.6,
    "legend.borderpad": 0.2,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}
"""Settings in addition to those of seaborn's contexts."""
FILES: dict[Any, Any] = {
    **{"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "static-dynamic"},
    **{"savefig.bbox": None, "savefig.transparent": False, "text.parse_math": False},
}
"""Fonts are embedded as TrueType, text stays text in SVG, and no random ids make two equal figures differ.

Settings of the user, such as a tight box, would change the width.
"""


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """The colour of every name; external names get colours that the others do not use.

    Example:
        >>> colours_of(["dynamic", "colour", "texture"])
        {'dynamic': '#0072B2', 'colour': '#E69F00', 'texture': '#CC79A7'}
    """
    known = {name: COLOURS[name] for name in names if name in COLOURS}
    free = cycle([colour for colour in CYCLE if colour not in known.values()] or CYCLE)
    return {name: known[name] if name in known else next(free) for name in names}


@contextmanager
def house_style(width: Width | None = None) -> Iterator[None]:
    """The look of all figures that are made in the block; a dollar in a name does not begin a formula.

    Args:
        width: Of a figure that fits a paper, which is also that of figures without a size; ``None`` is for a screen.

    Raises:
        UserError: If the width is unknown.
    """
    import matplotlib
    import seaborn as sns

    look: dict[Any, Any] = {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("notebook" if width is None else "paper"),
    }
    if width is not None:
        look |= {**PAPER, "figure.figsize": (inches(width), 0.62 * inches(width))}
    with matplotlib.rc_context({**look, "text.parse_math": False}):
        yield


def inches(width: str) -> float:
    """The width of a figure in inches.

    Raises:
        UserError: If the width is unknown.

    Example:
        >>> inches("single")
        3.35
    """
    if width not in WIDTHS:
        raise unknown("width", width, WIDTHS)
    return WIDTHS[width]


def text_width(text: str, size: float = SMALL) -> float:
    """The greatest width of text, in inches; of several lines, that of the longest one."""
    return max(map(len, text.split("\n"))) * CHARACTER * size / 72


def line_height(size: float = SMALL) -> float:
    """The distance of lines of text, in inches."""
    return LINE * size / 72


def wrapped(text: str, room: float, size: float = SMALL) -> str:
    """Break text into lines that fit into a width in inches; existing line breaks are kept."""
    letters = max(4, int(room / (CHARACTER * size / 72)))
    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, letters) or [""])


def shortened(name: str) -> str:
    """Shorten a name so that it fits next to a picture.

    Example:
        >>> shortened("blocks.3.attention.projection_of_the_values_of_all_heads")
        'blocks.3.attent…ues_of_all_heads'
    """
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2 - 1]}…{name[-LONGEST_NAME // 2 :]}"


# Files


def as_formats(given: str | Sequence[str]) -> tuple[str, ...]:
    """One format or several, as a tuple.

    Raises:
        UserError: If a format is unknown, or none is given.

    Example:
        >>> as_formats("pdf"), as_formats(["svg", "png"])
        (('pdf',), ('svg', 'png'))
    """
    formats = (given,) if isinstance(given, str) else tuple(given)
    for name in formats or [""]:
        if name not in FORMATS:
            raise unknown("format of a figure", name, FORMATS)
    return formats


def format_of(path: Path) -> str:
    """The format that the extension of a file names.

    Raises:
        UserError: If it does not name a format that can be written.

    Example:
        >>> format_of(Path("plots/a.PNG"))
        'png'
    """
    kind = path.suffix[1:].lower()
    if kind not in FORMATS:
        endings = ", ".join(f".{name}" for name in FORMATS)
        raise UserError(f"The file of a figure must end in one of {endings}. Got {str(path)!r}.")
    return kind


def save_figure(figure: "Figure", path: Path, data: pd.DataFrame | None = None) -> list[Path]:
    """Write a figure atomically, in the format of the file's name, and its data as a table next to it.

    Returns:
        The paths that were written.

    Raises:
        UserError: If the file does not name a format that can be written, or the folder cannot be written.
    """
    kind = format_of(path)
    write_atomically(path, lambda partial: _render(figure, partial, kind))
    return [path, *([] if data is None else [save_data(data, path)])]


def save_data(data: pd.DataFrame, path: Path) -> Path:
    """Write the data of a figure next to it, to ``<its name>.data.csv``; ``layers.csv`` is the table of a result."""
    place = data_of(path)
    write_text(place, as_csv(data))
    return place


def data_of(path: Path) -> Path:
    """The path of the data of a figure.

    Example:
        >>> data_of(Path("plots/layers.svg")).as_posix()
        'plots/layers.data.csv'
    """
    return path.with_suffix(".data.csv")


def svg(figure: "Figure") -> str:
    """A figure as an SVG element for a page."""
    text = StringIO()
    _render(figure, text, "svg")
    return text.getvalue()[text.getvalue().index("<svg") :]


def png(figure: "Figure", dots: int | None = None) -> bytes:
    """A figure as the bytes of a PNG."""
    content = BytesIO()
    _render(figure, content, "png", dots)
    return content.getvalue()


def shown(figure: "Figure") -> "Figure":
    """Return the figure, made visible in notebooks without an import of pyplot."""
    figure._repr_png_ = partial(png, figure, 144)  # type: ignore[attr-defined]
    return figure


def _render(figure: "Figure", target: Path | IO[Any], kind: str, dots: int | None = None) -> None:
    import matplotlib

    usual = DOTS if figure.get_figwidth() <= max(WIDTHS.values()) else COARSE
    dots = min(dots or usual, int(MOST_PIXELS / max(figure.get_size_inches())))
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context(FILES):
        figure.savefig(target, format=kind, dpi=dots, metadata=dates.get(kind))
