"""Whether a video file is truncated, by the sizes of the outermost parts of its container."""

from pathlib import Path

HEADER = 24
"""Bytes from which the size of a part can be read."""
EBML = (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67")
"""Matroska and WebM: the header, and the segment that holds the rest."""
ASF = (b"\x30\x26\xb2\x75", b"\x36\x26\xb2\x75", b"\x90\x08\x00\x33", b"\xd3\x29\xe2\xd6")
"""WMV: header, data and two kinds of index."""

BOXES = b"ftyp styp moov mdat moof mfra sidx ssix prft emsg meta udta uuid free skip wide pnot".split()
"""MP4 and related formats (ISO base media, QuickTime)."""


def breaks_off(path: Path) -> bool:
    """Whether the last part of a file ends beyond the file; false if the container does not store sizes.

    MP4 and related formats, Matroska and WebM, AVI, and ASF (WMV) are sequences of parts that state their sizes.
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
    """Bytes of the part with this beginning; 0 if that is unknown, or the writer did not fill it in."""
    if head[:4] in EBML:
        return _ebml(head)
    if head[:4] in ASF:
        return int.from_bytes(head[16:24], "little")
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")
        return size + 8 if 0 < size < 0xFFFFFFF0 else 0
    return _box(head) if head[4:8] in BOXES else 0


def _box(head: bytes) -> int:
    """The size is in 32 bits; if they hold 1, it is in 64 bits after the name."""
    size = int.from_bytes(head[:4], "big")
    return int.from_bytes(head[8:16], "big") if size == 1 else size


def _ebml(head: bytes) -> int:
    """The leading zeros of a size give its length; if all other bits are ones, the size is unknown."""
    length = 9 - head[4].bit_length() if len(head) == HEADER else 0
    bits = 7 * length
    size = int.from_bytes(head[4 : 4 + length], "big") & (1 << bits) - 1
    return 0 if size == (1 << bits) - 1 else 4 + length + size
