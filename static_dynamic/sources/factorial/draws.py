"""The levels of every clip, and the nuisance that is drawn for every clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from static_dynamic.common.errors import unknown
from static_dynamic.common.seeds import generator
from static_dynamic.sources.factorial.levels import LEVELS, Content, Levels

NUISANCE = ("x", "y", "turn", "size", "gain", "body_x", "body_y", "back_x", "back_y")
"""Numbers in 0..1 that are drawn for every clip: where its object is halfway through, and at which angle of its orbit;
size; contrast; phases of the textures of the object and of the background."""
Pair = tuple[int, ...]


@dataclass(frozen=True)
class Scenes:
    """``N`` clips, as what they show, how they move, and their nuisance.

    Attributes:
        levels: Factor → place of each clip's level in ``LEVELS``, ``(N,)`` int64.
        nuisance: Name in ``NUISANCE`` → ``(N,)`` float32 in 0..1.
        grain: Seeds of the sensor noise and of random dots, ``(N,)`` int64 below 2³¹.
    """

    levels: dict[str, Tensor]
    nuisance: dict[str, Tensor]
    grain: Tensor

    def __len__(self) -> int:
        return len(self.grain)

    def __getitem__(self, rows: slice | Tensor | Sequence[int]) -> "Scenes":
        levels, nuisance = ({name: part[rows] for name, part in of.items()} for of in (self.levels, self.nuisance))
        return Scenes(levels, nuisance, self.grain[rows])


def one_scene(levels: Mapping[str, str], **nuisance: float) -> Scenes:
    """One clip of these levels; nuisance that is not given is halfway.

    Raises:
        UserError: If a factor, a level or a nuisance is unknown.

    Example:
        >>> one_scene({"shape": "ring", "kind": "right", "speed": "slow", "colour": "red"}, x=0.2).nuisance["x"]
        tensor([0.2000])
    """
    for kind, names, known in (("factor", levels, LEVELS), ("nuisance", nuisance, NUISANCE)):
        for name in names:
            if name not in known:
                raise unknown(kind, name, known, where="a factorial clip")
    for factor, level in levels.items():
        if level not in LEVELS[factor]:
            raise unknown(factor, level, LEVELS[factor], where="a factorial clip")
    return Scenes(
        {factor: torch.tensor([LEVELS[factor].index(level)]) for factor, level in levels.items()},
        {name: torch.tensor([nuisance.get(name, 0.5)]) for name in NUISANCE},
        torch.zeros(1, dtype=torch.int64),
    )


def draw_scenes(content: Content, seed: int, numbers: Sequence[int]) -> Scenes:
    """Clips whose factors are independent of each other; clip ``n`` depends only on ``(seed, n)``.

    Example:
        >>> from static_dynamic.sources.factorial.levels import CONTENTS
        >>> scenes = draw_scenes(CONTENTS["objects"], seed=0, numbers=[0, 1, 2])
        >>> len(scenes), sorted(scenes.levels)
        (3, ['background', 'colour', 'kind', 'shape', 'speed', 'texture'])
    """
    return with_nuisance(content, [draw_levels(content, seed, number) for number in numbers], seed, numbers)


def draw_levels(content: Content, seed: int, number: int) -> tuple[Pair, Pair]:
    """Appearance and motion of one clip, as places of levels in ``LEVELS``."""
    draw = generator(seed, "factors", number)
    appearance, motion = (_drawn(levels, draw) for levels in content)
    return appearance, motion


def _drawn(levels: Levels, draw: np.random.Generator) -> Pair:
    return tuple(LEVELS[factor].index(names[draw.integers(len(names))]) for factor, names in levels.items())


def with_nuisance(content: Content, pairs: Sequence[tuple[Pair, Pair]], seed: int, numbers: Sequence[int]) -> Scenes:
    """Clips of these appearances and motions (see `combinations`), each with its own nuisance."""
    rows = [_nuisance(seed, number) for number in numbers]
    nuisance = torch.from_numpy(np.stack([row for row, _ in rows]))
    levels = torch.tensor([(*appearance, *motion) for appearance, motion in pairs])
    return Scenes(
        dict(zip(content.levels, levels.unbind(1), strict=True)),
        dict(zip(NUISANCE, nuisance.unbind(1), strict=True)),
        torch.tensor([grain for _, grain in rows]),
    )


def _nuisance(seed: int, number: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.float32]], int]:
    draw = generator(seed, "nuisance", number)
    return draw.random(len(NUISANCE), np.float32), int(draw.integers(2**31))
