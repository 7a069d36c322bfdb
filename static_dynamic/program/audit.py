"""``audit``: the effect of styles on videos."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from static_dynamic.common.errors import UserError
from static_dynamic.common.plugins import Plugins, import_plugins
from static_dynamic.common.progress import progress_bar
from static_dynamic.program.values import Layout, Rate, frame_rate

if TYPE_CHECKING:
    from static_dynamic.stylize.auditing.cases import Case


def audit(
    original: Path,
    stylized: Path | None = None,
    /,
    *,
    out: Path,
    styles: str | None = None,
    layout: Layout | None = None,
    fps: Rate = None,
    frames: int = 16,
    max_videos: int | None = None,
    seed: int | None = None,
    workers: int = 2,
    plugin: Plugins = (),
) -> None:
    """Measure how well styles keep the motion of videos, and how much they change appearance.

    Args:
        original: The original videos, as for stylize.
        stylized: A rendered data set. Without it, copies are rendered.
        out: Folder for tables, pictures and page.
        styles: Styles of the rendered copies, as for stylize. By default all built-in ones.
        layout: Layout of a data set that stylize did not render, as for stylize.
        fps: Frames per second of such a data set. By default those of the videos.
        frames: Frames per video that are used.
        max_videos: Use at most this many videos, the first ones.
        seed: Seed of the rendered copies. By default 0.
        workers: Processes.
        plugin: Your module to import first, which registers styles; may be repeated.
    """
    least = {"frames": (frames, 2), "workers": (workers, 0), "max-videos": (max_videos, 1), "seed": (seed, 0)}
    for name, (given, value) in least.items():
        if given is not None and given < value:
            raise UserError(f"The --{name} of an audit must be {value} or more. Got {given}.")
    rate = frame_rate(fps)
    import_plugins(plugin)
    from static_dynamic.common.files import refuse_existing
    from static_dynamic.common.runs import alone_in
    from static_dynamic.stylize.auditing.audit import audit as judge
    from static_dynamic.stylize.auditing.audit_report import files_of, liveliest, save_audit
    from static_dynamic.stylize.auditing.cases import made_cases
    from static_dynamic.stylize.auditing.rendered import rendered_cases
    from static_dynamic.stylize.rendering.looks import parse_looks
    from static_dynamic.stylize.rendering.settings import NOTE

    refuse_existing(*files_of(out))
    if stylized is not None and out.resolve().is_relative_to(stylized.resolve()):
        raise UserError(f"The audit must not be inside the data set. Got --out {out} for {stylized}.")
    cases: Sequence[Case]
    if stylized is None:
        _refuse("require a rendered data set, but none is given", layout=layout, fps=fps)
        cases = made_cases(original, parse_looks(styles or "*"), frames, seed or 0)
    else:
        _refuse("apply only to copies that are rendered, but a data set is given", styles=styles, seed=seed)
        if (stylized / NOTE).exists():
            _refuse(f"apply only to other data sets, but {stylized} has a {NOTE}", layout=layout, fps=fps)
        cases = rendered_cases(original, stylized, layout, frames, rate)
    cases = cases[:max_videos]
    with alone_in(out), progress_bar("videos") as on_video:
        found = judge(cases, workers, on_video)
        paths = save_audit(found, liveliest(found, cases), out)
    print(found.styles.round(2).to_string(index=False, na_rep="-"))
    for line in found.left_out():
        print(f"left out: {line}")
    for path in paths:
        print(path)


def _refuse(why: str, **given: object) -> None:
    """Refuse options that would have no effect."""
    if any(value is not None for value in given.values()):
        raise UserError(f"{' and '.join(f'--{name}' for name in given)} {why}.")
