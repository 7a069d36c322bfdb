"""``sheet``: the effect of styles and scrambles on a video."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from static_dynamic.common.errors import UserError
from static_dynamic.common.plugins import Plugins, import_plugins
from static_dynamic.program.values import listed

if TYPE_CHECKING:
    from static_dynamic.media.clip import Frames

RATE = 8
"""Source frames from one column to the next."""


def sheet(
    video: str | None = None,
    /,
    *,
    out: Path = Path("sheet.png"),
    styles: str | None = None,
    frames: int = 6,
    seed: int = 0,
    plugin: Plugins = (),
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
) -> None:
    """Draw the effect of styles and scrambles on a video, as a PNG with a row for each.

    Args:
        video: A video, a folder of frames, or 'factorial'.
        out: The PNG to write.
        styles: Names or image files, separated by commas. By default all.
        frames: Columns.
        seed: Seed of styles and scrambles.
        plugin: Your module to import first, which registers styles or scrambles; may be repeated.
        list_: List every style and scramble, and stop.
    """
    import_plugins(plugin)
    from static_dynamic.interventions import check_style, contact_sheet
    from static_dynamic.media.pictures import write_png

    if list_:
        print(catalogue())
        return
    if video is None:
        raise UserError("A video is required: a file, a folder of frames, or 'factorial'.")
    names = listed(styles)
    for name in names or []:
        check_style(name)
    write_png(contact_sheet(read_frames(video, frames), names, seed=seed), out)
    print(out)


def catalogue() -> str:
    """Every style, scramble and change of flow with its summary; a star marks the defaults of a measurement."""
    from static_dynamic.interventions.flow_changes import flow_change
    from static_dynamic.interventions.scrambles import scrambling
    from static_dynamic.interventions.styles import STRONG, style

    styles = [
        f"  {entry.name:15}{'*' if entry.name in STRONG else ' '} {entry.summary}" for entry in style.entries.values()
    ]
    scrambles = [f"  {entry.name:16} {entry.summary}" for entry in scrambling.entries.values()]
    changes = [f"  {entry.name:16} {entry.summary}" for entry in flow_change.entries.values()]
    return "\n".join(
        ["styles (* = default of a measurement)", *styles, "scrambles", *scrambles, "changes of optical flow", *changes]
    )


def read_frames(video: str, count: int) -> "Frames":
    """``count`` frames from the middle of the first video, in playing order."""
    from static_dynamic.media.clip import Recipe
    from static_dynamic.sources import open_source

    source = open_source(video)
    clip = source.read(source.videos[0], recipe=Recipe(frames=count, rate=RATE, crop=240))
    return clip.frames[clip.sample.pathways[0]]
