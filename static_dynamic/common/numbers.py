"""Which values are numbers: what a user gives as one may be anything."""

from numbers import Integral, Real


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, of Python or numpy; a truth value is none.

    Example:
        >>> is_whole(3), is_whole(3.0), is_whole(True), is_whole("3")
        (True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_real(value: object) -> bool:
    """Whether a value is a real number, of Python or numpy; a truth value is none.

    Example:
        >>> is_real(3), is_real(3.5), is_real(True), is_real("3")
        (True, True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)
