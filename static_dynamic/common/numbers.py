"""Checks whether a value that a user gave is a number, and limits from the environment."""

import os
from numbers import Integral, Real

from static_dynamic.common.errors import UserError


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, of Python or numpy; a truth value is not a number.

    Example:
        >>> is_whole(3), is_whole(3.0), is_whole(True), is_whole("3")
        (True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_real(value: object) -> bool:
    """Whether a value is a real number, of Python or numpy; a truth value is not a number.

    Example:
        >>> is_real(3), is_real(3.5), is_real(True), is_real("3")
        (True, True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def whole_within(value: object, least: int, most: int) -> bool:
    """Whether a value is a whole number of Python, which JSON can keep, in a range, ends included.

    Example:
        >>> whole_within(3, 1, 3), whole_within(4, 1, 3), whole_within("3", 1, 3)
        (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def real_within(value: object, least: float, most: float) -> bool:
    """Whether a value is a number of Python, which JSON can keep, in a range, ends included; NaN is in none.

    Example:
        >>> real_within(0.5, 0, 1), real_within(float("nan"), 0, 1), real_within("0", 0, 1)
        (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def whole_in_environment(variable: str, usual: int, most: int) -> int:
    """A limit: what an environment variable says, or the usual one.

    Raises:
        UserError: If it says something else than a whole number from 1 to ``most``.
    """
    given = os.environ.get(variable) or str(usual)
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(most)) and 0 < int(given) <= most):
        raise UserError(
            f"The environment variable {variable} must be a whole number from 1 to {most}. Got {given!r:.40}."
        )
    return int(given)
