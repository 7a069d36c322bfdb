"""``generate``: a clip in a learned style."""

import sys
from pathlib import Path
from typing import Literal

from static_dynamic.common.plugins import Plugins, import_plugins
from static_dynamic.common.progress import progress_bar


def generate(
    style: Path,
    clip: Path,
    /,
    *,
    out: Path,
    format: str = "png",
    size: int | None = None,
    smooth: Literal["none", "input", "output", "both"] = "none",
    radius: int = 7,
    sigma: float = 255 / 16,
    device: str = "auto",
    plugin: Plugins = (),
) -> None:
    """Give one clip a learned style.

    Args:
        style: A learned style: .safetensors, or a published .pth.
        clip: A video file, or a folder of frames.
        out: A folder for frames, or a .mp4 file.
        format: Format of the frames: png or jpg.
        size: Reduce larger frames to this short side first, pixels.
        smooth: What to smooth along the motion, against flicker.
        radius: Frames on either side to smooth over.
        sigma: Largest difference of their colours, levels.
        device: auto, cpu, cuda, ….
        plugin: Your module to import first; may be repeated.
    """
    import_plugins(plugin)
    from static_dynamic.program.painting import Smoothing, of_another_size, painted, target
    from static_dynamic.stylize.networks.learned import load_style
    from static_dynamic.stylize.rendering.films import only_film

    film = only_film(clip, size)
    place = target(out, format, film)
    learned = load_style(style, device)
    frames = painted(learned, film, Smoothing(smooth, radius, sigma))
    if note := of_another_size(learned, film):
        print(f"note: {note}", file=sys.stderr)
    count = 0
    with place as write, progress_bar("frames") as show:
        for count, frame in enumerate(frames, 1):
            write(frame)
            show(count, film.count, film.name)
    print(f"{out}: {count} frames.")
