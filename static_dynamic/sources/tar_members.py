"""The members of a tar file by their headers alone: nothing is extracted.

The standard library decodes the headers. The loop over them is our own, because that of `tarfile` may never end on the
file of a stranger (sizes below zero, headers of megabytes that slow expressions search), and hides where a file breaks
off.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

BLOCK = tarfile.BLOCKSIZE
LONGEST = 1 << 20
"""Bytes of a header that says more about the next member, such as a long name."""
REFUSED = {tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link", tarfile.GNUTYPE_SPARSE: "a sparse file"}
"""Types of members that are not read; every other one that is neither a file nor a folder is a device or a pipe."""
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of compressed files → the program that unpacks them."""


class Damaged(ValueError):
    """A tar file that breaks off, or is not one."""


class Member(NamedTuple):
    """One file in a tar file.

    Attributes:
        name: Its path there; bytes that are not UTF-8 are stand-ins, as in file names.
        offset: Where its bytes begin in the tar file.
        size: Their number.
        refused: Why they are not read; empty if they are.
    """

    name: str
    offset: int
    size: int
    refused: str = ""


def compression(path: Path) -> str | None:
    """The program that a tar file is compressed with; ``None`` if it is not."""
    with path.open("rb") as stream:
        head = stream.read(max(map(len, MAGIC)))
    return next((program for magic, program in MAGIC.items() if head.startswith(magic)), None)


def members(path: Path) -> Iterator[Member]:
    """Every member of a tar file that is not a folder, in order, as far as the file reaches.

    Raises:
        Damaged: After the last readable member, if the file breaks off there or is not a tar file.
    """
    count = 0
    try:
        for member in _members(path):
            count += 1
            yield member
    except (ValueError, tarfile.HeaderError):
        raise Damaged(f"damaged or truncated (after {count} members)" if count else "not a tar file") from None


_WITH_DATA = (*tarfile.REGULAR_TYPES, tarfile.GNUTYPE_SPARSE)


def _members(path: Path) -> Iterator[Member]:
    end, place = path.stat().st_size, 0
    said: dict[str, str] = {}
    with path.open("rb") as stream:
        while (block := _read(stream, place, BLOCK)) != bytes(BLOCK):
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            place += BLOCK
            if info.type in _ABOUT_THE_NEXT:
                _check(0 <= info.size <= LONGEST)
                said |= _ABOUT_THE_NEXT[info.type](_read(stream, place, info.size))
                place += _padded(info.size)
                continue
            if info.type == tarfile.GNUTYPE_SPARSE:
                place = _after_sparse_map(stream, place, block[482:483])
            member = _member(info, place, said)
            if info.type in _WITH_DATA or info.type not in tarfile.SUPPORTED_TYPES:
                place += _padded(member.size)
            _check(member.size >= 0 and place <= end)
            if not info.isdir():
                yield member
            said = {}
        _check(not said)


def _check(sound: bool) -> None:
    if not sound:
        raise ValueError


def _member(info: tarfile.TarInfo, place: int, said: dict[str, str]) -> Member:
    """A member by its header, and by what the headers before it say about it."""
    refused = REFUSED.get(info.type, "" if info.isfile() else "a device or pipe")
    if any(key.startswith("GNU.sparse") for key in said):
        refused = REFUSED[tarfile.GNUTYPE_SPARSE]
    name = said.get("GNU.sparse.name") or said.get("path", info.name)
    return Member(name, place, int(said.get("size", info.size)), refused)


def _read(stream: BinaryIO, place: int, size: int) -> bytes:
    stream.seek(place)
    return stream.read(size)


def _after_sparse_map(stream: BinaryIO, place: int, more: bytes) -> int:
    """Where the bytes of a sparse file begin: after blocks that each say whether there is another."""
    while more > b"\0":
        more = _read(stream, place, BLOCK)[504:505]
        place += BLOCK
    return place


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _long_name(content: bytes) -> dict[str, str]:
    return {"path": content.partition(b"\0")[0].decode("utf-8", "surrogateescape")}


def _pax(content: bytes) -> dict[str, str]:
    """The records ``<length> <key>=<value>\\n`` of an extended header."""
    said, place = dict[str, str](), 0
    while (space := content.find(b" ", place, place + 8)) > place and content[place:space].isdigit():
        end = place + int(content[place:space])
        key, mark, value = content[space + 1 : max(space, end - 1)].partition(b"=")
        if not mark:
            break
        said[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        place = end
    _check(place == len(content))
    return said


def _nothing(content: bytes) -> dict[str, str]:
    return {}


_ABOUT_THE_NEXT = {
    tarfile.XHDTYPE: _pax,
    tarfile.SOLARIS_XHDTYPE: _pax,
    tarfile.XGLTYPE: _nothing,
    tarfile.GNUTYPE_LONGNAME: _long_name,
    tarfile.GNUTYPE_LONGLINK: _nothing,
}
"""Types of headers that say more about the next member → what is taken from them."""
