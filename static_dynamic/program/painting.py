"""Paint the frames of a clip in a learned style."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from static_dynamic.common.compute import prefetch
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import refuse_existing
from static_dynamic.media.clip import Frames
from static_dynamic.media.images import EXTENSIONS as IMAGES
from static_dynamic.media.writing import QUALITY, Write, image_folder, video_file
from static_dynamic.sources.video_files import EXTENSIONS as VIDEOS
from static_dynamic.stylize.learning.smoothing import smooth
from static_dynamic.stylize.networks.learned import LearnedStyle
from static_dynamic.stylize.rendering.films import Film
from static_dynamic.stylize.rendering.layouts import VIDEO

STYLE = ".safetensors"


class Smoothing(NamedTuple):
    """Smoothing along the motion: of the input, the output or both; frames on either side; levels of colour."""

    where: str
    radius: int
    sigma: float


def painted(style: LearnedStyle, film: Film, smoothing: Smoothing) -> Iterable[Frames]:
    """The frames of a film in a style, smoothed according to the options."""
    before, after = smoothing.where in ("input", "both"), smoothing.where in ("output", "both")
    frames = smooth(film, None, smoothing.radius, smoothing.sigma) if before else film
    done = prefetch(style, frames, workers=1)
    return smooth(done, film, smoothing.radius, smoothing.sigma) if after else done


def of_another_size(style: LearnedStyle, film: Film) -> str | None:
    """A note if the size of the frames is not that at which the style was learned, if that is known."""
    learned = min(style.facts.get("height", 0), style.facts.get("width", 0))
    short_side = min(film.shape[1:3])
    if learned in (0, short_side):
        return None
    hint = f". Use --size {learned} to match it" if short_side > learned else ""
    return f"the style was learned at a short side of {learned} pixels, but these frames have {short_side}{hint}."


def target(out: Path, format: str, film: Film) -> AbstractContextManager[Write]:
    """A writer for the frames."""
    suffix = f".{format}"
    refuse_existing(out)
    if out.suffix == f".{VIDEO}":
        return video_file(out, film.rate)
    if suffix not in QUALITY or out.suffix.lower() in (*IMAGES, *VIDEOS, STYLE):
        raise UserError(
            f"Frames must be written to a folder, as png or jpg, or to a .{VIDEO} file. Got {out}, {suffix[1:]}."
        )
    return image_folder(out, lambda number: f"{film.stem(number)}{suffix}")
