"""A small picture of every built-in style, for the documentation."""

from io import BytesIO
from pathlib import Path

from static_dynamic.common.files import refuse_existing, write_bytes
from static_dynamic.interventions import list_styles, restyle
from static_dynamic.media.clip import ORIGINAL, Frames
from static_dynamic.stylize.auditing.cases import FRAMES, SHORT_SIDE
from static_dynamic.stylize.auditing.scenery import scenery
from static_dynamic.stylize.rendering.films import only_film

HEIGHT = 144
"""Height of a picture, pixels."""
COLOURS = 96
"""Number of colours, which keeps grain visible and a PNG small."""


def draw_gallery(folder: str | Path, video: str | Path | None = None) -> list[Path]:
    """Draw the middle frame of a video, or a painted view, as it is and in every built-in style: ``<style>.png``.

    Raises:
        UserError: If the video cannot be read, a picture exists already, or the folder cannot be written.
    """
    paths = {style: Path(folder) / f"{style}.png" for style in (ORIGINAL, *list_styles())}
    refuse_existing(*paths.values())
    clip = scenery()[None] if video is None else _middle(video)
    for style, path in paths.items():
        write_bytes(path, _small(restyle(clip, style)[0]))
    return list(paths.values())


def _middle(video: str | Path) -> Frames:
    """A few frames from the middle of a video."""
    film = only_film(Path(video), SHORT_SIDE)
    return film.pick(range(film.count // 2, min(film.count // 2 + FRAMES, film.count)))


def _small(frame: Frames) -> bytes:
    from PIL import Image

    width = round(frame.shape[1] * HEIGHT / frame.shape[0])
    image = Image.fromarray(frame).resize((width, HEIGHT), Image.Resampling.LANCZOS)
    stream = BytesIO()
    image.quantize(COLOURS).save(stream, "png", optimize=True)
    return stream.getvalue()
