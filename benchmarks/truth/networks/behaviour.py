"""The answers of a network to clips intact, reversed, shuffled, frozen, restyled, or that look like another motion."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from static_dynamic.common.seeds import derive_seed
from static_dynamic.interventions import STRONG, apply_scramble, restyle
from static_dynamic.media.clip import INTACT, Frames
from static_dynamic.models.truth.biases import LEVELS
from static_dynamic.sources import factorial
from static_dynamic.training.truth import Pool, Shortcut, draw_pool
from static_dynamic.training.truth.train import answers_of

SCRAMBLES = ("reverse", "shuffle", "freeze")
STYLES, AGAINST = "styles", "looks against motion"
"""The mean over all styles; intact clips whose appearance indicates another motion."""
CLIPS, SEED = 1000, derive_seed(0, "truth", "behaviour")
OPPOSITES = (("right", "left"), ("up", "down"), ("clockwise", "counterclockwise"), ("expand", "contract"))
"""Pairs of kinds of motion, each of which is the other one reversed."""


def opposite(kinds: Tensor) -> Tensor:
    """For every kind of motion, the kind that it is when played backwards.

    Example:
        >>> opposite(torch.tensor([0, 2, 6]))
        tensor([2, 0, 7])
    """
    names = factorial.LEVELS["kind"]
    mirrored = {a: b for pair in OPPOSITES for a, b in (pair, pair[::-1])}
    return torch.tensor([names.index(mirrored[name]) for name in names])[kinds]


@cache
def shown(count: int = CLIPS) -> tuple[Pool, Mapping[str, Tensor]]:
    """Clips that no network has seen, and the same under every condition."""
    pool = draw_pool(SEED, range(count))
    scrambled = {kind: _each(pool, partial(apply_scramble, kind=kind)) for kind in SCRAMBLES}
    styled = {style: _each(pool, partial(restyle, style=style)) for style in STRONG}
    return pool, {INTACT: pool.clips, **scrambled, **styled}


def _each(pool: Pool, change: Callable[..., Frames]) -> Tensor:
    """All clips, each changed with its own seed."""
    return torch.from_numpy(np.stack([change(clip, seed=number) for number, clip in enumerate(pool.clips.numpy())]))


def behaviour(model: nn.Module, count: int = CLIPS) -> pd.DataFrame:
    """How often every head of a network is correct under every condition, and what else its answers follow.

    Returns:
        One row per condition and head, in percent: ``right``; of the kind of motion also ``opposite``, answers that
        name the motion backwards, and ``looks``, those that name the motion for which texture and background stood
        where a network was taught a shortcut; ``chance`` and the number of ``clips``.
    """
    pool, conditions = shown(count)
    answers = {name: answers_of(model, clips) for name, clips in conditions.items()}
    rows = [row for name, said in answers.items() for row in _rows(name, said, pool.levels, torch.arange(count))]
    against = torch.nonzero(Shortcut(1).kind(pool.levels) != pool.levels["kind"])[:, 0]
    rows += [row for row in _rows(AGAINST, answers[INTACT], pool.levels, against) if row["head"] == "kind"]
    table = pd.DataFrame(rows)
    mean = table[table["condition"].isin(STRONG)].groupby("head", sort=False).mean(numeric_only=True)
    mean = mean.reset_index().assign(condition=STYLES, clips=len(STRONG) * count)
    return pd.concat([table, mean], ignore_index=True)


def _rows(
    condition: str, answers: Mapping[str, Tensor], levels: dict[str, Tensor], clips: Tensor
) -> Iterator[dict[str, object]]:
    """One row per head, of some of the clips."""
    for head, answer in answers.items():
        row = {"condition": condition, "head": head, "right": _percent(answer == levels[head], clips)}
        if head == "kind":
            row["opposite"] = _percent(answer == opposite(levels["kind"]), clips)
            row["looks"] = _percent(answer == Shortcut(1).kind(levels), clips)
        yield row | {"chance": 100 / LEVELS[head], "clips": len(clips)}


def _percent(said: Tensor, clips: Tensor) -> float:
    return 100 * said[clips].float().mean().item()
