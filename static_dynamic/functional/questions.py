"""What a probe can be asked: one of several classes, a number or an angle; what is regressed on, and how it is scored."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from static_dynamic.functional.contrasts import Array

Whole = npt.NDArray[np.intp]
Truth = npt.NDArray[np.bool_]


class Question(Protocol):
    """What is to be read out of ``N`` clips."""

    @property
    def chance(self) -> float:
        """The score of the best constant answer."""

    def code(self, train: Truth) -> Array:
        """What is regressed on, ``(N, k)``."""

    def credit(self, said: Array, mean: Array, rows: Truth) -> tuple[Array, Array]:
        """What an answer ``(n, k)`` gains and what could be gained, ``(n, parts)``; ``mean`` is the training mean."""

    def answer(self, said: Array) -> Array:
        """The answer ``(n, k)`` as one number per clip."""

    def dealt(self, order: Whole) -> Self:
        """The same target with the values of other clips."""


@dataclass(frozen=True)
class Classes:
    """One of several classes; scored by balanced accuracy, the mean over classes of the share that is recognised.

    Indicators are divided by the frequency of their class in the training clips, so that the largest answer names the
    class under which a clip is likeliest, however frequent it is.

    Attributes:
        values: ``(N,)``, 0 … ``count`` - 1.
        count: Number of classes.
    """

    values: Whole
    count: int

    @property
    def chance(self) -> float:
        """1 / classes."""
        return 1 / self.count

    def code(self, train: Truth) -> Array:
        """Indicators ``(N, classes)``."""
        indicators = np.eye(self.count)[self.values]
        frequency = indicators[train].mean(0)
        return np.divide(indicators, frequency, out=np.zeros_like(indicators), where=frequency > 0)

    def credit(self, said: Array, mean: Array, rows: Truth) -> tuple[Array, Array]:
        """Whether it is recognised, in the column of its class."""
        possible = np.eye(self.count)[self.values[rows]]
        return possible * (self.answer(said) == self.values[rows])[:, None], possible

    def answer(self, said: Array) -> Array:
        """The class."""
        return said.argmax(1).astype(np.float64)

    def dealt(self, order: Whole) -> Self:
        """With the values of other clips."""
        return replace(self, values=self.values[order])


@dataclass(frozen=True)
class Number:
    """A number; scored by R², one less the squared error in units of that of the training mean.

    Attributes:
        values: ``(N,)``.
    """

    values: Array
    chance = 0.0

    def code(self, train: Truth) -> Array:
        """The number itself, ``(N, 1)``."""
        return self.values[:, None]

    def credit(self, said: Array, mean: Array, rows: Truth) -> tuple[Array, Array]:
        """Squared error that the answer saves, of that of the mean."""
        possible = (self.values[rows, None] - mean) ** 2
        return possible - (self.values[rows, None] - said) ** 2, possible

    def answer(self, said: Array) -> Array:
        """The number."""
        return said[:, 0]

    def dealt(self, order: Whole) -> Self:
        """With the values of other clips."""
        return replace(self, values=self.values[order])


@dataclass(frozen=True)
class Angle:
    """An angle; its cosine and sine are regressed on, and scored is the mean cosine of the error.

    Attributes:
        values: ``(N,)``, degrees.
    """

    values: Array

    @property
    def chance(self) -> float:
        """Length of the mean direction: 0 where directions are balanced."""
        return float(np.hypot(*self._directions.mean(0)))

    @property
    def _directions(self) -> Array:
        turn = np.deg2rad(self.values)
        return np.stack([np.cos(turn), np.sin(turn)], 1)

    def code(self, train: Truth) -> Array:
        """Cosine and sine, ``(N, 2)``."""
        return self._directions

    def credit(self, said: Array, mean: Array, rows: Truth) -> tuple[Array, Array]:
        """Cosine of the error; 0 where the answer has no direction."""
        length = np.linalg.norm(said, axis=1, keepdims=True)
        towards = np.divide(said, length, out=np.zeros_like(said), where=length > 0)
        gained = (towards * self._directions[rows]).sum(1, keepdims=True)
        return gained, np.ones_like(gained)

    def answer(self, said: Array) -> Array:
        """Degrees in 0 … 360."""
        return np.rad2deg(np.arctan2(said[:, 1], said[:, 0])) % 360

    def dealt(self, order: Whole) -> Self:
        """With the values of other clips."""
        return replace(self, values=self.values[order])

    def error(self, answers: Array) -> float:
        """Mean absolute error of answers in degrees; 90 by chance."""
        return float(np.abs((answers - self.values + 180) % 360 - 180).mean())
