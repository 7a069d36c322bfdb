"""The true shares of the units of any model, by enumeration: every appearance of factorial clips in every motion.

    from benchmarks.truth.enumeration import true_needs_motion, true_shares
    true_shares(model, ["stage_1", "stage_4"], recipe, appearances=128, draws=2)

No estimator is involved: only the model's responses to clips of which all factors are known.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import generator
from static_dynamic.functional.factorial import SHARES, block_components, classify_factors, mean_square, shares_of
from static_dynamic.functional.needs_motion import classify_motion
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.inputs import declared_recipe
from static_dynamic.network.recorder import Recorder
from static_dynamic.network.stages import Stages
from static_dynamic.sources.factorial import CONTENTS, Content, Scenes, combinations, render, with_nuisance
from static_dynamic.sources.factorial.motion import ORBIT, TURNS
from static_dynamic.variants.nuisance import disturbed

Array = npt.NDArray[np.float64]
BATCH = 64
"""Clips in a forward pass."""
BORDER, NEAR = 0.25, 0.06
"""Border of the classes, and how far from it a unit must be for its class to be clear."""


def true_shares(
    model: nn.Module,
    stages: Stages | None = None,
    recipe: Recipe | None = None,
    *,
    appearances: int | None = None,
    draws: int = 4,
    content: Content = CONTENTS["objects"],
    size: int | None = None,
    layout: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Shares of appearance, motion, interaction and nuisance in the variance of every unit.

    Every appearance is shown in every motion, ``draws`` times with a new nuisance, and the part of nuisance in
    the mean squares is removed. The shares are those of the generator's own levels, see `of_population`.

    Args:
        model: Any module; it is left unchanged.
        stages: Its stages; ``None`` means every declared one.
        recipe: Its input; ``None`` means the one that it declares.
        appearances: How many appearances are drawn; ``None`` means all. All motions are always shown.
        draws: Clips of every appearance in every motion, 2 or more.
        content: Content of the clips.
        size: Side of the clips, pixels; ``None`` means that of the recipe.
        layout: Layout of stages named by module path.
        seed: Seed of the appearances and the nuisance.

    Returns:
        One row per unit: ``stage``, ``unit``, shares ``appearance``, ``motion``, ``interaction`` and ``nuisance``,
        which add up to 1 (NaN for a unit that never varies), ``variance``, ``class`` and whether that is ``clear``.

    Raises:
        UserError: If there are fewer than two appearances or draws, or the model takes images and flow.
    """
    of = len(combinations(content.appearance))
    count = of if appearances is None else appearances
    tables = crossed_responses(model, stages, recipe, count, draws, content, size, layout, seed)
    shares = {stage: population_shares(table, of) for stage, table in tables.items()}
    return pd.concat([share_table(stage, *found) for stage, found in shares.items()], ignore_index=True)


def crossed_responses(
    model: nn.Module,
    stages: Stages | None = None,
    recipe: Recipe | None = None,
    appearances: int = 384,
    draws: int = 4,
    content: Content = CONTENTS["objects"],
    size: int | None = None,
    layout: str | None = None,
    seed: int = 0,
) -> dict[str, Array]:
    """Stage → responses to every appearance in every motion, ``(K, O, r, U)``; see `true_shares`."""
    looks, moves = combinations(content.appearance), combinations(content.motion)
    if not 2 <= appearances <= len(looks) or draws < 2:
        raise UserError(
            f"An enumeration needs 2 to {len(looks)} appearances and at least 2 draws. Got {appearances} and {draws}."
        )
    chosen = np.sort(generator(seed, "appearances").permutation(len(looks))[:appearances])
    pairs = [(looks[look], move) for look in chosen for move in moves for _ in range(draws)]
    scenes = with_nuisance(content, pairs, seed, range(len(pairs)))
    found = responses(model, scenes, stages, recipe, size=size, layout=layout)
    return {stage: x.reshape(appearances, len(moves), draws, -1) for stage, x in found.items()}


def population_shares(table: Array, appearances: float | None = None) -> tuple[Array, Array]:
    """Shares ``(4, U)`` and variance ``(U,)`` of units on appearances in all motions, ``(K, O, r, U)``.

    ``appearances`` is the number from which the ``K`` were drawn; ``None`` means that they are all.
    """
    count, motions = table.shape[:2]
    components = of_population(block_components(table[None])[0], appearances or count, motions)
    return shares_of(components, mean_square(table[None]))


def of_population(components: Array, appearances: float, motions: float) -> Array:
    """Components ``(4, U)`` as variances over a fixed number of levels, which are the whole population.

    An analysis of variance takes levels for a sample of many more, and so takes a part of the interaction out of the
    main effects. Where the ``K`` appearances and ``O`` motions are all, the variance of the means over the other
    factor is itself the main effect:

        A' = (A + AM / O) (K - 1) / K;   M' = (M + AM / K) (O - 1) / O;   AM' = AM (K - 1) (O - 1) / (K O);   N' = N

    It holds for components of any sample of these levels, too.

    Source: Cornfield and Tukey, Average values of mean squares in factorials, 1956.
    """
    a, m, both, noise = components
    fewer_a, fewer_m = 1 - 1 / appearances, 1 - 1 / motions
    return np.stack(
        [(a + both / motions) * fewer_a, (m + both / appearances) * fewer_m, both * fewer_a * fewer_m, noise]
    )


def share_table(stage: str, shares: Array, variance: Array) -> pd.DataFrame:
    """One row per unit from shares ``(4, U)`` and variances ``(U,)``."""
    columns = dict(zip(SHARES, shares, strict=True))
    return pd.DataFrame(
        {"stage": stage, "unit": range(len(variance)), **columns}
        | {"variance": variance, "class": classify_factors(shares, BORDER, BORDER), "clear": is_clear(shares)}
    )


def is_clear(shares: Array) -> npt.NDArray[np.bool_]:
    """Whether the class of units with shares ``(4, U)`` would stay if they were a little different."""
    appearance, motion, interaction, _ = shares
    total = appearance + motion + interaction
    with np.errstate(invalid="ignore", divide="ignore"):
        effects = np.stack([appearance + interaction, motion + interaction]) / total
    sure = (np.abs(effects - BORDER) > NEAR).all(0) | (total < BORDER)
    return np.asarray(np.isnan(total) | (sure & (np.abs(total - BORDER) > NEAR)))


def true_needs_motion(
    model: nn.Module,
    stages: Stages | None = None,
    recipe: Recipe | None = None,
    *,
    frames: int = 300,
    content: Content = CONTENTS["objects"],
    size: int | None = None,
    layout: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The share of every unit's reproducible information on a clip that its middle frame does not determine.

    Everything that the middle of a clip shows is held (appearance, place, size, phases), and the motion is drawn again.
    With ``F`` for what is held, ``needs_motion = 1 - Var E[z | F] / Var E[z | F, motion]``. Reproducible is what a
    replicate gives again, which is moved by one pixel and has its own noise.

    Args:
        model: Any module; it is left unchanged.
        stages: Its stages; ``None`` means every declared one.
        recipe: Its input; ``None`` means the one that it declares.
        frames: How many frames are drawn, each of which is shown in all motions.
        content: Content of the clips.
        size: Side of the clips, pixels; ``None`` means that of the recipe.
        layout: Layout of stages named by module path.
        seed: Seed of the frames.

    Returns:
        One row per unit: ``stage``, ``unit``, ``needs_motion`` and ``reliability``, 0..1 (NaN for a unit that never
        varies), ``variance``, ``class`` and whether that is ``clear``.
    """
    scenes = _held(content, frames, seed)
    once, again = (
        responses(model, scenes, stages, recipe, size=size, layout=layout, replicate=replicate) for replicate in (0, 1)
    )
    moves = len(scenes) // frames
    tables = []
    for stage in once:
        table = np.stack([x[stage].reshape(frames, moves, -1) for x in (once, again)], 2)
        shares, variance = population_shares(table, math.inf)
        tables.append(motion_table(stage, *_needed(shares), variance))
    return pd.concat(tables, ignore_index=True)


def _needed(shares: Array) -> tuple[Array, Array]:
    """Needs-motion and reliability from shares in which what a frame shows takes the place of the appearance."""
    frame, motion, both, noise = shares
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip((motion + both) / (frame + motion + both), 0, 1), np.clip(1 - noise, 0, 1)


def motion_table(stage: str, needed: Array, reliability: Array, variance: Array) -> pd.DataFrame:
    """One row per unit from its needs-motion, its reliability and its variance, each ``(U,)``."""
    sure = (np.abs(needed - BORDER) > NEAR) & (np.abs(needed - (1 - BORDER)) > NEAR)
    clear = np.where(reliability < 0.5, True, sure) & ~(np.abs(reliability - 0.5) <= NEAR)
    return pd.DataFrame(
        {"stage": stage, "unit": range(len(needed)), "needs_motion": needed, "reliability": reliability}
        | {"variance": variance, "class": classify_motion(needed, reliability), "clear": clear | np.isnan(reliability)}
    )


def _held(content: Content, frames: int, seed: int) -> Scenes:
    """Scenes frame by frame: each in all motions, with everything that the middle of the clip shows unchanged."""
    looks, moves = combinations(content.appearance), combinations(content.motion)
    pairs, numbers = [], []
    for number in range(frames):
        look = looks[generator(seed, "held", number).integers(len(looks))]
        pairs += [(look, move) for move in moves]
        numbers += [number] * len(moves)
    scenes = with_nuisance(content, pairs, seed, numbers)
    reach = ORBIT * TURNS[scenes.levels["kind"]].abs()  # an orbit is drawn around its centre, which no frame shows
    angle = 2 * math.pi * scenes.nuisance["turn"]
    scenes.nuisance["x"] -= reach * torch.cos(angle)
    scenes.nuisance["y"] -= reach * torch.sin(angle)
    return scenes


def responses(
    model: nn.Module,
    scenes: Scenes,
    stages: Stages | None = None,
    recipe: Recipe | None = None,
    *,
    size: int | None = None,
    layout: str | None = None,
    replicate: int = 0,
) -> dict[str, Array]:
    """Stage → pooled responses of its units, ``(N, U)``, to drawn clips, or to a replicate of each.

    A clip lasts as long as the recipe covers.
    """
    takes = declared_recipe(model, recipe)
    if isinstance(takes, FlowRecipe):
        raise UserError("Factorial clips are for models of clips. This one takes images and their flow.")
    with Recorder(model, stages, layout) as record:
        parts = [record(inputs) for inputs in _inputs(scenes, takes, size or takes.resize, replicate)]
    return {stage: np.concatenate([part[stage].numpy() for part in parts]).astype(np.float64) for stage in parts[0]}


def _inputs(scenes: Scenes, recipe: Recipe, size: int, replicate: int) -> Iterator[torch.Tensor | list[torch.Tensor]]:
    """Batches of clips in the recipe's layout, a list of them for several pathways."""
    sample, length = recipe.sample(recipe.length, fps=recipe.fps), recipe.length
    std = recipe.std if recipe.values == "normalised" else None
    for start in range(0, len(scenes), BATCH):
        clips = render(scenes[start : start + BATCH], sample.numbers, size, length)
        frames = recipe.prepare(clips.flatten(0, 1).numpy()).unflatten(0, clips.shape[:2])  # type: ignore[no-untyped-call]
        if replicate:
            draws = (generator(start + i, "replicate", replicate) for i in range(len(frames)))
            frames = torch.stack([disturbed(clip, draw, std) for clip, draw in zip(frames, draws, strict=True)])
        pathways = [torch.stack([recipe.arranged(clip[path]) for clip in frames]) for path in sample.pathways]
        yield pathways[0] if len(pathways) == 1 else pathways
