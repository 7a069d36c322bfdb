"""``regions``: where the nodes of a network's graphs are on a video."""

from pathlib import Path

from static_dynamic.common.commands import as_flags
from static_dynamic.common.errors import UserError
from static_dynamic.program.weights import Weights

FPS = 5
USUAL = Weights()


def regions(*, model: str = "dyreg_tsm_r50", weights: Weights = USUAL, video: str, out: Path, columns: int = 8) -> None:
    """Draw where the nodes of a network's graphs are on a video: an animation (GIF and MP4) and a contact sheet.

    There is one row per graph. Every node has a box in its own colour, at whose edge its window becomes zero. Bright
    places are in the windows of many nodes.

    Args:
        model: Name of the model.
        weights: Weights of the model.
        video: A video, a folder of frames, or 'factorial'.
        out: Folder to write to.
        columns: Frames on the contact sheet.
    """
    from warnings import catch_warnings, simplefilter

    from static_dynamic import models
    from static_dynamic.media.clip import Recipe
    from static_dynamic.media.inputs import declared_notes, declared_recipe, in_one_line
    from static_dynamic.media.pictures import write_png
    from static_dynamic.training.pictures import write_gif, write_mp4
    from static_dynamic.training.regions import animation, contact_sheet, draw, find_regions, read_clip

    if columns < 1:
        raise UserError(f"The --columns must be at least 1. Got {columns}.")
    try:
        with catch_warnings():
            simplefilter("ignore", models.PartialWeights)  # the notes state the same
            network = models.create_model(model, **weights.arguments())
        recipe = declared_recipe(network)
        if not isinstance(recipe, Recipe):
            raise UserError(f"The model {model!r} must take clips of RGB frames. It takes {recipe}.")
        frames, clip = read_clip(video, recipe)
        with in_one_line(clip):
            found = find_regions(network, clip)
    except models.ModelError as error:
        raise UserError(str(error)) from None
    drawn = {name: draw(frames, places) for name, places in found.items()}
    moving, stem = animation(drawn), out / Path(video).stem
    write_png(contact_sheet(drawn, columns), stem.with_suffix(".png"))
    write_gif(moving, stem.with_suffix(".gif"), FPS)
    write_mp4(moving, stem.with_suffix(".mp4"), FPS)
    for note in declared_notes(network):
        print(f"Note: {as_flags(note)}")
    if weights.checkpoint is None:
        print("The weights are random, so every region is at its anchor.")
    print(*(stem.with_suffix(kind) for kind in (".png", ".gif", ".mp4")), sep="\n")
