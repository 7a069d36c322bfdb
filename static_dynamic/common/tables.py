"""Tables, row by row."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def rows_of(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table, each as the names of its columns → its values."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
