"""Tables in files: text that a spreadsheet would run is quoted, and a small file does not become a large table."""

import re
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from static_dynamic.common.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

MOST_CELLS = 200_000_000
"""Of a table in Parquet, which may say of a column in a few bytes that it repeats one value without end."""
FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How text begins that a spreadsheet takes for a formula, or that was quoted for it."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf", re.IGNORECASE)


def quoted(text: str) -> str:
    """Text for a cell of a CSV file: what spreadsheets take for a formula gets an apostrophe, which they do not show.

    Example:
        >>> quoted("=cmd|' /C calc'!A0"), quoted("-clip.mp4"), quoted("-1.5"), quoted("clip.mp4")
        ("'=cmd|' /C calc'!A0", "'-clip.mp4", '-1.5', 'clip.mp4')
    """
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def unquoted(text: str) -> str:
    """Undo :func:`quoted`."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def as_csv(table: "pd.DataFrame", **options: Any) -> str:
    """A table as CSV, with the options of pandas; text in cells and names is quoted, see :func:`quoted`."""
    safe = _mapped(table, quoted)
    return str(safe.to_csv(**{"index": False, "lineterminator": "\n", **options}))


def from_csv(text: str) -> "pd.DataFrame":
    """Undo :func:`as_csv`."""
    import pandas as pd

    return _mapped(pd.read_csv(StringIO(text)), unquoted)


def read_parquet(content: bytes) -> "pd.DataFrame":
    """A table in Parquet.

    Raises:
        UserError: If it has more cells than are read.
        ValueError: If it is damaged; also what pyarrow raises then.
    """
    import pandas as pd
    from pyarrow.parquet import ParquetFile

    head = ParquetFile(BytesIO(content)).metadata
    if (cells := head.num_rows * head.num_columns) > MOST_CELLS:
        raise UserError(f"a table of {cells} cells; up to {MOST_CELLS} are read")
    return pd.read_parquet(BytesIO(content), use_threads=False)


def _mapped(table: "pd.DataFrame", change: Any) -> "pd.DataFrame":
    import pandas as pd

    def cell(value: object) -> object:
        return change(value) if isinstance(value, str) else value

    texts = [name for name, kind in zip(table.columns, table.dtypes, strict=True) if kind.kind not in "biufcmM"]
    changed = table.copy()
    for name in texts:
        kind = object if isinstance(table[name].dtype, pd.CategoricalDtype) else table[name].dtype  # whole numbers stay
        changed[name] = pd.Series([cell(value) for value in table[name]], table.index, kind)
    changed.columns = [cell(name) for name in table.columns]
    if table.index.dtype.kind not in "biuf" and table.index.nlevels == 1:
        changed.index = table.index.map(cell)
    return changed


def rows_of(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table, each as column name → value."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
