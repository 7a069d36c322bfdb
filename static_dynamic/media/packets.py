"""The packets of a video file: whether they are all there, when they are shown, and which of them a clip needs."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av

from static_dynamic.common.deadlines import Deadline
from static_dynamic.common.errors import BadClip
from static_dynamic.media.bitstreams import Coded, reader
from static_dynamic.media.containers import breaks_off

READ = 0.9
"""Share of a file after which other data than frames may follow, such as an index."""
FREE = ("h264", "hevc")
"""Codecs that let frames be shown in any order."""
TIMED = {"mov", "matroska", "flv", "mpegts"}
"""Containers that store when frames are shown, not only when they are decoded."""
CHANGES = ("new_extradata", "param_change", "palette")
"""Data next to a packet that hold for later packets, too."""

Place = tuple[int | None, int | None, int]
"""What tells a packet from others: when it is shown, where it lies in the file, and its size."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of the video.

    Attributes:
        pts: When it is shown, in units of the stream's time base; ``None`` where the file does not say.
        dts: When it is decoded, likewise.
        place: See ``Place``.
        hidden: Whether an edit list hides it.
        coded: What it tells.
        enters: Whether decoding can begin at it: it says again whatever held until here.
    """

    pts: int | None
    dts: int | None
    place: Place
    hidden: bool
    coded: Coded
    enters: bool

    @property
    def shown(self) -> bool:
        """Whether a frame of it is shown, as far as it tells."""
        return not self.hidden and self.coded.shows != 0


@dataclass(frozen=True)
class Stretch:
    """Consecutive packets that are decoded by themselves.

    Attributes:
        first: Number of the first packet.
        last: Number of the last.
        needed: Numbers of those between that are decoded.
    """

    first: int
    last: int
    needed: Collection[int]


@dataclass(frozen=True)
class Packets:
    """All packets of the video, in the order in which they are decoded.

    Attributes:
        rows: The packets.
        free: Whether the codec lets frames be shown in any order.
        timed: Whether the container stores when each is shown.
        steady: Whether no packet comes with data that change the decoder.
    """

    rows: Sequence[Packet]
    free: bool
    timed: bool
    steady: bool

    @cached_property
    def times(self) -> list[int]:
        """When frames are shown, ascending, as far as packets tell."""
        return sorted(packet.pts for packet in self.rows if packet.shown and packet.pts is not None)

    @cached_property
    def plain(self) -> bool:
        """Whether it is certain, without decoding, which frames there are: one of every packet that is shown."""
        times = [packet.pts for packet in self.rows if packet.coded.shows]
        return (
            self.steady
            and len(self.times) > 1
            and len({*times}) == len(times)
            and all(packet.coded.shows is not None for packet in self.rows)
            and self.rows[0].enters
            and all(_at_most(self.rows[0].pts, time) for time in times)
            and self._in_order()
        )

    def _in_order(self) -> bool:
        """Whether times can be those at which a decoder shows the frames; some containers only let them be guessed."""
        if self.free:
            guessed = _ascending(self.rows) and any(packet.coded.spare for packet in self.rows)
            return self.timed and not guessed
        shown, held = list[Packet](), list[Packet]()
        for packet in self.rows:  # what no other needs is shown at once, and the others when the next of them comes
            if packet.coded.spare:
                shown.append(packet)
            else:
                shown += held
                held = [packet]
        return _ascending([*shown, *held])

    def stretches(self, wanted: Sequence[int]) -> list[Stretch]:
        """The packets to decode for the frames with these numbers, if the packets are `plain`.

        Each stretch begins at the last packet before a wanted frame at which decoding can begin. Packets that are shown
        before it, and those that no other needs, are left out.
        """
        times = {self.times[number] for number in wanted}
        highest = max(packet.coded.level for packet in self.rows)
        ends = [number for number, packet in enumerate(self.rows) if packet.shown and packet.pts in times]
        spans = list[tuple[int, int]]()
        for end in ends:
            first = self._entry(end)
            while spans and first <= spans[-1][1]:
                first = min(first, spans.pop()[0])
            spans.append((first, end))
        return [Stretch(*span, self._needed(*span, times, highest)) for span in spans]

    @cached_property
    def _entries(self) -> list[int]:
        return [number for number, packet in enumerate(self.rows) if packet.enters]

    def _entry(self, number: int) -> int:
        """The last packet up to this one at which decoding can begin for it."""
        pts, before = self.rows[number].pts, self._entries[: bisect_right(self._entries, number)]
        return next(entry for entry in reversed(before) if _at_most(self.rows[entry].pts, pts))

    def _needed(self, first: int, last: int, times: Collection[int | None], highest: int) -> list[int]:
        """Those of a stretch that are decoded."""
        begin = self.rows[first].pts
        return [
            number
            for number in range(first, last + 1)
            for packet in (self.rows[number],)
            if _at_most(begin, packet.pts) or not packet.coded.shows
            if packet.pts in times or not (packet.coded.spare and packet.coded.level == highest)
        ]


def _at_most(a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and a <= b


def _ascending(rows: Sequence[Packet]) -> bool:
    times = [packet.pts for packet in rows if packet.coded.shows]
    return all(_at_most(a, b) for a, b in pairwise(times))


def place_of(packet: Any) -> Place:
    """What tells a packet of libav from the others."""
    return packet.pts, packet.pos, packet.size


def read_packets(container: Any, stream: Any, path: Path, deadline: Deadline) -> Packets:
    """All packets of an open file; none is decoded.

    Raises:
        BadClip: If packets are missing, see `_is_whole`, one is not whole, or it takes too long.
    """
    rows, ends, last = list[Packet](), dict[int, int](), 0
    read, steady, held = reader(stream.codec_context), True, set[bytes]()
    given = bytes(stream.codec_context.extradata or b"")
    try:
        for packet in container.demux():
            deadline.check()
            index = packet.stream.index
            ends[index] = max(ends.get(index, 0), _end(packet))
            last = max(last, (packet.pos or 0) + packet.size)
            if packet.size and index == stream.index:
                if packet.is_corrupt:
                    raise broken(path, len(rows))
                coded = read(bytes(packet))
                enters = coded.starts and held <= coded.headers
                rows.append(Packet(packet.pts, packet.dts, place_of(packet), packet.is_discard, coded, enters))
                held |= {header for header in coded.headers if header not in given}
                steady = steady and not any(data.data_type in CHANGES for data in packet.iter_sidedata())
    except av.FFmpegError as error:
        raise broken(path, len(rows)) from error
    end = max((float(end * container.streams[index].time_base) for index, end in ends.items() if end), default=0.0)
    if not _is_whole(path, container, stream.frames, len(rows), end, last):
        raise broken(path, len(rows))
    free = stream.codec_context.codec.canonical_name in FREE
    return Packets(rows, free, timed=bool(TIMED & {*container.format.name.split(",")}), steady=steady)


def again(container: Any, stream: Any, packets: Packets, first: int) -> Iterator[tuple[int, Any]]:
    """The packets from a number on once more, with their numbers, as long as they are the same."""
    numbers = {packet.place: number for number, packet in enumerate(packets.rows)}
    for number in (first, 0):  # where seeking ends too late, everything is read again
        row = packets.rows[number]
        container.seek(min(time for time in (row.pts, row.dts) if time is not None), stream=stream)
        if found := _from(container.demux(stream), numbers, first):
            for number, packet in enumerate(found, first):
                if number != numbers.get(place_of(packet)):
                    return
                yield number, packet
            return


def _from(demuxed: Iterator[Any], numbers: Mapping[Place, int], first: int) -> Iterator[Any] | None:
    """A packet and those after it, unless seeking went beyond it; the first ones may have no beginning."""
    for packet in demuxed:
        number = numbers.get(place_of(packet)) if packet.size else len(numbers)
        if number is not None and number >= first:
            return chain([packet], demuxed) if number == first else None
    return None


def broken(path: Path, count: int) -> BadClip:
    """The error for a file of which only so many frames are whole."""
    return BadClip(f"{path}: damaged or truncated after {count} frames.")


def _end(packet: Any) -> int:
    """Until when a packet is shown or heard, in units of its time base; 0 where it does not say."""
    time = packet.dts if packet.pts is None else packet.pts
    return 0 if time is None else int(time + (packet.duration or 0))


def _is_whole(path: Path, container: Any, told: int, count: int, end: float, last: int) -> bool:
    """Whether all packets were there: more in a header proves nothing, unless bytes are missing or unread too.

    Args:
        path: The file.
        container: The same, open.
        told: Frames that its header tells, or 0.
        count: Packets of the video.
        end: Until when the packets of all streams last, seconds.
        last: Where in the file the last of them ends.
    """
    if breaks_off(path):
        return 0 < told <= count
    promised = float(container.duration or 0) / av.time_base
    return end >= READ * promised or last >= READ * path.stat().st_size
