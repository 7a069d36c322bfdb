"""One form for all user errors: what is wrong, where, what was given, what is allowed, the nearest name."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

MOST = 300
"""Characters of a foreign exception that a message repeats."""


STAND_INS: dict[str, str] = {}
"""Folder that stands for a place elsewhere → its address, see `static_dynamic.common.places`."""


class UserError(ValueError):
    """A mistake that the user can fix; its message is one line, see `one_line`, and is shown without a traceback."""

    def __init__(self, message: object) -> None:
        super().__init__(one_line(with_addresses(message)))


class BadClip(UserError):
    """One video that cannot be read; a run records it and continues."""


UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line ends, and Python's stand-ins for bytes in a file name that are not UTF-8."""


def one_line(text: object) -> str:
    r"""Text as one line of valid UTF-8; other characters are escaped.

    Example:
        >>> print(one_line("two\nlines, and the byte \udcff"))
        two\nlines, and the byte \xff
    """
    return UNPRINTABLE.sub(_escaped, str(text))


def with_addresses(text: object) -> str:
    """Text in which the paths that stand for an address are replaced by it."""
    said = str(text)
    for folder, address in STAND_INS.items():
        said = said.replace(folder, address)
    return said


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
        kind: What the name refers to, e.g. ``"style"``.
        given: What the user wrote.
        allowed: Every valid name.
        where: The option, file or model that holds the name.
        further: Other valid names, which are shown only if they are near.

    Example:
        >>> print(unknown("style", "inck", ["ink", "mosaic"], where="--styles"))
        Unknown style 'inck' in --styles. Did you mean 'ink'? Allowed: ink, mosaic.
    """
    names = list(allowed)
    said = shown(given) if not isinstance(given, str) else repr(given if len(given) <= MOST else f"{given[:MOST]}...")
    place = f" in {where}" if where else ""
    question = did_you_mean(given[:MOST] if isinstance(given, str) else said, [*names, *further])
    return UserError(f"Unknown {kind} {said}{place}.{question} Allowed: {', '.join(names) or 'none'}.")


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """A question with the nearest of the names, after a space; empty if none is near.

    Example:
        >>> did_you_mean("inck", ["ink", "mosaic"])
        " Did you mean 'ink'?"
    """
    close = get_close_matches(given, names, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


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
    """A number with its words in the singular or the plural.

    Example:
        >>> counted(1, "video gives", "videos give"), counted(2, "video gives", "videos give")
        ('1 video gives', '2 videos give')
    """
    return f"{count} {one if count == 1 else more}"


def reason(error: BaseException) -> str:
    """The message of an exception in one line; with its type unless it is a user error.

    Example:
        >>> reason(KeyError("frames"))
        "KeyError: 'frames'"
    """
    if isinstance(error, UserError):
        return str(error)
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text[:MOST]}" if text else type(error).__name__


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The differences between stored and requested plain data, in words; at most the first three.

    Example:
        >>> differences({"seed": 1, "recipe": {"crop": 8}}, {"seed": 2, "recipe": {"crop": 9}})
        'seed is 1 there, 2 here; recipe.crop is 8 there, 9 here'
    """
    return "; ".join(islice(_differences(there, here, ""), 3))


def _differences(there: Any, here: Any, name: str) -> Iterator[str]:
    """The differences of two values, each with the path of its key."""
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
