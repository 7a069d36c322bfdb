"""One error form for every slip of a user: what is wrong, where, what was given, what is allowed, the nearest name."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

MOST = 300
"""Characters of a foreign exception that a message repeats."""


class UserError(ValueError):
    """A mistake that the user can mend; its message is one line, see `one_line`, and needs no traceback."""

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


class BadClip(UserError):
    """One video that cannot be read; a run records it and goes on."""


UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, ends of lines, and what Python makes of a byte in a file name that is not UTF-8."""


def one_line(text: object) -> str:
    r"""Text that fits on one line and can be written as UTF-8: what cannot is escaped.

    Example:
        >>> print(one_line("two\nlines, and the byte \udcff"))
        two\nlines, and the byte \xff
    """
    return UNPRINTABLE.sub(_escaped, str(text))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\n":
        return r"\n"
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def unknown(
    kind: str, given: object, allowed: Iterable[str], where: str = "", further: Iterable[str] = ()
) -> UserError:
    """The error for a name that is not in a list.

    Args:
        kind: What the name stands for, e.g. ``"style"``.
        given: What the user wrote.
        allowed: Every valid name.
        where: The option, file or model that holds the name.
        further: Names that are valid, too, and are named only if they are near.

    Example:
        >>> print(unknown("style", "inck", ["ink", "mosaic"], where="--styles"))
        Unknown style 'inck' in --styles. Nearest: ink. Allowed: ink, mosaic.
    """
    names = list(allowed)
    said = shown(given) if not isinstance(given, str) else repr(given if len(given) <= MOST else f"{given[:MOST]}...")
    written = given[:MOST] if isinstance(given, str) else said
    close = get_close_matches(written, [*names, *further], n=3, cutoff=0.5)
    place = f" in {where}" if where else ""
    nearest = f" Nearest: {', '.join(close)}." if close else ""
    return UserError(f"Unknown {kind} {said}{place}.{nearest} Allowed: {', '.join(names) or 'none'}.")


def shown(value: object, most: int = 80) -> str:
    """A value of a user as a message repeats it: short, whatever it is.

    Example:
        >>> shown("8"), shown(10**9999)
        ("'8'", 'int')
    """
    try:
        text = repr(value)
    except Exception:  # a number of too many digits, an object of the user's own
        return type(value).__name__
    return text if len(text) <= most else f"{text[: most - 3]}..."


def counted(count: int, one: str, more: str) -> str:
    """A number with the words for one, or for several.

    Example:
        >>> counted(1, "video gives", "videos give"), counted(2, "video gives", "videos give")
        ('1 video gives', '2 videos give')
    """
    return f"{count} {one if count == 1 else more}"


def reason(error: BaseException) -> str:
    """What an exception says, in one line; of one that is not a user's slip, with its type.

    Example:
        >>> reason(KeyError("frames"))
        "KeyError: 'frames'"
    """
    if isinstance(error, UserError):
        return str(error)
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text[:MOST]}" if text else type(error).__name__


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In what plain data that lie somewhere differ from what is asked for, in words; the first three at most.

    Example:
        >>> differences({"seed": 1, "recipe": {"crop": 8}}, {"seed": 2, "recipe": {"crop": 9}})
        'seed is 1 there, 2 here; recipe.crop is 8 there, 9 here'
    """
    return "; ".join(islice(_differences(there, here, ""), 3))


def _differences(there: Any, here: Any, name: str) -> Iterator[str]:
    """The differences of two values, each with the name of its place."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in {**there, **here}:
            yield from _differences(there.get(key, _MISSING), here.get(key, _MISSING), f"{name}.{key}" if name else key)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, (one, other) in enumerate(zip(there, here, strict=True)):
            yield from _differences(one, other, f"{name}[{number}]")
    elif there != here:
        yield f"{name} is {_short(there)} there, {_short(here)} here"


class _Missing:
    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()


def _short(value: object) -> str:
    text = repr(value)
    if len(text) > 60 and isinstance(value, list):
        return f"a list of {len(value)}"
    return text if len(text) <= 60 else f"{text[:17]}...{text[-40:]}"  # paths differ at their end
