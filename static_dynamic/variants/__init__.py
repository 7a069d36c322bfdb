"""Variants: one video in one style and one order, each a pure function of its key and the study's seed."""

from static_dynamic.common.seeds import derive_seed
from static_dynamic.media.clip import FlowRecipe, Recipe, Video
from static_dynamic.sources import Source
from static_dynamic.variants.clips import prepare_clip
from static_dynamic.variants.conditions import Conditions, union
from static_dynamic.variants.images import prepare_images
from static_dynamic.variants.index import Index
from static_dynamic.variants.keys import Cell, Variant, style_seed
from static_dynamic.variants.prepared import PreparedVideo, describe_video, read_styles, stack

__all__ = [
    "Cell",
    "Conditions",
    "Index",
    "PreparedVideo",
    "Variant",
    "derive_seed",
    "describe_video",
    "prepare_video",
    "read_styles",
    "stack",
    "style_seed",
    "union",
]


def prepare_video(source: Source, video: Video, recipe: Recipe | FlowRecipe, conditions: Conditions) -> PreparedVideo:
    """Prepare a video with all its variants, in the form of the model's input.

    Raises:
        BadClip: If the video cannot be read.
    """
    if isinstance(recipe, FlowRecipe):
        return prepare_images(source, video, recipe, conditions)
    return prepare_clip(source, video, recipe, conditions)
