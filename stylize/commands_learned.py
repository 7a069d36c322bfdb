"""The commands ``train`` and ``generate``: learn a style from painted keyframes, and give it to a clip."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from static_dynamic.common.compute import pick_device, prefetch
from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.files import clear_partials, make_folder, refuse_existing, remove, write_atomically
from static_dynamic.common.locks import locked
from static_dynamic.common.progress import progress_bar
from static_dynamic.common.runs import START_OVER
from static_dynamic.media.clip import Frames
from static_dynamic.media.images import EXTENSIONS as IMAGES
from static_dynamic.media.reading import reduced
from static_dynamic.media.writing import QUALITY, Write, image_folder, video_file
from static_dynamic.sources.video_files import EXTENSIONS as VIDEOS
from static_dynamic.stylize.learning.learn import PRESETS, Learner, TrainingSettings
from static_dynamic.stylize.learning.patches import open_clip, read_keyframes, unseen
from static_dynamic.stylize.learning.perception import Perception, find_weights, load_perception
from static_dynamic.stylize.learning.smoothing import RADIUS, SIGMA, smooth
from static_dynamic.stylize.networks.learned import LearnedStyle, load_style, paint, write_style
from static_dynamic.stylize.rendering.films import Film, only_film
from static_dynamic.stylize.rendering.layouts import VIDEO

PREVIEWS = 3
"""Unseen frames on a preview."""
PREVIEW_SIDE = 270
"""Their short side, pixels."""
SMOOTHED = ("none", "input", "output", "both")
STYLE = ".safetensors"


def add_train_arguments(parser: ArgumentParser) -> None:
    """The options of ``train``."""
    add = parser.add_argument
    add("--clip", type=Path, required=True, metavar="FRAMES", help="folder with the frames of the clip")
    add("--key", nargs="+", action="extend", default=[], metavar="IMAGE", help="painted frames: 000.png or 000=key.png")
    add(
        "--mask", nargs="+", action="extend", default=[], metavar="IMAGE", help="white where they count; named likewise"
    )
    add("--out", type=Path, required=True, metavar="STYLE.safetensors", help="the style to write")
    add("--steps", type=int, default=5000, help="training steps in all (%(default)s)")
    add("--preset", default="P", help="as published: P learns from patches, F from whole frames (%(default)s)")
    add("--filters", type=_numbers, metavar="A,B,C,C,D,E", help="channels of the generator instead of the preset's")
    add("--blocks", type=int, help="residual blocks instead of the preset's")
    add("--batch", type=int, help="patches for each step instead of the preset's 40")
    add("--rate", type=float, help="learning rate instead of the preset's")
    add("--size", type=int, metavar="PIXELS", help="bring larger frames down to this short side first")
    add("--seed", type=int, default=0, help="of the first weights and the patches (%(default)s)")
    add("--vgg", default="auto", metavar="FILE", help="weights of VGG-19; 'none'; 'auto': what torchvision has fetched")
    add("--device", default="auto", help="auto, cpu, cuda, … (%(default)s)")
    add("--every", type=int, default=500, help="steps between checkpoints and previews (%(default)s)")
    add("--preview", type=Path, metavar="DIR", help="draw unseen frames here")
    add(
        "--resume",
        nargs="?",
        const="True",
        default="True",
        choices=("True", "False"),
        help="resume from the checkpoint beside --out; False: start over (%(default)s)",
    )


def train(options: Namespace) -> None:
    """Learn a style from painted keyframes.

    Raises:
        UserError: For any slip in the options or the pictures.
    """
    if options.out.suffix != STYLE:
        raise UserError(f"A style is written to a file that ends in {STYLE}. Got --out {options.out}.")
    for name in ("steps", "every"):
        if getattr(options, name) < 1:
            raise UserError(f"The --{name} must be 1 or more. Got {getattr(options, name)}.")
    film = open_clip(options.clip, options.size)
    keyframes = read_keyframes(film, options.key, options.mask)
    learner = Learner(_settings(options), keyframes, _perception(options.vgg), pick_device(options.device))
    checkpoint = options.out.with_suffix(".training.pt")
    make_folder(options.out.parent)
    with locked(options.out.with_name(f".{options.out.name}.lock"), options.out):
        clear_partials([options.out.parent])
        if options.resume == "True":
            _take_up(learner, options.out, checkpoint)
        if options.preview:
            make_folder(options.preview)
        with _kept(learner, checkpoint, options.every):
            _learn(learner, options, checkpoint, unseen(film, keyframes, PREVIEWS))
    print(f"{options.out}: {learner.step} steps.")


@contextmanager
def _kept(learner: Learner, checkpoint: Path, every: int) -> Iterator[None]:
    """A checkpoint from the start on, so that a place that cannot be written is noticed before the first steps."""
    began = learner.step
    learner.save(checkpoint)
    try:
        yield
    except BaseException:
        if began == 0 and learner.step < every:  # there is nothing in it
            remove(checkpoint)
        raise


def _learn(learner: Learner, options: Namespace, checkpoint: Path, frames: Sequence[Frames]) -> None:
    """All steps that are left."""

    def keep(losses: Mapping[str, float]) -> None:
        learner.save(checkpoint)
        write_style(options.out, learner.generator, learner.facts)
        if options.preview:
            _draw_preview(learner, frames, options.preview / f"step_{learner.step:06d}.png")
        print(f"step {learner.step}:", *(f"{name} {value:.3f}" for name, value in losses.items()), flush=True)

    with progress_bar("steps") as show:
        while learner.step < options.steps:
            losses = learner.advance()
            show(learner.step, options.steps, f"image {losses['image']:.3f}")
            if learner.step % options.every == 0 or learner.step == options.steps:
                keep(losses)
    write_style(options.out, learner.generator, learner.facts)  # once more: a run may stop between the two files


def add_generate_arguments(parser: ArgumentParser) -> None:
    """The options of ``generate``."""
    add = parser.add_argument
    add("style", type=Path, metavar="STYLE", help="a learned style: .safetensors, or a published .pth")
    add("clip", type=Path, metavar="CLIP", help="a video file, or a folder of frames")
    add("--out", type=Path, required=True, metavar="OUT", help=f"a folder for frames, or a .{VIDEO} file")
    add("--format", default="png", help="of the frames: png or jpg (%(default)s)")
    add("--size", type=int, metavar="PIXELS", help="bring larger frames down to this short side first")
    add("--smooth", default="none", help=f"along the motion, against flicker: {', '.join(SMOOTHED)} (%(default)s)")
    add("--radius", type=int, default=RADIUS, help="frames on either side that are smoothed over (%(default)s)")
    add("--sigma", type=float, default=SIGMA, help="how far their colours may be apart, levels (%(default).1f)")
    add("--device", default="auto", help="auto, cpu, cuda, … (%(default)s)")


def generate(options: Namespace) -> None:
    """Give a clip a learned style.

    Raises:
        UserError: For any slip in the options, or a file that cannot be read or written.
    """
    film = only_film(options.clip, options.size)
    target = _target(options, film)
    style = load_style(options.style, options.device)
    frames = _painted(style, film, options)
    if note := _of_another_size(style, film):
        print(f"note: {note}", file=sys.stderr)
    count = 0
    with target as write, progress_bar("frames") as show:
        for count, frame in enumerate(frames, 1):
            write(frame)
            show(count, film.count, film.name)
    print(f"{options.out}: {count} frames.")


def _painted(style: LearnedStyle, film: Film, options: Namespace) -> Iterable[Frames]:
    """The frames of a film in a style, smoothed as the options say."""
    if options.smooth not in SMOOTHED:
        raise unknown("smoothing", options.smooth, SMOOTHED, where="--smooth")
    before, after = options.smooth in ("input", "both"), options.smooth in ("output", "both")
    frames = smooth(film, None, options.radius, options.sigma) if before else film
    painted = prefetch(style, frames, workers=1)
    return smooth(painted, film, options.radius, options.sigma) if after else painted


def _of_another_size(style: LearnedStyle, film: Film) -> str | None:
    """What must be said of frames that are not of the size at which the style was learned, if that is known."""
    learned = min(style.facts.get("height", 0), style.facts.get("width", 0))
    short_side = min(film.shape[1:3])
    if learned in (0, short_side):
        return None
    hint = f": --size {learned} would be as learned" if short_side > learned else ""
    return f"the style was learned at a short side of {learned} pixels, these frames have {short_side}{hint}."


def _target(options: Namespace, film: Film) -> AbstractContextManager[Write]:
    """Where the frames go."""
    out, suffix = options.out, f".{options.format}"
    refuse_existing(out)
    if out.suffix == f".{VIDEO}":
        return video_file(out, film.rate)
    if suffix not in QUALITY or out.suffix.lower() in (*IMAGES, *VIDEOS, STYLE):
        raise UserError(
            f"Frames are written to a folder as png or jpg, or to a .{VIDEO} file. Got {out}, {suffix[1:]}."
        )
    return image_folder(out, lambda number: f"{film.stem(number)}{suffix}")


def _settings(options: Namespace) -> TrainingSettings:
    """The preset, with what the command line changes of it."""
    if options.preset not in PRESETS:
        raise unknown("preset", options.preset, PRESETS, where="--preset")
    preset = PRESETS[options.preset]
    plan = {name: getattr(options, name) for name in ("filters", "blocks") if getattr(options, name) is not None}
    rest = {name: getattr(options, name) for name in ("batch", "rate") if getattr(options, name) is not None}
    return replace(preset, architecture=replace(preset.architecture, **plan), seed=options.seed, **rest)


def _perception(where: str) -> Perception | None:
    path = find_weights(where)
    if path is None:
        print("Learning without the perceptual loss: no weights of VGG-19 at hand. (--vgg FILE)")
        return None
    return load_perception(path)


def _take_up(learner: Learner, out: Path, checkpoint: Path) -> None:
    """Resume what is there; refuse to write over what cannot be resumed."""
    if checkpoint.exists():
        learner.resume(checkpoint)
    elif out.exists():
        raise UserError(
            f"{out} is there, but not {checkpoint.name} to resume from. Choose another --out, or {START_OVER}."
        )


def _draw_preview(learner: Learner, frames: Sequence[Frames], path: Path) -> None:
    """Unseen frames, and below them how they are painted by now."""
    learner.generator.eval()
    rows = [frames, [paint(learner.generator, frame) for frame in frames]]
    sheet = np.concatenate([np.concatenate([reduced(image, PREVIEW_SIDE) for image in row], axis=1) for row in rows])
    write_atomically(path, lambda partial: Image.fromarray(sheet).save(partial, "PNG"))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"six whole numbers are needed, e.g. 32,64,128,128,128,64; got {text!r}") from None
