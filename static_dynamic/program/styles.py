"""``styles``: the built-in styles."""

from pathlib import Path

from static_dynamic.common.errors import UserError
from static_dynamic.common.plugins import Plugins, import_plugins


def styles(*, pictures: Path | None = None, video: Path | None = None, plugin: Plugins = ()) -> None:
    """List the built-in styles, one per line, or draw them.

    Args:
        pictures: Folder for a small picture of each.
        video: Draw a frame of this video. By default a painted scene.
        plugin: Your module to import first, which registers styles; may be repeated.
    """
    import_plugins(plugin)
    from static_dynamic.interventions import STRONG
    from static_dynamic.interventions.styles import style
    from static_dynamic.stylize.auditing.gallery import draw_gallery

    if video and not pictures:
        raise UserError("The option --video requires --pictures DIR, the folder for the pictures.")
    if pictures:
        print(*draw_gallery(pictures, video), sep="\n")
        return
    for entry in style.entries.values():
        print(f"{entry.name:15}{'*' if entry.name in STRONG else ' '} {entry.summary}")
    print("* is a default of a measurement. An image (.jpg, .png) or a learned style (.safetensors) is also a style.")
