"""From options to a model and to clips."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from warnings import catch_warnings, simplefilter

from torch import nn

from static_dynamic import models
from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.media.inputs import make_recipe
from static_dynamic.training.data import EvaluationClips, TrainingClips
from static_dynamic.training.lists import Entry, check_frames, list_path, read_list
from static_dynamic.training.options import DataOptions, EvaluateOptions, TrainOptions
from static_dynamic.training.sampling import SAMPLINGS

DIRECTED = re.compile(r"something|left|right|clockwise", re.IGNORECASE)
"""Words in the name of a data set or class for which mirroring may change the label (SSv2 names "something")."""


@dataclass(frozen=True)
class Network:
    """A model that takes clips.

    Attributes:
        model: The model.
        recipe: The input that it expects.
        name: Its full name.
        checkpoint: What its weights came from; ``None`` for the initial ones.
        notes: Notes about its weights.
    """

    model: nn.Module
    recipe: Recipe
    name: str
    checkpoint: dict[str, Any] | None
    notes: tuple[str, ...] = ()


def open_model(options: DataOptions, classes: int) -> Network:
    """The model that the options name.

    Raises:
        UserError: If it does not exist, its checkpoint does not fit, or it takes more than clips.
    """
    try:
        declared = models.describe(options.model, options.frames, options.image_size)
        if declared.recipe:
            input_recipe(declared, options)  # refused before a large model is built
        with catch_warnings():
            simplefilter("ignore", models.PartialWeights)  # the notes state the same
            model = models.create_model(
                declared,
                checkpoint=options.checkpoint,
                num_classes=None if declared.fixed_classes else classes,
                seed=options.seed,
                strict=options.strict,
                trust_checkpoint=options.trust_checkpoint,
                checkpoint_key=options.checkpoint_key,
            )
    except models.OtherClasses as other:
        raise UserError(
            f"{other.path} has {other.given} classes, {options.list_folder}/category.txt {classes}. "
            "`strict=False` keeps all but the classifier, which is random then."
        ) from None
    except models.ModelError as error:
        raise UserError(str(error)) from None
    spec: models.ModelSpec = vars(model)["spec"]
    report = asdict(spec.checkpoint) if spec.checkpoint else None
    return Network(model, input_recipe(spec, options), spec.name, report, spec.notes)


def input_recipe(spec: models.ModelSpec, options: DataOptions) -> Recipe:
    """The model's recipe with the options applied; the short side keeps its proportion to the crop.

    Raises:
        UserError: If the model takes other than clips, or neither it nor the options declare its input.
    """
    if spec.recipe is None and None in (options.frames, options.image_size):
        raise UserError(f"{spec.name} declares no input: give --frames and --image-size.")
    recipe = make_recipe(spec.recipe) if spec.recipe else Recipe(rate=1)
    if not isinstance(recipe, Recipe):
        raise UserError(f"{spec.name} takes images and flow; only models that take clips can be trained here.")
    return recipe.changed(options.frames, options.rate, options.image_size)


def listed(options: DataOptions, split: str, classes: int) -> list[Entry]:
    """The videos of a split whose frames exist.

    Raises:
        UserError: If the list does not fit, or too many of its videos have no frames; file and line are named.
    """
    path = list_path(options.list_folder, split)
    entries = read_list(path, classes)
    check_folder(options)
    check_frames(path, entries, options.data, options.max_bad)
    return entries


def training_clips(options: TrainOptions, entries: Sequence[Entry], recipe: Recipe, flip: bool) -> TrainingClips:
    """The clips to train on."""
    sampling = SAMPLINGS[options.sampling](recipe)
    return TrainingClips(options.data, entries, recipe, sampling, options.image_tmpl, flip=flip, seed=options.seed)


def evaluation_clips(options: DataOptions, entries: Sequence[Entry], recipe: Recipe) -> EvaluationClips:
    """The clips to test on."""
    clips = EvaluationClips(options.data, entries, recipe, SAMPLINGS[options.sampling](recipe), options.image_tmpl)
    if isinstance(options, EvaluateOptions):
        full_res = options.multi_clip if options.full_res is None else options.full_res
        return replace(clips, multi_clip=options.multi_clip, full_res=full_res)
    return clips


def check_folder(options: DataOptions) -> None:
    """Raise a UserError if the folder of the frames is missing."""
    if not options.data.is_dir():
        raise UserError(f"The folder {options.data} is missing. --data is the folder of the frame folders.")


def may_flip(options: TrainOptions, categories: Iterable[str]) -> bool:
    """Whether clips may be mirrored: as requested, else unless the data set or one of its classes names a direction."""
    if options.flip is not None:
        return options.flip
    return not any(DIRECTED.search(name) for name in (options.data.resolve().name, *categories))


def short_videos(entries: Sequence[Entry], recipe: Recipe, sampling: str) -> str | None:
    """A note about videos with fewer frames than a clip; ``None`` if there are none."""
    needed = max(recipe.frame_counts) if sampling == "segments" else recipe.length
    short = [entry.name for entry in entries if entry.frames < needed]
    if not short:
        return None
    how = "some of their frames are repeated, in order" if sampling == "segments" else "they are looped"
    return (
        f"{len(short)} of {len(entries)} videos have fewer frames than the {needed} of a clip, so {how}. "
        f"The first: {short[0]}."
    )
