"""A result in a notebook: a line, a small table, the figure, and notes for the reader."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from static_dynamic.report.parts import Part
from static_dynamic.report.tables import with_interval
from static_dynamic.report.theme import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 144
"""Dots per inch: twice those of a screen, so that the figure is sharp."""
MOST = 30
"""Largest number of rows of the table."""


def as_html(head: str, said: str, table: pd.DataFrame, figure: "Figure", notes: Sequence[str]) -> str:
    """Stack the pieces; the figure is a PNG, since notebooks remove SVG from untrusted output."""
    picture = b64encode(png(figure, DOTS)).decode()
    inches = figure.get_figwidth()
    more = f"<p>… and {len(table) - MOST} more rows</p>" if len(table) > MOST else ""
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f"<p><b>{escape(head)}</b><br>{escape(said)}</p>{table.head(MOST).to_html(index=False)}{more}"
        f'<img alt="{escape(head)}" width="{72 * inches:.0f}" src="data:image/png;base64,{picture}">'
        f"<ul>{listed}</ul>"
    )


def small_table(part: Part) -> pd.DataFrame:
    """A row per stage: every number that is drawn, with its interval and the number of untrained networks."""
    columns: dict[str, list[str]] = {"stage": part.stages}
    for factor in part.drawn:
        rows = part.numbers[part.numbers["factor"] == factor].set_index("stage").reindex(part.stages)
        records = rows.to_dict("records")
        name = f"{factor}, {part.unit_of_measurement}"
        columns[name] = [with_interval(row["mean"], row["low"], row["high"], part.digits) for row in records]
        if part.has_twins:
            twins = [with_interval(row["twin"], row["twin_low"], row["twin_high"], part.digits) for row in records]
            columns[f"{factor}, untrained"] = twins
    return pd.DataFrame(columns)
