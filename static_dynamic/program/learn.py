"""``learn``: a style from one or a few painted frames."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from static_dynamic.common.commands import also
from static_dynamic.common.errors import UserError
from static_dynamic.common.plugins import Plugins, import_plugins
from static_dynamic.common.slips import invalid

if TYPE_CHECKING:
    from static_dynamic.stylize.learning.perception import Perception

PREVIEWS = 3
"""Unseen frames on a preview."""
STYLE = ".safetensors"
Images = Annotated[tuple[str, ...], Parameter(metavar="IMAGE", consume_multiple=True, show_default=False)]


def learn(
    *,
    clip: Path,
    key: Images = (),
    mask: Images = (),
    out: Path,
    steps: int = 5000,
    preset: Literal["P", "F"] = "P",
    filters: Annotated[str | None, Parameter(metavar="A,B,C,C,D,E")] = None,
    blocks: int | None = None,
    batch_size: Annotated[int | None, also("batch")] = None,
    lr: Annotated[float | None, also("rate")] = None,
    size: int | None = None,
    seed: int = 0,
    vgg: str = "auto",
    device: str = "auto",
    every: int = 500,
    preview: Path | None = None,
    resume: bool = True,
    plugin: Plugins = (),
) -> None:
    """Learn a style from one or a few painted frames.

    For example:
        static-dynamic learn --clip frames/ --key 010=painted.png --out my.safetensors

    Args:
        clip: Folder with the frames of the clip.
        key: Painted frames: 000.png or 000=key.png.
        mask: White where a painted frame counts; named likewise.
        out: The style to write, which ends in .safetensors.
        steps: Training steps in total.
        preset: As published: P learns from patches, F from whole frames.
        filters: Channels of the generator. By default the preset's.
        blocks: Residual blocks. By default the preset's.
        batch_size: Patches for each step. By default the preset's.
        lr: Learning rate. By default the preset's.
        size: Reduce larger frames to this short side first, pixels.
        seed: Seed of the initial weights and the patches.
        vgg: Weights of VGG-19; 'none'; 'auto': those that torchvision downloaded.
        device: auto, cpu, cuda, ….
        every: Steps between checkpoints and previews.
        preview: Folder for pictures of unseen frames.
        resume: Resume from the checkpoint next to --out; else start over.
        plugin: Your module to import first; may be repeated.
    """
    if out.suffix != STYLE:
        raise UserError(f"The file of a style must end in {STYLE}. Got --out {out}.")
    for name, value in (("steps", steps), ("every", every)):
        if value < 1:
            raise UserError(f"The --{name} must be 1 or more. Got {value}.")
    import_plugins(plugin)
    from dataclasses import replace

    from static_dynamic.common.compute import pick_device
    from static_dynamic.program.learning import Plan, learn_style
    from static_dynamic.stylize.learning.learn import PRESETS, Learner
    from static_dynamic.stylize.learning.patches import open_clip, read_keyframes, unseen

    network = {"filters": filters and _channels(filters), "blocks": blocks}
    rest = {"batch": batch_size, "rate": lr}
    published = PRESETS[preset]
    architecture = replace(published.architecture, **_given(network))
    settings = replace(published, architecture=architecture, seed=seed, **_given(rest))
    film = open_clip(clip, size)
    keyframes = read_keyframes(film, key, mask)
    learner = Learner(settings, keyframes, _perception(vgg), pick_device(device))
    learn_style(learner, Plan(out, steps, every, preview), resume, unseen(film, keyframes, PREVIEWS))
    print(f"{out}: {learner.step} steps.")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _channels(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise invalid("--filters", "six whole numbers are required, e.g. 32,64,128,128,128,64", text) from None


def _perception(where: str) -> "Perception | None":
    from static_dynamic.stylize.learning.perception import find_weights, load_perception

    path = find_weights(where)
    if path is None:
        print("Learning without the perceptual loss, since weights of VGG-19 are not available (--vgg FILE).")
        return None
    return load_perception(path)
