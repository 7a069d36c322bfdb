"""See what styles and scrambles do to a video: writes a PNG with a row for each."""

import sys
from collections.abc import Sequence
from pathlib import Path

from static_dynamic.common.commands import Parser, command
from static_dynamic.common.errors import UserError
from static_dynamic.common.plugins import add_plugin_option, import_plugins
from static_dynamic.interventions import check_style, contact_sheet
from static_dynamic.interventions.flow_changes import flow_change
from static_dynamic.interventions.scrambles import scrambling
from static_dynamic.interventions.styles import STRONG, style
from static_dynamic.media.clip import Frames, Recipe
from static_dynamic.media.pictures import write_png

RATE = 8
"""Source frames from one column to the next."""


def parser() -> Parser:
    """The options of the command."""
    options = Parser("python -m static_dynamic.interventions", __doc__)
    options.add_argument("video", nargs="?", help="a video, a folder of frames, or 'factorial'")
    options.add_argument("--out", type=Path, default=Path("sheet.png"), help="the PNG to write (%(default)s)")
    options.add_argument("--styles", help="names or image files, with commas between; all if not given")
    options.add_argument("--frames", type=int, default=6, help="columns (%(default)s)")
    options.add_argument("--seed", type=int, default=0, help="seed of styles and scrambles (%(default)s)")
    add_plugin_option(options)
    options.add_argument("--list", action="store_true", help="name every style and scramble, and stop")
    return options


def catalogue() -> str:
    """Every style, scramble and change of flow with its summary; a star marks the defaults of a measurement."""
    styles = [
        f"  {entry.name:15}{'*' if entry.name in STRONG else ' '} {entry.summary}" for entry in style.entries.values()
    ]
    scrambles = [f"  {entry.name:16} {entry.summary}" for entry in scrambling.entries.values()]
    changes = [f"  {entry.name:16} {entry.summary}" for entry in flow_change.entries.values()]
    return "\n".join(
        ["styles (* = default of a measurement)", *styles, "scrambles", *scrambles, "changes of optical flow", *changes]
    )


def read_frames(video: str, count: int) -> Frames:
    """``count`` frames from the middle of the first video there is, in playing order."""
    from static_dynamic.sources import open_source

    source = open_source(video)
    clip = source.read(source.videos[0], recipe=Recipe(frames=count, rate=RATE, crop=240))
    return clip.frames[clip.sample.pathways[0]]


def run(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Raises:
        UserError: For any slip in it.
    """
    options = parser().parse_args(arguments)
    import_plugins(options.plugin)
    if options.list:
        print(catalogue())
        return
    if options.video is None:
        raise UserError("Which video? Give a file, a folder of frames, or 'factorial'.")
    styles = None if options.styles is None else [name.strip() for name in options.styles.split(",")]
    for name in styles or []:
        check_style(name)
    write_png(contact_sheet(read_frames(options.video, options.frames), styles, seed=options.seed), options.out)
    print(options.out)


if __name__ == "__main__":
    sys.exit(command(run))
