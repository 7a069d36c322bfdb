"""The records of the videos of a result: notes on them, and where they are on disk.

They are in the result's ``run.json`` or, where there are many, in a file of their own, one a line.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import remove, write_atomically
from static_dynamic.shards import Record

RECORDS = "videos.jsonl"
"""One record a line, as JSON."""
MANY = 10_000
"""Records that ``run.json`` holds at most: beyond that it would be too large to be read at once."""
LONGEST = 2**22
"""Characters of a line."""
LISTED = 50
"""Largest number of unreadable videos that notes name."""
UNEVEN = 1.5
"""Ratio of the longest to the shortest time that clips span above which a result warns."""


def skipped(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for every video that could not be read, or judged; of many, for the first ones and for their number."""
    unread = [f"Skipped {record['video']}: {record['problem']}" for record in records if record["problem"]]
    unjudged = [f"Not judged {record['video']}: {record['unjudged']}" for record in records if "unjudged" in record]
    return [*_first(unread, "Skipped"), *_first(unjudged, "Not judged:")]


def _first(lines: list[str], what: str) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - LISTED
    return lines if more <= 0 else [*lines[:LISTED], f"{what} {more} more videos: 'videos' of the manifest lists them."]


def spans(records: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Shortest, median and longest time that a clip shows of its video, seconds; ``None`` where no rate is known."""
    seconds = [record["seconds"] for record in records if record.get("seconds")]
    return {"min": min(seconds), "median": median(seconds), "max": max(seconds)} if seconds else None


def uneven(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A warning where clips span different times, as one recipe does at different frame rates."""
    seen = spans(records)
    if seen is None or seen["max"] <= UNEVEN * seen["min"]:
        return []
    rates = sorted({record["fps"] for record in records if record.get("seconds")})
    span = f"Clips span {seen['min']:.1f} to {seen['max']:.1f} s of their videos"
    if len(rates) == 1:
        return [f"{span}: some videos are shorter than a clip, and loop."]
    return [
        f"{span}, at {rates[0]:.3g} to {rates[-1]:.3g} frames per second. A target rate makes them equal, "
        f"e.g. `fps={rates[0]:g}`."
    ]


def write_records(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write the records of a manifest to a file of their own, if there are many; the manifest without them.

    Raises:
        UserError: If the folder cannot be written.
    """
    records = manifest.get("videos") or ()
    if len(records) <= MANY:
        remove(folder / RECORDS)  # that of an earlier result
        return dict(manifest)
    write_atomically(folder / RECORDS, lambda path: _write(path, records))
    return {name: value for name, value in manifest.items() if name != "videos"}


def read_records(folder: Path) -> dict[str, list[Record]]:
    """The entry ``videos`` of a manifest, from the file of its own; empty if that is missing.

    Raises:
        UserError: If a line cannot be read.
    """
    path = folder / RECORDS
    return {"videos": list(_read(path))} if path.exists() else {}


def _write(path: Path, records: Iterable[Record]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, default=str) + "\n" for record in records)


def _read(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST), ""), start=1):
            record = json.loads(line)
            if not isinstance(record, dict):
                raise UserError(f"{path}, line {number}: it must hold an object. Got {line[:40].rstrip()}.")
            yield record
