"""One error form for every slip of a user of the zoo: what is wrong, what was given, what is allowed."""

from collections.abc import Iterable
from difflib import get_close_matches


class ModelError(ValueError):
    """A mistake that the user can mend; its message is one line and needs no traceback."""


def unknown(kind: str, given: object, allowed: Iterable[str]) -> ModelError:
    """The error for a name that is not in a list.

    Example:
        >>> print(unknown("model", "i4d", ["i3d", "slow"]))
        Unknown model 'i4d'. Nearest: i3d. Allowed: i3d, slow.
    """
    names = list(allowed)
    close = get_close_matches(str(given), names, n=3, cutoff=0.5)
    nearest = f" Nearest: {', '.join(close)}." if close else ""
    return ModelError(f"Unknown {kind} {str(given)!r}.{nearest} Allowed: {', '.join(names) or 'none'}.")
