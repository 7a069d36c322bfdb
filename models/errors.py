"""One form of error for every invalid input to the zoo: what is wrong, what was given, what is allowed."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from static_dynamic.common.errors import did_you_mean
from static_dynamic.optional import missing

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters in names or messages from elsewhere that would break a line."""
MOST = 300
"""Characters of another library's message that are shown."""


class ModelError(ValueError):
    """A mistake that the user can fix; its message is one line and needs no traceback."""

    def __init__(self, message: object) -> None:
        super().__init__(CONTROL.sub(lambda found: ascii(found[0])[1:-1], str(message)))


class PartialWeights(UserWarning):
    """A checkpoint filled only a part of a model, or could have filled it in two ways."""


def said(error: BaseException) -> str:
    """The first line of an error's message, with what follows a colon there; its class if the message is empty.

    Example:
        >>> said(ValueError("Wrong size:\\n  8 for 9.\\nAsk for help."))
        'Wrong size: 8 for 9. Ask for help'
    """
    text = str(error).strip() or type(error).__name__
    first = text.splitlines()[0].rstrip()
    whole = " ".join((text if first.endswith(":") else first).split()).rstrip(". ")
    return whole if len(whole) <= MOST else f"{whole[:MOST]}..."


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Turn any error of the block into a ``ModelError`` of one line, which begins with ``what``."""
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(missing(error) or f"{what}: {type(error).__name__}: {said(error)}.") from error
    except Exception as error:
        raise ModelError(f"{what}: {type(error).__name__}: {said(error)}.") from error


def unknown(kind: str, given: object, allowed: Iterable[str]) -> ModelError:
    """The error for a name that is not in a list.

    Example:
        >>> print(unknown("model", "i4d", ["i3d", "slow"]))
        Unknown model 'i4d'. Did you mean 'i3d'? Allowed: i3d, slow.
    """
    names = list(allowed)
    question = did_you_mean(str(given), names)
    return ModelError(f"Unknown {kind} {str(given)!r}.{question} Allowed: {', '.join(names) or 'none'}.")
