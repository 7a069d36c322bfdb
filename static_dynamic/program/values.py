"""Values of options that several commands share, and their parsing."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

from cyclopts import Parameter

from static_dynamic.common.slips import invalid

Layout = Literal["folders", "StylizedActivityNet", "ssv2", "Diving48", "DAVIS"]
"""Layouts of data sets that are rendered."""
Rate = Annotated[str | None, Parameter(metavar="RATE")]


def frame_rate(text: str | None) -> Fraction | None:
    """``"30000/1001"`` → frames per second."""
    try:
        return None if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise invalid("--fps", "frames per second are required, e.g. 5 or 30000/1001", text) from None


def listed(text: str | None) -> list[str] | None:
    """``"ink, neon"`` → ``["ink", "neon"]``."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def whole_numbers(name: str, text: str, example: str) -> Sequence[int]:
    """``"1,-1"`` → ``(1, -1)``."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise invalid(name, f"whole numbers are required, separated by commas, e.g. {example}", text) from None
