"""Pickles of strangers, looked through before they are read: what would need time or memory without end is refused.

A pickle is a program for a small machine with a stack and a memo. `check_pickle` follows the stack, without making
anything, and measures what the program would make. It needs nothing but Python, so that every part of the project may
use it.
"""

import io
import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO, NamedTuple

MOST_STEPS = 1_000_000
"""Of one pickle; a checkpoint of a thousand weights needs about 25 000."""
MOST_REPEATED = 100_000_000
"""Letters and entries that a pickle may take from its memo, all together."""
MOST_TUPLE, DEEPEST_TUPLE = 1_000_000, 100
"""Entries of a tuple, and of tuples in it: a tuple of two equal tuples of two equal tuples… is hashed in full."""
LONG, MOST_LONG = 1 << 64, 100
"""Whole numbers from which on they can be chosen to have one hash, and how many of them a pickle may hold."""
PACKED = 4
"""How much larger than its file what is packed in it may be; torch packs nothing."""
ROOM = 1 << 20
"""Bytes that no limit counts, so that small files are never refused."""
LEGACY = 5
"""Pickles at the beginning of a file of torch before 1.6."""
CONTAINERS = ("collections OrderedDict", "builtins dict", "builtins list", "builtins set")
"""Classes whose objects copy what they are made of."""


class UnboundedError(ValueError):
    """A file that would need time or memory without end; the message says by what."""


class _Part(NamedTuple):
    """What lies on the stack.

    Attributes:
        size: Its letters and entries, those of its entries included.
        entries: Of a tuple and of tuples in it; a text is hashed once, so it is one entry.
        depth: Of tuples in tuples.
        grows: Whether it may grow.
        name: Its name or text.
    """

    size: int = 1
    entries: int = 1
    depth: int = 0
    grows: bool = False
    name: str = ""


_PLAIN, _GROWING, _MARK = _Part(), _Part(grows=True), _Part(name="(")
_NEW = {"EMPTY_LIST", "LIST", "EMPTY_DICT", "DICT", "EMPTY_SET"}
_FILL = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"}
_TUPLES = {"EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"}


@contextmanager
def _damaged() -> Iterator[None]:
    try:
        yield
    except (UnboundedError, UnpicklingError, OSError):
        raise
    except Exception as error:
        raise UnpicklingError(str(error) or type(error).__name__) from error


@_damaged()
def check_saved(path: Path) -> None:
    """Look through a file that ``torch.save`` wrote, now or before torch 1.6.

    Raises:
        UnboundedError: If reading it would need time or memory without end.
        UnpicklingError: If it is damaged.
    """
    if zipfile.is_zipfile(path):
        _check_archive(path)
        return
    with path.open("rb") as stream:
        for _ in range(LEGACY):
            check_pickle(stream)


@_damaged()
def check_pickle(stream: BinaryIO) -> None:
    """Look through one pickle; the stream stands behind it then.

    Raises:
        UnboundedError: If reading it would need time or memory without end.
        UnpicklingError: If it is damaged.
    """
    stack: list[_Part] = []
    memo: dict[int, _Part] = {}
    steps = repeated = shared = long = 0
    argument: Any
    for steps, (code, argument, _) in enumerate(pickletools.genops(stream), 1):
        taken = _take(stack, code)
        match code.name:
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                _refuse(argument > steps, "a place in the memo that nothing leads to")
                memo[argument] = stack[-1]
            case "MEMOIZE":
                stack += taken
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                part = memo[argument]
                repeated, shared = repeated + part.size, shared + part.grows
                stack.append(part)
            case "DUP":
                stack += taken * 2
            case "MARK":
                stack.append(_MARK)
            case name:
                stack += [_made(name, argument, taken)] * bool(code.stack_after)
        long += type(argument) is int and abs(argument) >= LONG
        _refuse(steps > MOST_STEPS, f"more than {MOST_STEPS} steps")
        _refuse(repeated > MOST_REPEATED, "the same parts again and again")
        _refuse(long > MOST_LONG, "many whole numbers of more than 64 bits")
    _refuse(shared * steps > MOST_REPEATED and shared > MOST_LONG, "the same lists again and again")


def _take(stack: list[_Part], code: Any) -> list[_Part]:
    """What a step takes from the stack: a fixed number of parts, or all above the last mark and what it fills below."""
    before = code.stack_before
    count = len(before)
    above: list[_Part] = []
    if pickletools.markobject in before or (code.name == "POP" and stack and stack[-1] is _MARK):
        while (part := stack.pop()) is not _MARK:
            above.append(part)
        count = before.index(pickletools.markobject) if pickletools.markobject in before else 0
    if count == 0:
        return above[::-1]
    below = stack[-count:]
    if len(below) < count or _MARK in below:
        raise ValueError("the stack of a pickle is empty")
    del stack[-count:]
    return below + above[::-1]


def _made(name: str, argument: Any, taken: list[_Part]) -> _Part:
    """What a step puts on the stack."""
    if name in _TUPLES:
        size, entries = 1 + sum(part.size for part in taken), 1 + sum(part.entries for part in taken)
        depth = 1 + max((part.depth for part in taken), default=0)
        _refuse(entries > MOST_TUPLE or depth > DEEPEST_TUPLE, "tuples in tuples in tuples")
        return _Part(size, entries, depth, grows=any(part.grows for part in taken))
    if name in _NEW:
        return _GROWING
    if name in _FILL or name == "BUILD":
        return taken[0]
    if name == "STACK_GLOBAL":
        return _Part(name=" ".join(part.name for part in taken))
    if name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
        return _GROWING if taken[0].name in CONTAINERS else _PLAIN
    if name in ("INST", "OBJ"):
        return _GROWING
    if isinstance(argument, str | bytes | bytearray):
        return _Part(max(1, len(argument)), name=argument if isinstance(argument, str) and len(argument) < 64 else "")
    return _PLAIN


def _check_archive(path: Path) -> None:
    import torch

    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    _refuse(unpacked > PACKED * path.stat().st_size + ROOM, f"{unpacked} bytes packed into {path.stat().st_size}")
    # By torch's own reader, which may not see the archive as Python does.
    check_pickle(io.BytesIO(torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")))


def _refuse(wrong: bool, what: str) -> None:
    if wrong:
        raise UnboundedError(what)
