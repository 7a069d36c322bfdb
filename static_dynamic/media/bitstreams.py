"""What coded packets tell without being decoded: where decoding can begin, what they show, and what needs them.

The first bytes of a packet are read as the standards say: ITU-T H.264 (7.3.1) and H.265 (7.3.1.2), ISO/IEC 14496-2
(6.2) and 13818-2 (6.2), RFC 6386 (VP8), the VP9 and AV1 bitstream specifications. Nothing is guessed: of whatever is
not certain, a packet tells nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

START = re.compile(b"\0\0\1")
"""What units begin with where their lengths are not told."""
SURELY_CODED = 16
"""Bytes of a frame of MPEG-4 from which on it is one, and not a note that nothing changes (``vop_coded``)."""
H264_HEADERS, HEVC_HEADERS, MPEG4_HEADERS = {7, 8, 13, 15}, {32, 33, 34}, {*range(0x30), 0xB0, 0xB2, 0xB5}
"""Kinds of units that hold for later packets: parameter sets, and what decoders read of the writer of a file."""
TURNED, WRITTEN_BY = 47, 5
"""Kinds of messages in H.264 and H.265: how frames are to be turned, and who wrote the file."""


@dataclass(frozen=True, slots=True)
class Coded:
    """What a packet tells.

    Attributes:
        starts: Whether frames from it on do not depend on those before, given the headers.
        shows: How many frames are shown of it; ``None`` if that is not certain.
        spare: Whether no packet of its level or below needs it.
        level: Its temporal level, see H.265.
        headers: What it says that holds for later packets, too.
    """

    starts: bool = False
    shows: int | None = None
    spare: bool = False
    level: int = 0
    headers: frozenset[bytes] = frozenset()


UNKNOWN = Coded()
ALONE = Coded(starts=True, shows=1, spare=True)
"""A packet that is one frame by itself."""

Reader = Callable[[bytes], Coded]


def reader(context: Any) -> Reader:
    """What reads the packets of a stream with this codec context; of a codec that is not known they tell nothing."""
    name, extradata = context.codec.canonical_name, bytes(context.extradata or b"")
    listed = extradata[:1] == b"\1"  # avcC and hvcC, whose packets tell the lengths of their units
    if name == "h264":
        length = (extradata[4] & 3) + 1 if listed else 0
        # Decoders repair what some writers did wrong in 4:4:4, so that it matters who wrote a file.
        lasting = {TURNED, WRITTEN_BY} if "444" in str(context.pix_fmt) else {TURNED}
        read: Reader = lambda data: _h264(_units(data, length), lasting)  # noqa: E731
    elif name == "hevc":
        length = (extradata[21] & 3) + 1 if listed else 0
        read = lambda data: _hevc(_units(data, length))  # noqa: E731
    else:
        read = READERS.get(name, lambda data: UNKNOWN)
    return _careful(read)


def _careful(read: Reader) -> Reader:
    """The same, for bytes that break off, too."""

    def careful(data: bytes) -> Coded:
        try:
            return read(data)
        except IndexError:
            return UNKNOWN

    return careful


def _units(data: bytes, length: int) -> Iterator[bytes]:
    """The units of a packet, each after its size of ``length`` bytes, or after start codes if that is 0."""
    if not length:
        begins = [found.end() for found in START.finditer(data)]
        yield from (data[begin : end - 3].rstrip(b"\0") for begin, end in pairwise([*begins, len(data) + 3]))
        return
    end = 0
    while end < len(data):
        begin = end + length
        end = begin + int.from_bytes(data[end:begin])
        yield data[begin:end]


def _h264(units: Iterator[bytes], lasting: set[int]) -> Coded:
    """A packet shows a frame if just one slice in it is the first of a picture; others are fields, or partitions."""
    slices, headers = list[bytes](), list[bytes]()
    for unit in units:
        kind = unit[0] & 31
        if kind in (2, 3, 4):
            return UNKNOWN
        if kind in (1, 5):
            slices.append(unit)
        elif kind in H264_HEADERS or (kind == 6 and unit[1] in lasting):
            headers.append(unit)
    return Coded(
        starts=bool(slices) and all(unit[0] & 31 == 5 for unit in slices),
        shows=1 if sum(unit[1] >> 7 for unit in slices) == 1 else None,
        spare=not any(unit[0] & 0x60 for unit in slices),
        headers=frozenset(headers),
    )


def _hevc(units: Iterator[bytes]) -> Coded:
    """The first slice segment of a picture is marked; the kinds from 16 to 21 are pictures at which one can enter."""
    slices, headers = list[bytes](), list[bytes]()
    for unit in units:
        kind, layer = unit[0] >> 1 & 63, (unit[0] & 1) << 5 | unit[1] >> 3
        if kind < 32 and not layer:
            slices.append(unit)
        elif kind in HEVC_HEADERS or (kind == 39 and unit[2] == TURNED):
            headers.append(unit)
    kinds = {unit[0] >> 1 & 63 for unit in slices}
    return Coded(
        starts=bool(kinds) and kinds <= {*range(16, 22)},
        shows=1 if sum(unit[2] >> 7 for unit in slices) == 1 else None,
        spare=kinds <= {*range(0, 15, 2)},
        level=max(((unit[1] & 7) - 1 for unit in slices), default=0),
        headers=frozenset(headers),
    )


def _mpeg4(data: bytes) -> Coded:
    """A packet with two frames is packed: of these, one is shown later."""
    place = data.index(b"\0\0\1\xb6") if data.count(b"\0\0\1\xb6") == 1 else len(data)
    if len(data) - place < SURELY_CODED:
        return UNKNOWN
    kind = data[place + 4] >> 6
    headers = [unit for unit in _units(data[:place], 0) if unit[:1] and unit[0] in MPEG4_HEADERS]
    return Coded(starts=kind == 0, shows=1, spare=kind == 2, headers=frozenset(headers))


def _mpeg2(data: bytes) -> Coded:
    """A sequence header sets everything again; a packet with two pictures is one of fields."""
    if data.count(b"\0\0\1\0") != 1:
        return UNKNOWN
    place = data.index(b"\0\0\1\0")
    kind = data[place + 5] >> 3 & 7
    return Coded(starts=kind == 1 and b"\0\0\1\xb3" in data[:place], shows=1, spare=kind == 3)


def _vp8(data: bytes) -> Coded:
    return Coded(starts=not data[0] & 1, shows=data[0] >> 4 & 1)


def _vp9(data: bytes) -> Coded:
    """Several frames, of which one is shown, are packed with an index at the end (annex B)."""
    frames, last = [data], data[-1]
    if last & 0xE0 == 0xC0:
        count, width = (last & 7) + 1, (last >> 3 & 3) + 1
        index = data[-2 - count * width :]
        if index[0] == last:
            sizes = [int.from_bytes(index[1 + i * width : 1 + (i + 1) * width], "little") for i in range(count)]
            begins = [sum(sizes[:i]) for i in range(count)]
            frames = [data[begin : begin + size] for begin, size in zip(begins, sizes, strict=True)]
    if any(frame[0] >> 6 != 2 for frame in frames):
        return UNKNOWN
    bits = [_vp9_bits(frame) for frame in frames]
    key, shown = 0b00, sum(existing or show for existing, _, show in bits)
    existing, kind, _ = bits[0]
    return Coded(starts=not existing and kind == key, shows=shown if shown < 2 else None)


def _vp9_bits(frame: bytes) -> tuple[int, int, int]:
    """Whether a frame shows an earlier one, whether it depends on others, and whether it is shown (6.2)."""
    after = 3 if frame[0] >> 4 & 3 == 3 else 4  # in profile 3 there is a bit more
    return frame[0] >> (after - 1) & 1, frame[0] >> (after - 2) & 1, frame[0] >> (after - 3) & 1


def _av1(data: bytes) -> Coded:
    """A temporal unit of one layer shows one frame (7.5); decoding begins at a key frame with a sequence header."""
    headers = dict[int, list[int]]()  # kind of unit → its first bytes
    for kind, begin in _obus(data):
        headers.setdefault(kind, []).append(data[begin])
    sequence, frames = headers.get(1, []), headers.get(3, []) + headers.get(6, [])
    if any(byte >> 3 & 1 for byte in sequence):  # still pictures, whose headers are shorter
        return UNKNOWN
    shown = sum(byte >> 7 | byte >> 4 & 1 for byte in frames)
    key = [byte for byte in frames if byte >> 4 == 0b0001]  # not of an earlier frame, a key frame, and shown
    return Coded(starts=bool(sequence) and frames == key, shows=1 if shown == 1 else None)


def _obus(data: bytes) -> Iterator[tuple[int, int]]:
    """The kind of every unit, and where its content begins (5.3)."""
    end = 0
    while end < len(data):
        head = data[end]
        size, begin = len(data), end + 1 + (head >> 2 & 1)
        if head >> 1 & 1:
            size, begin = _leb128(data, begin)
        if size:
            yield head >> 3 & 15, begin
        end = begin + size


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    """A number in groups of 7 bits, and where it ends."""
    value = 0
    for group in range(8):
        value |= (data[place + group] & 127) << 7 * group
        if not data[place + group] & 128:
            break
    return value, place + group + 1


def _mjpeg(data: bytes) -> Coded:
    """An image that has its own tables, and no image in it."""
    own = b"\xff\xdb" in data and b"\xff\xc4" in data and data.count(b"\xff\xd8\xff") == 1
    return ALONE if own else UNKNOWN


def _alone(data: bytes) -> Coded:
    return ALONE


READERS: dict[str, Reader] = {
    "mpeg4": _mpeg4,
    "mpeg1video": _mpeg2,
    "mpeg2video": _mpeg2,
    "vp8": _vp8,
    "vp9": _vp9,
    "av1": _av1,
    "mjpeg": _mjpeg,
    **dict.fromkeys(("prores", "dnxhd", "dvvideo"), _alone),
}
