"""An audit on disk: tables, a sheet of pictures, and one page that needs no network."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from static_dynamic.common.files import write_bytes, write_text
from static_dynamic.common.tables import as_csv, rows_of
from static_dynamic.flow.colour_wheel import Flow, Frame, paint
from static_dynamic.flow.estimators import Dis
from static_dynamic.report.theme import BLUE, GREY, VERMILION
from static_dynamic.stylize.auditing.audit import LIMITS, PASS, Audit, re_encoded
from static_dynamic.stylize.auditing.cases import Case
from static_dynamic.stylize.rendering.looks import ANOTHER, FLOOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 150
"""Height of a picture on the sheet, pixels."""
COLUMNS = 3
MARGIN, LABEL = 6, 22
INK, GOOD, BAD, SOFT, PAPER = "#1c1c1c", BLUE, VERMILION, GREY, (255, 255, 255)
TABLES = ("styles", "clips", "distances", "problems")
SHOWN = ("colour", "texture", "flow_error", "angle", "motion", "flicker", "edges")


def save_audit(audit: Audit, case: Case, folder: str | Path) -> list[Path]:
    """Write ``styles.csv``, ``clips.csv``, ``distances.csv``, ``problems.csv``, ``sheet.png`` and ``audit.html``.

    Args:
        audit: Results of the audit.
        case: The video that is shown, see `liveliest`.
        folder: Folder for the files.

    Raises:
        UserError: If a file cannot be written.
    """
    root = Path(folder)
    for name in TABLES:
        write_text(root / f"{name}.csv", as_csv(getattr(audit, name).round(4)))
    sheet = _png(draw_sheet(audit, case))
    write_bytes(root / "sheet.png", sheet)
    write_text(root / "audit.html", page(audit, case, sheet))
    return files_of(root)


def files_of(folder: Path) -> list[Path]:
    """The page that `save_audit` writes."""
    return [folder / name for name in (*(f"{name}.csv" for name in TABLES), "sheet.png", "audit.html")]


def liveliest(audit: Audit, cases: Sequence[Case]) -> Case:
    """The judged video with the most motion, which is the one to show."""
    moving = audit.clips.drop_duplicates("video").set_index("video")["moving"]
    return next(case for case in cases if case.name == moving.idxmax())


# Pictures


def draw_sheet(audit: Audit, case: Case) -> Frame:
    """A frame of the video in every style, with the flow to the next frame and the verdict.

    Flow is drawn by the colour wheel, on the scale of the original's flow.
    """
    filmed, copies, _ = case.clips()
    middle = (len(filmed) - 1) // 2
    shown = {"original video": filmed, FLOOR: re_encoded(filmed), **copies}
    flows = {style: Dis()(frames[middle], frames[middle + 1]) for style, frames in shown.items()}
    longest = float(np.quantile(np.linalg.norm(flows["original video"], axis=-1), 0.99))
    known = audit.styles.set_index("style")
    tiles = []
    for style, frames in shown.items():
        row = known.loc[[style]].iloc[0] if style in known.index else None
        tiles.append(_tile(style, frames[middle], flows[style] / max(longest, 1.0), row))
    blank = np.full_like(tiles[0], PAPER)
    rows = [tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]
    return np.concatenate([np.concatenate([*row, *[blank] * (COLUMNS - len(row))], axis=1) for row in rows])


def _tile(style: str, frame: Frame, flow: Flow, row: "pd.Series[float] | None") -> Frame:
    from PIL import Image, ImageDraw, ImageFont

    width = round(frame.shape[1] * HEIGHT / frame.shape[0])
    tile = Image.new("RGB", (2 * (width + MARGIN), LABEL + HEIGHT + MARGIN), PAPER)
    for column, picture in enumerate((frame, paint(flow))):
        tile.paste(Image.fromarray(picture).resize((width, HEIGHT)), (MARGIN + column * width, LABEL))
    told, colour = style, INK
    if row is not None:
        motion = "" if np.isnan(row["motion"]) else f"   motion {row['motion']:.2f}"
        told += f"{motion}   {str(row['verdict']).partition(':')[0]}"
        colour = {PASS: GOOD, "reference": SOFT}.get(str(row["verdict"]), BAD)
    ImageDraw.Draw(tile).text((MARGIN, 4), told, colour, ImageFont.load_default(13))
    return np.asarray(tile)


def plot_measures(audit: Audit) -> "Figure":
    """Every measure of every style: its mean over videos, half of the videos, and the limit."""
    import seaborn as sns
    from matplotlib.figure import Figure

    styles = audit.styles[audit.styles["style"] != ANOTHER].set_index("style")
    ordered = styles.sort_values("motion").index
    clips = audit.clips.assign(motion=(1 - audit.clips["flow_error"]) / (1 - audit.clips["floor"]))
    with sns.axes_style("whitegrid"):
        figure = Figure(figsize=(12, 1.2 + 0.28 * len(ordered)), layout="constrained")
        panels = figure.subplots(1, len(LIMITS), sharey=True)
        for axes, limit in zip(panels, LIMITS, strict=True):
            spread = clips.groupby("style")[limit.measure].quantile(np.array([0.25, 0.75])).unstack().loc[ordered]
            means = styles.loc[ordered, limit.measure]
            missed = [limit.missed(value) for value in means]
            colours = [
                SOFT if style == FLOOR else BAD if bad else GOOD for style, bad in zip(ordered, missed, strict=True)
            ]
            axes.hlines(range(len(ordered)), spread[0.25], spread[0.75], color=colours, alpha=0.5)
            axes.scatter(means, range(len(ordered)), color=colours, zorder=3)
            _mark_limit(axes, limit.value, limit.least)
            axes.set_title(limit.measure)
        panels[0].set_yticks(range(len(ordered)), ordered)
    return figure


def _mark_limit(axes: "Axes", value: float, least: bool) -> None:
    axes.axvline(value, color="#1c1c1c", linestyle="--", linewidth=1)
    low, high = axes.get_xlim()
    low, high = min(low, 0.0, value), max(high, 1.05 * value)
    axes.axvspan(*((low, value) if least else (value, high)), color=BAD, alpha=0.06, linewidth=0)
    axes.set_xlim(low, high)


def plot_distances(audit: Audit) -> "Figure":
    """The distance between the colours of every two styles."""
    import seaborn as sns
    from matplotlib.figure import Figure

    names = list(dict.fromkeys([*audit.distances["style"], *audit.distances["other"]]))
    square = audit.distances.pivot(index="other", columns="style", values="colour").reindex(
        names[1:], columns=names[:-1]
    )
    side = 2 + 0.42 * len(names)
    figure = Figure(figsize=(side, 0.8 * side), layout="constrained")
    sns.heatmap(
        square, vmin=0, vmax=1, annot=True, fmt=".2f", annot_kws={"size": 7}, cmap="crest", ax=figure.subplots(),
        cbar_kws={"label": "distance of colours, 0..1"},
    )  # fmt: skip
    axes = figure.axes[0]
    axes.set(xlabel="", ylabel="")
    return figure


# The page


def page(audit: Audit, case: Case, sheet: bytes) -> str:
    """The HTML page, with the sheet in it."""
    from jinja2 import Environment, PackageLoader

    from static_dynamic.report.theme import svg

    environment = Environment(
        loader=PackageLoader("static_dynamic.stylize"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    judged = audit.styles[audit.styles["verdict"] != "reference"]
    return environment.get_template("audit.html").render(
        styles=rows_of(audit.styles),
        shown=SHOWN,
        passed=int((judged["verdict"] == PASS).sum()),
        judged=len(judged),
        videos=audit.clips["video"].nunique(),
        left_out=audit.left_out(),
        limits=LIMITS,
        video=case.name,
        frames=case.frames,
        sheet=b64encode(sheet).decode(),
        good=GOOD,
        bad=BAD,
        measures_svg=svg(plot_measures(audit)),
        distances_svg=svg(plot_distances(audit)) if len(audit.distances) else "",
    )


def _png(image: Frame) -> bytes:
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(image).save(stream, "png", optimize=True)
    return stream.getvalue()
