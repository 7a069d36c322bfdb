"""Tables on a terminal, in which names and numbers are never truncated."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = Sequence[str]
Content = tuple[str, Row, Sequence[Row]]
"""Title, headings and rows of a table."""
WIDTH = 140
"""Columns of the tables in a log."""


def terminal() -> "Console":
    """The console for tables: the terminal, or a log, which has room for whole rows."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def print_table(console: "Console", title: str, columns: Row, rows: Sequence[Row]) -> None:
    """Print a table or, if the terminal is too narrow for it, a block of lines for each row."""
    widths = _widths(columns, rows)
    if sum(widths) + 3 * len(widths) + 1 <= console.width:
        console.print(_table(title, columns, rows, widths))
    else:
        console.print(_blocks(title, columns, rows), markup=False, highlight=False, soft_wrap=True)


def _widths(columns: Row, rows: Sequence[Row]) -> list[int]:
    """The minimum width of every column: cells stay in one line, headings may be wrapped between words."""
    return [max(map(len, [*columns[i].split(), *(row[i] for row in rows)])) for i in range(len(columns))]


def _table(title: str, columns: Row, rows: Sequence[Row], widths: Sequence[int]) -> "Table":
    from rich.markup import escape  # brackets are not markup
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    for i, (column, width) in enumerate(zip(columns, widths, strict=True)):
        table.add_column(escape(column), justify="right" if i else "left", min_width=width)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _blocks(title: str, columns: Row, rows: Sequence[Row]) -> str:
    """The first cell of every row, and a line for each other one below it."""
    indent = max(map(len, columns[1:]))
    lines = [title]
    for first, *cells in rows:
        lines += [first, *(f"  {name:{indent}}  {cell}" for name, cell in zip(columns[1:], cells, strict=True) if cell)]
    return "\n".join(lines)
