"""Pickles, archives and options that a stranger could write: a few bytes that want much time or memory."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict


def _put(place):
    return b"r" + struct.pack("<I", place)


def _get(place):
    return b"j" + struct.pack("<I", place)


def _tower(height):
    """A tuple of two equal tuples of two equal tuples…: of a few bytes, hashed in 2 ** height steps."""
    floors = b"".join(_put(floor) + _get(floor) + b"\x86" for floor in range(height))
    return b"\x80\x02}N" + floors + b"K\x01s."


def _again(step, times, thing):
    """The same thing from the memo as the argument of a call, again and again."""
    return b"\x80\x02](" + thing + _put(0) + step * times + b"e."


def _lists():
    """A list of a thousand equal lists of a thousand equal lists…, filled from outside in."""
    floors = (_get(floor) + b"(]" + _put(floor + 1) + _get(floor + 1) * 999 + b"e" for floor in range(12))
    return b"\x80\x02](]" + _put(0) + b"".join(floors) + b"e."


def _collisions():
    numbers = ((number * ((1 << 61) - 1) << 8) for number in range(1, 20_000))
    return pickle.dumps({number: 0 for number in numbers if number.bit_length() > 64}, 2)


def _ordered():
    pairs = b"](K\x01N\x86" + _put(1) + _get(1) * 20_000 + b"e\x85"
    return _again(b"ccollections\nOrderedDict\nh\x00R", 5_000, pairs)


PICKLES = {
    "a place in the memo": b"\x80\x02}r\xff\xff\xff\x0f.",
    "a tower of tuples": _tower(60),
    "deep tuples": b"\x80\x02}" + b"N" + b"\x85" * 200_000 + b"K\x01s.",
    "numbers of one hash": _collisions(),
    "many steps": b"\x80\x02](" + b"]" * 250_000 + b"e.",
    "a long text, encoded again and again": _again(
        b"c_codecs\nencode\nh\x00R",
        2_000,
        b"X" + struct.pack("<I", 100_000) + b"a" * 100_000 + b"X\x06\0\0\0latin1\x86",
    ),
    "a long list, copied again and again": _ordered(),
    "lists in lists": _lists(),
}


def as_saved(data):
    """A file of torch that holds this pickle, and no tensor."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (("data.pkl", data), ("byteorder", b"little"), ("version", b"3\n")):
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


def packed(size=50_000_000):
    """A file of torch whose storage is packed by a thousand."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(OrderedDict(), 2))
        archive.writestr("archive/version", b"3\n")
        with archive.open("archive/data/0", "w", force_zip64=True) as stream:
            for _ in range(size // 1_000_000):
                stream.write(bytes(1_000_000))
    return file.getvalue()
