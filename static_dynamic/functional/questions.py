"""Targets of a probe: a class, a number or an angle, with the regression target and the score of an answer."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from static_dynamic.functional.contrasts import Array

Whole = npt.NDArray[np.intp]
Truth = npt.NDArray[np.bool_]

SOLID = 1e-6
"""Part of the mean variance that is added to every direction that separates classes."""
UNEVEN = 0.1
"""Mean cosine of the error of the mean direction above which directions count as uneven."""


class Question(Protocol):
    """A target that is read out of ``N`` clips."""

    @property
    def chance(self) -> float:
        """The score of the best constant answer."""

    @property
    def code(self) -> Array:
        """The target of the regression, ``(N, k)``."""

    def answer(self, said: Array, rehearsed: Array, others: Array, train: Truth) -> Array:
        """One answer per test clip.

        Args:
            said: Predictions for the test clips, ``(m, k)``, less the training mean.
            rehearsed: The same for every training clip, by the regression without its group, ``(n, k)``.
            others: The training mean without the group of every training clip, ``(n, k)``.
            train: Which clips are training clips, ``(N,)``.
        """

    def credit(self, answers: Array, rows: Truth, train: Truth) -> tuple[Array, Array]:
        """The gain of answers for some clips, and the possible gain, ``(m, parts)``."""

    def dealt(self, order: Whole) -> Self:
        """Ask the same question with the values of other clips."""


@dataclass(frozen=True)
class Classes:
    """One of several classes, scored by balanced accuracy: the mean over classes of the share that is recognised.

    Indicators of the classes are regressed on. A clip is assigned the class whose training clips are nearest,
    by the Mahalanobis distance between predictions. Neither the frequency of a class nor its place between others
    decides.

    Attributes:
        values: ``(N,)``, 0 … ``count`` - 1.
        count: Number of classes.

    Source: Hastie, Tibshirani and Buja, JASA 1994 (discriminant analysis by regression on indicators).
    """

    values: Whole
    count: int

    @property
    def chance(self) -> float:
        """1 / classes."""
        return 1 / self.count

    @property
    def code(self) -> Array:
        """Indicators ``(N, classes)``."""
        return np.eye(self.count)[self.values]

    def answer(self, said: Array, rehearsed: Array, others: Array, train: Truth) -> Array:
        """The class."""
        members = self.code[train]
        there = members.any(0)
        centres = (members.T @ rehearsed)[there] / members.sum(0)[there, None]
        within = rehearsed - centres[(np.cumsum(there) - 1)[self.values[train]]]
        solid = SOLID * (np.square(rehearsed).mean() or 1.0) * np.eye(self.count)
        metric = np.linalg.inv(within.T @ within / len(within) + solid)
        apart = said[:, None] - centres
        distance = np.einsum("mck,kl,mcl->mc", apart, metric, apart, optimize=True)
        return np.flatnonzero(there)[distance.argmin(1)].astype(np.float64)

    def credit(self, answers: Array, rows: Truth, train: Truth) -> tuple[Array, Array]:
        """Whether it is recognised, in the column of its class."""
        possible = self.code[rows]
        return possible * (answers == self.values[rows])[:, None], possible

    def dealt(self, order: Whole) -> Self:
        """With the values of other clips."""
        return replace(self, values=self.values[order])


@dataclass(frozen=True)
class Number:
    """A number, scored by R²: 1 less the ratio of the squared error to that of the training mean.

    Attributes:
        values: ``(N,)``.
    """

    values: Array
    chance = 0.0

    @property
    def code(self) -> Array:
        """The number itself, ``(N, 1)``."""
        return np.asarray(self.values, np.float64)[:, None]

    def answer(self, said: Array, rehearsed: Array, others: Array, train: Truth) -> Array:
        """The number."""
        return said[:, 0] + self.code[train].mean()

    def credit(self, answers: Array, rows: Truth, train: Truth) -> tuple[Array, Array]:
        """Squared error that an answer saves, and that of the mean."""
        possible = (self.code[rows] - self.code[train].mean()) ** 2
        return possible - (self.code[rows] - answers[:, None]) ** 2, possible

    def dealt(self, order: Whole) -> Self:
        """With the values of other clips."""
        return replace(self, values=self.values[order])


@dataclass(frozen=True)
class Angle:
    """An angle, scored by the mean cosine of the error; the regression is on its cosine and sine.

    The training mean is added to the predictions only where directions are uneven, so that it alone predicts
    training groups that are left out. Where they are even, it points away from held-out groups.

    Attributes:
        values: ``(N,)``, degrees.
    """

    values: Array

    @property
    def chance(self) -> float:
        """Length of the mean direction: 0 where directions are balanced."""
        return float(np.hypot(*self.code.mean(0)))

    @property
    def code(self) -> Array:
        """Cosine and sine, ``(N, 2)``."""
        turn = np.deg2rad(self.values)
        return np.stack([np.cos(turn), np.sin(turn)], 1)

    def answer(self, said: Array, rehearsed: Array, others: Array, train: Truth) -> Array:
        """Degrees in 0 … 360."""
        uneven = float(self.credit(_degrees(others), train, train)[0].mean()) > UNEVEN
        return _degrees(said + uneven * self.code[train].mean(0))

    def credit(self, answers: Array, rows: Truth, train: Truth) -> tuple[Array, Array]:
        """Cosine of the error."""
        gained = np.cos(np.deg2rad(answers - self.values[rows]))[:, None]
        return gained, np.ones_like(gained)

    def dealt(self, order: Whole) -> Self:
        """With the values of other clips."""
        return replace(self, values=self.values[order])

    def error(self, answers: Array) -> float:
        """Mean absolute error of answers in degrees; 90 by chance."""
        return float(np.abs((answers - self.values + 180) % 360 - 180).mean())


def _degrees(directions: Array) -> Array:
    return np.rad2deg(np.arctan2(directions[:, 1], directions[:, 0])) % 360
