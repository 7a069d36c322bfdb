"""Clips whose appearance, motion and nuisance are independent, generated, with known labels, flow and masks."""

from static_dynamic.sources.factorial.draws import Scenes, draw_scenes, one_scene, with_nuisance
from static_dynamic.sources.factorial.levels import CONTENTS, DIRECTIONS, LEVELS, Content, combinations
from static_dynamic.sources.factorial.rendering import render
from static_dynamic.sources.factorial.truth import render_masks, true_flow

__all__ = [
    "CONTENTS",
    "DIRECTIONS",
    "LEVELS",
    "Content",
    "Scenes",
    "combinations",
    "draw_scenes",
    "one_scene",
    "render",
    "render_masks",
    "true_flow",
    "with_nuisance",
]
