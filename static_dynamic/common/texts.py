"""Text files in UTF-8, with or without a byte-order mark; an unreadable file gives an error of one line."""

import codecs
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from static_dynamic.common.errors import UserError

LARGEST = 128 << 20
"""Bytes of a text file; the lists of the largest data sets have a third of it."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""The first bytes of files that Windows calls "Unicode", and of those in UTF-32."""


def read_text(path: str | Path) -> str:
    r"""The text of a file, with ``\n`` as the end of every line and without a byte-order mark.

    Raises:
        UserError: If the file is missing, cannot be read or is not UTF-8 text; the line is named.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise UserError(f"Cannot read {path}: the file does not exist.") from None
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror or error}.") from None
    if len(content) > LARGEST:
        raise UserError(f"{path} is too large: texts of up to {LARGEST >> 20} MiB are read.")
    if content.startswith(UTF16):
        raise UserError(f"{path} is UTF-16 text: save it as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_text(path, content, error.start) from None
    if "\0" in text:
        raise _not_text(path, content, content.index(0))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: str | Path, comment: str | None = None) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, without the space around them, and their numbers from 1.

    Args:
        path: The file.
        comment: Beginning of lines that are left out too.

    Raises:
        UserError: See `read_text`.
    """
    lines = ((number, line.strip()) for number, line in enumerate(read_text(path).split("\n"), 1))
    return [(number, line) for number, line in lines if line and not (comment and line.startswith(comment))]


def read_json(path: str | Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: If the file is missing, unreadable, empty, not valid JSON (the position is stated), or names a
            member of an object twice.
    """
    text = read_text(path)
    if not text.strip():
        raise UserError(f"{path} is empty: it must hold JSON.")
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}, column {error.colno}: not valid JSON ({error.msg}).") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}).") from None


def _without_duplicates(members: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise ValueError(f"the name {name!r} appears twice in one object")
        found[name] = value
    return found


def _not_text(path: str | Path, content: bytes, place: int) -> UserError:
    line = content.count(b"\n", 0, place) + 1
    return UserError(f"{path}, line {line}: not UTF-8 text (byte 0x{content[place]:02x}). Save the file as UTF-8.")
