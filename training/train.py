"""``static-dynamic train``: a model of the zoo, or your own, on folders of frames."""

from dataclasses import asdict

from static_dynamic.training.checkpoints import Row
from static_dynamic.training.course import course
from static_dynamic.training.lists import digest, read_categories
from static_dynamic.training.loop import fit
from static_dynamic.training.machinery import say_notes
from static_dynamic.training.options import TrainOptions
from static_dynamic.training.pretrained import load_imagenet
from static_dynamic.training.setup import evaluation_clips, listed, may_flip, open_model, short_videos, training_clips


def train(options: TrainOptions) -> list[Row]:
    """Train with these options, and write all results to the run's folder.

    Returns:
        The metrics of every epoch.

    Raises:
        UserError: For any error that the user can fix, in one line.
    """
    categories = read_categories(options.list_folder)
    entries = listed(options, "train", len(categories))
    tested = listed(options, "val", len(categories)) if options.eval_freq else []
    network = open_model(options, len(categories))
    notes = network.notes if network.checkpoint else ()
    if options.pretrained_backbone:
        notes = load_imagenet(network.model).notes()
    study = {
        "model": network.name,
        "checkpoint": network.checkpoint and network.checkpoint["sha256"],
        "pretrained_backbone": options.pretrained_backbone,
        "videos": digest(entries),
        "classes": len(categories),
        "sampling": options.sampling,
        "flip": may_flip(options, categories),
        **asdict(network.recipe),
    }
    say_notes(options, *notes, short_videos(entries, network.recipe, options.sampling))
    clips = training_clips(options, entries, network.recipe, may_flip(options, categories))
    validation = evaluation_clips(options, tested, network.recipe) if tested else None
    on_epoch = course(options, network)
    return fit(network.model, clips, validation, options, options.folder("train"), network.name, study, on_epoch)
