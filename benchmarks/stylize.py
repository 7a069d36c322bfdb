"""How many frames a second are restyled, compared with decoding and writing.

    python -m benchmarks.stylize clip.mp4

frames_per_s   the style is fitted once to the clip, then paints every frame: what `stylize render` does, on one core
fit_s          that fit, seconds, once per clip
naive          the same style called on one frame after the other: `restyle(frame[None], style)`, which counts the
               frame and draws new paper, dots and brushes every time (and flickers)
ratio          frames_per_s / naive

`decode` plays the clip and resizes it; `write` writes its frames unchanged; `learned` is a learned style of the
published size (random weights, which do not affect speed). `render` is the whole process from files to JPEGs in
two processes, their start left out; its rate counts painted frames, so that 16 styles of one frame are 16.
"""

import argparse
import platform
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import cv2
import numpy as np
import pandas as pd
import torch

from static_dynamic.interventions import list_styles, restyle
from static_dynamic.interventions.census import Census
from static_dynamic.media.clip import Frames
from static_dynamic.media.writing import image_folder, video_file
from static_dynamic.stylize.learning.learn import PRESETS
from static_dynamic.stylize.networks.learned import paint
from static_dynamic.stylize.networks.network import Generator
from static_dynamic.stylize.rendering.films import Film, find_films
from static_dynamic.stylize.rendering.looks import fit_look
from static_dynamic.stylize.rendering.render import render
from static_dynamic.stylize.rendering.settings import Settings

SIZES = (256, 480)
FRAMES = 24
SLOW_FRAMES = 4
"""Frames for slow steps."""
WORKERS = 2
VIDEOS = (2, 8)
"""Numbers of videos that are rendered; both include the start of the processes, so their difference does not."""
RENDERED = {"solarise": ("solarise",), "watercolour": ("watercolour",), "all styles": tuple(list_styles())}


class Start(Film):
    """The first frames of a film."""

    def __init__(self, film: Film, count: int = FRAMES) -> None:
        super().__init__(film.name, film.source, film.short_side)
        object.__setattr__(self, "film", film)
        object.__setattr__(self, "length", count)

    @property
    def rate(self) -> Fraction:
        """The frame rate of the film."""
        return self.film.rate

    def _frames(self) -> Iterator[Frames]:
        return islice(self.film, self.length)


def seconds(work: Callable[..., object], *arguments: object) -> float:
    """The time of a call."""
    start = perf_counter()
    work(*arguments)
    return perf_counter() - start


def per_frame(paint: Callable[[Frames], object], frames: Iterable[Frames]) -> float:
    """Median time of a frame."""
    return median(seconds(paint, frame) for frame in frames)


def style_row(style: str, frames: Frames) -> dict[str, object]:
    """One style, fitted once and called naively."""
    start = perf_counter()
    brush = fit_look(style, Census(frames), 0)
    fit = perf_counter() - start
    brush(frames[0])  # warm up
    fitted = per_frame(brush, frames)
    naive = per_frame(lambda frame: restyle(frame[None], style), frames[:SLOW_FRAMES])
    return {"step": style, "fitted": 1 / fitted, "fit_s": fit, "naive": 1 / naive, "ratio": naive / fitted}


def write(frames: Frames, kind: str, folder: Path) -> None:
    """All frames, as images or as a video."""
    target = folder / kind
    writer = video_file(target, Fraction(25)) if kind == "mp4" else image_folder(target, lambda n: f"{n:05d}.{kind}")
    with writer as add:
        for frame in frames:
            add(frame)


def size_rows(video: Path, size: int) -> Iterator[dict[str, object]]:
    """Every step at one size."""
    film = Start(find_films(video, size)[0])
    yield {"step": "decode", "fitted": FRAMES / median(seconds(list, film) for _ in range(3))}
    frames = np.stack(list(film))
    with TemporaryDirectory() as folder:
        for kind in ("jpg", "png", "mp4"):
            yield {"step": f"write {kind}", "fitted": FRAMES / seconds(write, frames, kind, Path(folder))}
        for style in list_styles():
            yield style_row(style, frames)
        network = Generator(PRESETS["P"].architecture).eval()
        yield {"step": "learned", "fitted": 1 / per_frame(lambda frame: paint(network, frame), frames[:SLOW_FRAMES])}
        for name, styles in RENDERED.items():
            few, many = (render_time(video, count, Path(folder), Settings(styles, short_side=size)) for count in VIDEOS)
            painted = FRAMES * len(styles) * (VIDEOS[1] - VIDEOS[0])
            yield {"step": f"render {name}", "fitted": painted / (many - few)}


def render_time(video: Path, count: int, folder: Path, settings: Settings) -> float:
    """The time to render the start of a video ``count`` times."""
    name = f"{count} {settings.looks[0]} {len(settings.looks)}"
    film = Start(find_films(video)[0])
    for number in range(count):
        with video_file(folder / name / f"{number}.mp4", film.rate) as add:
            for frame in film:
                add(frame)
    return seconds(render, folder / name, folder / f"{name} out", settings, WORKERS)


def main() -> None:
    """Run, print and save the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("video", type=Path)
    video = options.parse_args().video
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rows = [{"short_side": size} | row for size in SIZES for row in size_rows(video, size)]
    machine = f"{platform.machine()}, 1 thread a process, OpenCV {cv2.__version__}"
    table = pd.DataFrame(rows).rename(columns={"fitted": "frames_per_s"}).assign(machine=machine)
    table.round(3).to_csv(Path(__file__).parent / "stylize.csv", index=False)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
