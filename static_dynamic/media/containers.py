"""Whether a video file ends before its container says, by the sizes of the container's outermost parts alone."""

from pathlib import Path

HEADER = 24
"""Bytes from which the size of a part can be told."""
EBML = (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67")
"""Of Matroska and WebM: the header, and the segment that is all the rest."""
ASF = (b"\x30\x26\xb2\x75", b"\x36\x26\xb2\x75", b"\x90\x08\x00\x33", b"\xd3\x29\xe2\xd6")
"""Of WMV: header, data and two kinds of index."""

BOXES = b"ftyp styp moov mdat moof mfra sidx ssix prft emsg meta udta uuid free skip wide pnot".split()
"""Of MP4 and its kin (ISO base media, QuickTime)."""


def breaks_off(path: Path) -> bool:
    """Whether the last part of a file lies beyond its end; false where the container keeps no sizes.

    MP4 and its kin, Matroska and WebM, AVI, and ASF (WMV) are a row of parts that tell their sizes.
    """
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place < size:
            file.seek(place)
            told = _size_of_part(file.read(HEADER))
            if not told:
                return False
            place += told
    return place > size


def _size_of_part(head: bytes) -> int:
    """Bytes of the part that begins so; 0 if that is not known, or the writer never filled it in."""
    if head[:4] in EBML:
        return _ebml(head)
    if head[:4] in ASF:
        return int.from_bytes(head[16:24], "little")
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        return size + 8 if 0 < size < 0xFFFFFFF0 else 0
    return _box(head) if head[4:8] in BOXES else 0


def _box(head: bytes) -> int:
    """The size is in 32 bits; where they say 1, it is in 64 bits behind the name."""
    size = int.from_bytes(head[:4], "big")
    return int.from_bytes(head[8:16], "big") if size == 1 else size


def _ebml(head: bytes) -> int:
    """The leading zeros of a size tell its own length; where all other bits are ones, it is not known."""
    length = 9 - head[4].bit_length() if len(head) == HEADER else 0
    bits = 7 * length
    size = int.from_bytes(head[4 : 4 + length], "big") & (1 << bits) - 1
    return 0 if size == (1 << bits) - 1 else 4 + length + size
