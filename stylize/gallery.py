"""A small picture of every built-in style, for the documents."""

from functools import partial
from io import BytesIO
from pathlib import Path

from static_dynamic.clip import ORIGINAL, Frames
from static_dynamic.files import write_atomically
from static_dynamic.interventions import list_styles
from stylize.cases import made_cases

HEIGHT = 144
"""Of a picture, pixels."""
COLOURS = 96
"""So many keep grain visible and a PNG small."""


def draw_gallery(video: str | Path, folder: str | Path) -> list[Path]:
    """Draw the middle frame of a video as filmed and in every built-in style: ``<style>.png``.

    Raises:
        UserError: If the video cannot be read, or the folder not be written.
    """
    filmed, copies = made_cases(video, list_styles())[0].clips()
    paths = []
    for style, frames in {ORIGINAL: filmed, **copies}.items():
        paths.append(Path(folder) / f"{style}.png")
        write_atomically(paths[-1], partial(Path.write_bytes, data=_small(frames[len(frames) // 2])))
    return paths


def _small(frame: Frames) -> bytes:
    from PIL import Image

    width = round(frame.shape[1] * HEIGHT / frame.shape[0])
    image = Image.fromarray(frame).resize((width, HEIGHT), Image.Resampling.LANCZOS)
    stream = BytesIO()
    image.quantize(COLOURS).save(stream, "png", optimize=True)
    return stream.getvalue()
