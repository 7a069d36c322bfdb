"""Videos → folders of frames, ``<id>/000001.jpg`` …, as the published data sets have them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from PIL import Image

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.files import make_folder, plain_errors, whole, write_text
from static_dynamic.common.processes import in_processes
from static_dynamic.common.progress import tracked
from static_dynamic.common.runs import Kind, open_run
from static_dynamic.media.decoding import decoded_frames, picture
from static_dynamic.sources.video_files import EXTENSIONS, video_paths
from static_dynamic.sources.walk import name_below

FRAMES = Kind("set of frames", ".extraction.json", ("[!.]*/",), adopts=True)
BAD = "bad_videos.txt"
QUALITY = 95
Job = tuple[Path, Path]  # video, and folder of its frames
Step = TypeVar("Step")


@dataclass(frozen=True)
class Extraction:
    """How frames are taken out of videos.

    Attributes:
        height: Height of the frames, pixels; 0 keeps the original height.
        seconds: Length from the start; ``None`` is all.
    """

    height: int = 256
    seconds: float | None = None


@dataclass(frozen=True)
class Extracted:
    """The result for the videos: how many have frames, and why the others do not."""

    done: int
    bad: Mapping[str, str]


def extract(videos: Path, frames: Path, extraction: Extraction, workers: int = 0) -> Extracted:
    """Every video below a folder → a folder of frames; existing ones are kept.

    A video is named by its path below the folder, without its extension. Its folder is whole or absent. An
    unreadable video is skipped and named in ``bad_videos.txt``; the next call tries it again.

    Args:
        videos: A folder, or one file.
        frames: Folder to write to.
        extraction: Size and length of the frames.
        workers: Processes in addition to this one; with 0, this one does the work.

    Raises:
        UserError: If videos are missing, two have one name, the folder was started with other settings, or cannot be
            written.
    """
    paths = _named(videos)
    jobs = {name: (path, frames / name) for name, path in paths.items() if not (frames / name).exists()}
    with open_run(frames, FRAMES, asdict(extraction), within={folder.parent for _, folder in jobs.values()}):
        tried = in_processes(partial(_tried, extraction=extraction), list(jobs.values()), workers)
        complaints = dict(tracked(tried, "videos", len(jobs)))
        bad = {name: complaints[job] for name, job in jobs.items() if complaints[job]}
        write_text(frames / BAD, "".join(f"{complaint}\n" for complaint in bad.values()))
    return Extracted(len(paths) - len(bad), bad)


def extract_one(video: Path, folder: Path, extraction: Extraction) -> int:
    """One video → one folder, whole or absent; the number of frames.

    Raises:
        BadClip: If it cannot be decoded, or breaks off early.
    """
    count = 0
    with whole(folder) as place:
        make_folder(place)
        for count, image in enumerate(images(video, extraction), 1):
            with plain_errors(folder):
                image.save(place / f"{count:06d}.jpg", quality=QUALITY)
    return count


def images(path: Path, extraction: Extraction) -> Iterator[Image.Image]:
    """The frames of a video file in turn, upright and of the requested height.

    Raises:
        BadClip: If it cannot be decoded, or breaks off early.
    """
    start = None
    for moment, frame in decoded_frames(path):
        start = moment if start is None else start
        if extraction.seconds is not None and moment - start >= extraction.seconds:
            return
        yield _resized(Image.fromarray(picture(frame)), extraction)


def _resized(image: Image.Image, extraction: Extraction) -> Image.Image:
    if extraction.height in (0, image.height):
        return image
    width = max(1, round(image.width * extraction.height / image.height))
    return image.resize((width, extraction.height), Image.Resampling.BICUBIC)


def _tried(job: Job, extraction: Extraction) -> str:
    """The reason why a video is unreadable, or empty if its frames are written."""
    try:
        extract_one(*job, extraction)
    except BadClip as error:
        return str(error)
    return ""


def _named(videos: Path) -> dict[str, Path]:
    """Name → video file."""
    root = videos.parent if videos.is_file() else videos
    named: dict[str, Path] = {}
    for path in video_paths(videos):
        name = str(PurePosixPath(name_below(path, root)).with_suffix(""))
        if name in named:
            raise UserError(f"{named[name]} and {path} would both become {name}/: rename one of them.")
        named[name] = path
    if not named:
        raise UserError(f"{videos} does not contain a video. Videos are files that end in {' '.join(EXTENSIONS)}.")
    return named
