"""``stylize``: a stylized data set."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from static_dynamic.common.plugins import Plugins, import_plugins
from static_dynamic.common.progress import progress_bar
from static_dynamic.program.values import Layout, Rate, frame_rate

if TYPE_CHECKING:
    from static_dynamic.stylize.rendering.settings import Settings


def stylize(
    videos: Path,
    /,
    *,
    out: Path,
    styles: str,
    layout: Layout = "folders",
    format: Literal["jpg", "png", "mp4"] = "jpg",
    size: int | None = None,
    fps: Rate = None,
    seed: int = 0,
    workers: int = 2,
    plugin: Plugins = (),
) -> None:
    """Render every video in every style, as a data set in a published layout. The same command resumes a stopped run.

    For example:
        static-dynamic stylize clips/ --out styled/ --styles original,ink,neon

    Args:
        videos: Video files, frame folders, or a data set in the layout of DAVIS.
        out: Folder of the data set.
        styles: Names, images, learned styles or globs, separated by commas; also 'original'.
        layout: Layout of the data set.
        format: Format of the clips; png and mp4 require the layout folders.
        size: Reduce larger frames to this short side, pixels.
        fps: Frames per second, e.g. 5 or 30000/1001. By default every frame.
        seed: Seed of the grain of every style.
        workers: Processes.
        plugin: Your module to import first, which registers styles; may be repeated.
    """
    rate = frame_rate(fps)
    import_plugins(plugin)
    from static_dynamic.stylize.rendering.looks import parse_looks
    from static_dynamic.stylize.rendering.render import render
    from static_dynamic.stylize.rendering.settings import Settings

    settings = Settings(parse_looks(styles), layout, format, size, rate, seed)
    with progress_bar("clips") as on_clips:
        report = render(videos, out, settings, workers, on_clips)
    print(f"{report.written} clips written to {out}, {report.kept} existed already.")
    for problem in report.problems.values():
        print(f"left out: {problem}")
    for note in _notes(settings):
        print(f"note: {note}", file=sys.stderr)


def _notes(settings: "Settings") -> Iterator[str]:
    """Notes on files that readers of the layout require in addition to the frames."""
    for name in settings.layout.annotations:
        yield f"annotations are not written. Put {name} next to the styles."
        if (fps := settings.layout.fps) not in (None, settings.fps):
            yield f"the times in {name} are for {fps:g} frames per second: use --fps {fps:g}."
