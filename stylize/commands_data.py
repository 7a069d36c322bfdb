"""The commands ``render``, ``audit``, ``scrambles`` and ``styles``."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import refuse_existing, write_text
from static_dynamic.common.progress import progress_bar
from static_dynamic.interventions import STRONG
from static_dynamic.interventions.styles import style
from static_dynamic.stylize.auditing.cases import FRAMES
from static_dynamic.stylize.rendering.layouts import LAYOUTS, VIDEO
from static_dynamic.stylize.rendering.looks import parse_looks
from static_dynamic.stylize.rendering.scrambles import DRAWS, LENGTHS, audit_scrambles
from static_dynamic.stylize.rendering.settings import NOTE, Settings


def add_render_arguments(parser: ArgumentParser) -> None:
    """The options of ``render``."""
    add = parser.add_argument
    add("videos", type=Path, metavar="VIDEOS", help="video files, frame folders, or a data set in the layout of DAVIS")
    add("--out", type=Path, required=True, metavar="DATA", help="folder of the data set")
    add(
        "--styles",
        required=True,
        help="names, images, learned styles, globs, with commas between; original too",
    )
    add("--layout", default="folders", help=f"{', '.join(LAYOUTS)} (%(default)s)")
    add("--format", default="jpg", help=f"jpg; for the layout folders also png or {VIDEO} (%(default)s)")
    add("--size", type=int, metavar="PIXELS", help="bring larger frames down to this short side")
    add("--fps", type=_rate, help="frames per second, e.g. 5 or 30000/1001 (every frame)")
    add("--seed", type=int, default=0, help="of the grain of every style (%(default)s)")
    add("--workers", type=int, default=2, help="processes (%(default)s)")


def render(options: Namespace) -> None:
    """Render a data set.

    Raises:
        UserError: For any slip in the options, or a place that cannot be written.
    """
    from static_dynamic.stylize.rendering.render import render

    settings = Settings(
        parse_looks(options.styles), options.layout, options.format, options.size, options.fps, options.seed
    )
    with progress_bar("clips") as on_clips:
        report = render(options.videos, options.out, settings, options.workers, on_clips)
    print(f"{report.written} clips written to {options.out}, {report.kept} were there already.")
    for problem in report.problems.values():
        print(f"left out: {problem}")
    for note in _notes(settings):
        print(f"note: {note}", file=sys.stderr)


def _notes(settings: Settings) -> Iterator[str]:
    """What the readers of the layout want beside the frames."""
    for name in settings.layout.annotations:
        yield f"annotations are not written. Put {name} beside the styles."
        if (fps := settings.layout.fps) not in (None, settings.fps):
            yield f"the times in {name} are for {fps:g} frames a second: give --fps {fps:g}."


def add_audit_arguments(parser: ArgumentParser) -> None:
    """The options of ``audit``."""
    add = parser.add_argument
    add("original", type=Path, metavar="ORIGINAL", help="the videos as filmed, as for render")
    add("stylized", type=Path, metavar="STYLIZED", nargs="?", help="a rendered data set; without it, copies are made")
    add("--styles", help="styles of the copies that are made, as for render (all built-in ones)")
    add("--layout", help=f"of a data set that was not rendered here: {', '.join(LAYOUTS)}")
    add("--fps", type=_rate, help="frames per second of such a data set (those of the videos)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for tables, pictures and page")
    add("--frames", type=int, default=FRAMES, help="frames of a video that are looked at (%(default)s)")
    add("--max-videos", type=int, metavar="N", help="use the first N videos")
    add("--seed", type=int, help="of the copies that are made (0)")
    add("--workers", type=int, default=2, help="processes (%(default)s)")


def audit(options: Namespace) -> None:
    """Judge styles, and write what was found.

    Raises:
        UserError: For any slip in the options, if nothing can be judged, or a file cannot be written.
    """
    from static_dynamic.stylize.auditing.audit import audit
    from static_dynamic.stylize.auditing.audit_report import files_of, liveliest, save_audit
    from static_dynamic.stylize.auditing.cases import Case, made_cases
    from static_dynamic.stylize.auditing.rendered import rendered_cases

    least = {"frames": 2, "workers": 0, "max_videos": 1, "seed": 0}
    for name, value in least.items():
        if (given := getattr(options, name)) is not None and given < value:
            raise UserError(f"The --{name.replace('_', '-')} of an audit must be {value} or more. Got {given}.")
    refuse_existing(*files_of(options.out))
    if options.stylized is not None and options.out.resolve().is_relative_to(options.stylized.resolve()):
        raise UserError(f"The audit must not lie among the data. Got --out {options.out} for {options.stylized}.")
    cases: Sequence[Case]
    if options.stylized is None:
        _refuse(options, ("layout", "fps"), "are for a data set, and none is given")
        cases = made_cases(options.original, parse_looks(options.styles or "*"), options.frames, options.seed or 0)
    else:
        _refuse(options, ("styles", "seed"), "are for copies that are made, and a data set is given")
        if (options.stylized / NOTE).exists():
            _refuse(options, ("layout", "fps"), f"are for data from elsewhere, and {options.stylized} has a {NOTE}")
        cases = rendered_cases(options.original, options.stylized, options.layout, options.frames, options.fps)
    cases = cases[: options.max_videos]
    with progress_bar("videos") as on_video:
        found = audit(cases, options.workers, on_video)
    print(found.styles.round(2).to_string(index=False, na_rep="-"))
    for line in found.left_out():
        print(f"left out: {line}")
    for path in save_audit(found, liveliest(found, cases), options.out):
        print(path)


def _refuse(options: Namespace, names: Sequence[str], why: str) -> None:
    """Options that would be passed over in silence are slips."""
    if any(getattr(options, name) is not None for name in names):
        raise UserError(f"{' and '.join(f'--{name}' for name in names)} {why}.")


def add_scrambles_arguments(parser: ArgumentParser) -> None:
    """The options of ``scrambles``."""
    add = parser.add_argument
    add("--kinds", help="scrambles, with commas between, e.g. block_shuffle:8 (all)")
    add("--lengths", type=_lengths, default=LENGTHS, help="frames of a clip, with commas between (2,3,4,8,16,32)")
    add("--draws", type=int, default=DRAWS, help="orders drawn of each (%(default)s)")
    add("--out", type=Path, help="CSV file to write")


def scrambles(options: Namespace) -> None:
    """Measure scrambles.

    Raises:
        UserError: For any slip in the options, or if the file cannot be written.
    """
    if options.draws < 2:
        raise UserError(f"How often two draws coincide takes two or more --draws. Got {options.draws}.")
    if options.out:
        refuse_existing(options.out)
    kinds = None if options.kinds is None else [kind.strip() for kind in options.kinds.split(",")]
    table = audit_scrambles(kinds, options.lengths, options.draws)
    if options.out:
        text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_text(options.out, text)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep="-"))


def add_styles_arguments(parser: ArgumentParser) -> None:
    """The options of ``styles``."""
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw a small picture of each here")
    parser.add_argument("--video", type=Path, help="of a frame of this video (a painted view)")


def styles(options: Namespace) -> None:
    """Print the built-in styles, a line each, or draw them.

    Raises:
        UserError: If the video cannot be read, or a picture not be written.
    """
    from static_dynamic.stylize.auditing.gallery import draw_gallery

    if options.video and not options.pictures:
        raise UserError("A --video is for pictures of it: say where they go with --pictures DIR.")
    if options.pictures:
        print(*draw_gallery(options.pictures, options.video), sep="\n")
        return
    for entry in style.entries.values():
        print(f"{entry.name:15}{'*' if entry.name in STRONG else ' '} {entry.summary}")
    print("* is a default of a measurement. An image (.jpg, .png) or a learned style (.safetensors) is a style too.")


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(length) for length in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"whole numbers with commas between, e.g. 4,8; got {text!r}") from None


def _rate(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ArgumentTypeError(f"frames per second, e.g. 5 or 30000/1001; got {text!r}") from None
