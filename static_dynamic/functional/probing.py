"""Probes: what a linear read-out of activations predicts for held-out clips, and from which stage on.

Clips of one group are always in one fold. A ridge regression is solved per fold from one eigendecomposition, which
also gives the exact prediction for every training group by a regression without it. These choose the penalty.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.common.numbers import is_real, is_whole
from static_dynamic.common.seeds import generator
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.questions import Question, Truth, Whole

PENALTIES = tuple(10.0**power for power in range(-6, 5))
"""Candidates for the penalty, in units of the mean eigenvalue."""
FEWEST_FOLDS = 3
"""With three there are always two training groups, so that one can be left out to choose the penalty."""
CONSTANT = 1e-6
"""A unit that varies by a smaller part of its largest value on the training clips is rounding, and is left out."""


class ReadOut(NamedTuple):
    """The predictions of a probe for clips in the folds to which it was not fitted.

    Attributes:
        gained: What the answers gain, summed over the clips of every group, ``(groups, parts)``.
        possible: What could be gained, likewise.
        answers: ``(N,)``: number of the class, number, or degrees.
        penalties: The penalty that was chosen in every fold, ``(folds,)``.
    """

    gained: Array
    possible: Array
    answers: Array
    penalties: Array

    def score(self, weights: npt.ArrayLike = 1.0) -> Array:
        """Mean over parts of the gained share of the possible, for every row of weights of groups.

            classes: (1/K) Σ_k hits_k / n_k;   number: 1 - Σ (y - ŷ)² / Σ (y - ȳ)²;   angle: (1/n) Σ cos(ŷ - y)

        Args:
            weights: How often every group counts, ``(…, groups)``.

        Returns:
            ``(…)``.
        """
        weights = np.broadcast_to(np.asarray(weights, np.float64), (*np.shape(weights)[:-1], len(self.gained)))
        with np.errstate(invalid="ignore"):  # a resample may lack the clips of a class
            return np.nanmean((weights @ self.gained) / (weights @ self.possible), axis=-1)


def read_out(
    x: npt.ArrayLike,
    targets: Sequence[Question],
    groups: npt.ArrayLike,
    folds: npt.ArrayLike,
    penalties: Sequence[float] = PENALTIES,
) -> list[ReadOut]:
    """Predict held-out clips by ridge regressions, for several targets of the same clips at once.

    With ``y`` the targets and ``x`` the units, standardised, all means and weights from the training folds:

        ŷ = ȳ + (x - x̄) W,   W = argmin Σ |y - ŷ|² + λ |W|²

    λ is the penalty, times the mean eigenvalue of the Gram matrix, with the least squared error on training groups
    that are left out one at a time.

    Args:
        x: Activations, ``(N, C)``.
        targets: Targets of the ``N`` clips.
        groups: Number of the group of every clip, 0 … G - 1, ``(N,)``.
        folds: Fold of every clip, 0 … F - 1, ``(N,)``; see `deal_groups`.
        penalties: The candidates.

    Raises:
        UserError: If an activation is NaN or infinite, or a group is in two folds.

    Source: Hoerl and Kennard, Technometrics 1970; for the left-out predictions Allen, Technometrics 1974.

    Example:
        >>> from static_dynamic.functional import Number
        >>> x = np.random.default_rng(0).normal(size=(60, 5))
        >>> clips = np.arange(60)
        >>> [found] = read_out(x, [Number(x @ np.arange(5.0))], clips, deal_groups(clips, 5))
        >>> round(float(found.score()), 3)
        1.0
    """
    x, groups, folds = np.asarray(x, np.float64), np.asarray(groups, np.intp), np.asarray(folds, np.intp)
    _check(x, groups, folds)
    codes = [target.code for target in targets]
    y, parts = np.concatenate(codes, 1), _side_by_side(codes)
    answers = np.zeros((len(targets), len(x)))
    chosen = np.zeros((len(targets), len(np.unique(folds))))
    credits: list[list[tuple[Array, Array]]] = [[] for _ in targets]
    for place, fold in enumerate(np.unique(folds)):
        test = folds == fold
        train = ~test
        standard = standardised(x, train)
        basis = find_basis(standard[train], standard[test])
        errors = np.stack([basis.left_out(y[train], groups[train], penalty) for penalty in penalties])
        for number, (target, part) in enumerate(zip(targets, parts, strict=True)):
            best = int((errors[:, :, part] ** 2).sum((1, 2)).argmin())
            chosen[number, place] = penalties[best]
            own = y[train, part]
            said = basis.predict(own, penalties[best]) - own.mean(0)
            others = _mean_of_others(own, groups[train])
            rehearsed = own - errors[best, :, part] - others
            answers[number, test] = target.answer(said, rehearsed, others, train)
            credits[number].append(target.credit(answers[number, test], test, train))
    rows = np.concatenate([np.flatnonzero(folds == fold) for fold in np.unique(folds)])
    sums = [[_by_group(np.concatenate(some), groups[rows]) for some in zip(*of, strict=True)] for of in credits]
    return [ReadOut(*both, *rest) for both, *rest in zip(sums, answers, chosen, strict=True)]


def _check(x: Array, groups: Whole, folds: Whole) -> None:
    if broken := int((~np.isfinite(x)).any(1).sum()):
        raise UserError(f"A probe needs finite activations. {broken} of {len(x)} clips give NaN or infinity.")
    if len(np.unique(np.stack([groups, folds]), axis=1).T) > len(np.unique(groups)):
        raise UserError("All clips of a group must be in one fold.")


def _by_group(values: Array, groups: Whole) -> Array:
    """Sums over the clips of every group, ``(groups, k)``."""
    sums = np.zeros((groups.max() + 1, values.shape[1]))
    np.add.at(sums, groups, values)
    return sums


def _mean_of_others(values: Array, groups: Whole) -> Array:
    """For every clip the mean of the clips of all other groups, ``(n, k)``."""
    others = len(groups) - np.bincount(groups)[groups]
    return (values.sum(0) - _by_group(values, groups)[groups]) / others[:, None]


def _side_by_side(codes: Sequence[Array]) -> list[slice]:
    """The columns of every target among those of all targets."""
    ends = np.cumsum([code.shape[1] for code in codes])
    return [slice(end - code.shape[1], end) for end, code in zip(ends, codes, strict=True)]


def standardised(x: Array, train: Truth) -> Array:
    """Activations with mean 0 and variance 1 over the training clips; units that are constant there are left out."""
    mean, spread = x[train].mean(0), x[train].std(0)
    varies = spread > CONSTANT * np.abs(x[train]).max(0)
    return (x[:, varies] - mean[varies]) / spread[varies]


class Basis(NamedTuple):
    """The directions in which training activations vary.

    Attributes:
        u: Eigenvectors of their Gram matrix, ``(n, r)``.
        s: Eigenvalues, ``(r,)``.
        test: Products of test and training activations in these directions, ``(m, r)``.
        unit: The mean eigenvalue, over all possible directions.
    """

    u: Array
    s: Array
    test: Array
    unit: float

    def predict(self, y: Array, penalty: float) -> Array:
        """Predictions ``(m, k)`` for the test clips from ``y`` ``(n, k)``."""
        mean = y.mean(0)
        return mean + self.test @ (self.u.T @ (y - mean) / (self.s[:, None] + self.unit * penalty))

    def left_out(self, y: Array, groups: Whole, penalty: float) -> Array:
        """Errors ``(n, k)`` on every training group of the regression that is fitted without it.

        e_g = (I - H_gg)⁻¹ (y_g - ŷ_g),   H = 11ᵀ / n + U diag(s / (s + λ)) Uᵀ
        """
        kept = self.s / (self.s + self.unit * penalty)
        mean = y.mean(0)
        residual = y - mean - self.u @ (kept[:, None] * (self.u.T @ (y - mean)))
        errors = np.empty_like(residual)
        for rows in _rows_by_size(groups):
            u = self.u[rows]
            hat = (u * kept) @ u.swapaxes(1, 2) + 1 / len(y)
            errors[rows] = np.linalg.solve(np.eye(rows.shape[1]) - hat, residual[rows])
        return errors


def find_basis(train: Array, test: Array, dual: bool | None = None) -> Basis:
    """The basis of standardised activations ``(n, C)`` and ``(m, C)``.

    Args:
        train: Activations of the training clips.
        test: Activations of the test clips.
        dual: Whether the Gram matrix ``(n, n)`` is decomposed or the covariance ``(C, C)``; the smaller for ``None``.
    """
    clips, units = train.shape
    dual = clips < units if dual is None else dual
    s, vectors = np.linalg.eigh(train @ train.T if dual else train.T @ train)
    kept = s > np.finfo(float).eps * max(clips, units) * s.max(initial=0)
    s, vectors = s[kept], vectors[:, kept]
    root = np.sqrt(s)
    unit = float(s.sum() / max(1, min(clips - 1, units))) or 1.0  # without variance any number will do
    if dual:
        return Basis(vectors, s, test @ (train.T @ vectors), unit)
    return Basis(train @ vectors / root, s, test @ vectors * root, unit)


def _rows_by_size(groups: Whole) -> Iterator[Whole]:
    """Rows of all groups of one size, ``(groups, size)``, size by size."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    for size in sorted({len(part) for part in parts}):
        yield np.stack([part for part in parts if len(part) == size])


def deal_groups(
    groups: npt.ArrayLike, folds: int = 5, seed: int = 0, balance: npt.ArrayLike | None = None
) -> npt.NDArray[np.intp]:
    """Assign a fold to every clip: whole groups, so that folds are balanced.

    Groups are taken at random, the largest first. Each goes to the fold with the least ``Σ_k n_fk n_gk / n_k²``,
    where ``n_k`` is how often ``k`` occurs in all. Of equal folds it takes the one with the fewest clips.

    Args:
        groups: Number of the group of every clip, 0 … G - 1, ``(N,)``.
        folds: Number of folds, 3 or more.
        seed: Seed of the order.
        balance: What is balanced, e.g. indicators of classes, ``(N, K)``; the number of clips for ``None``.

    Raises:
        UserError: If there are fewer than three folds, or fewer groups than folds.

    Example:
        >>> deal_groups([0, 0, 1, 1, 2, 2], folds=3).reshape(3, 2).tolist()
        [[1, 1], [0, 0], [2, 2]]
    """
    groups = np.asarray(groups, np.intp)
    count = int(groups.max()) + 1
    if not is_whole(folds) or folds < FEWEST_FOLDS:
        raise UserError(f"Probes need {FEWEST_FOLDS} folds or more: `folds=5`. Got {folds!r}.")
    if count < folds:
        raise UserError(f"{folds} folds need {folds} groups or more. Got {count}: give more clips, or fewer `folds`.")
    sizes = np.bincount(groups, minlength=count)
    of_groups = _by_group(np.ones((len(groups), 1)) if balance is None else np.asarray(balance, float), groups)
    rarity = 1 / np.maximum(of_groups.sum(0), 1) ** 2
    order = generator(seed, "folds", count).permutation(count)
    order = order[np.argsort(-sizes[order], kind="stable")]
    held, clips = np.zeros((folds, of_groups.shape[1])), np.zeros(folds, np.intp)
    fold = np.empty(count, np.intp)
    for group in order:
        cost = np.round(held @ (rarity * of_groups[group]), 12)
        fold[group] = np.lexsort((clips, cost))[0]
        held[fold[group]] += of_groups[group]
        clips[fold[group]] += sizes[group]
    return fold[groups]


def dealt_again(groups: npt.ArrayLike, rng: np.random.Generator) -> Whole:
    """A control task: an order of clips that assigns values at random to whole groups.

    Values of a group are shuffled within it, and go to another group together, as far as groups are equally large. So
    the frequency of each value and the similarity within groups are kept.

    Args:
        groups: Number of the group of every clip, ``(N,)``.
        rng: Generator that draws the order.

    Returns:
        ``(N,)``: clip ``i`` is given the value of clip ``order[i]``.

    Source: after the control tasks of Hewitt and Liang, EMNLP 2019.
    """
    groups = np.asarray(groups, np.intp)
    given, taken = (_in_random_order(groups, rng) for _ in range(2))
    order = np.empty(len(groups), np.intp)
    order[taken] = given
    return order


def _in_random_order(groups: Whole, rng: np.random.Generator) -> Whole:
    """All clips, group by group, at random."""
    shuffled = rng.permutation(len(groups))
    places = rng.permutation(int(groups.max()) + 1)
    return shuffled[np.argsort(places[groups[shuffled]], kind="stable")]


def onset(scores: npt.ArrayLike, chance: float = 0.0, part: float = 0.5) -> Whole:
    """Number of the first stage that reaches a given part of the best stage's score above chance.

        min { s : θ_s - c ≥ part · max_t (θ_t - c) }

    Args:
        scores: Scores by depth along the last axis, ``(…, stages)``.
        chance: ``c``.
        part: The part, in (0, 1].

    Returns:
        ``(…)``; the number of stages where none is above chance.

    Raises:
        UserError: If the part is outside (0, 1].

    Example:
        >>> int(onset([0.1, 0.5, 0.9, 0.6]))
        1
    """
    if not is_real(part) or not 0 < part <= 1:
        raise UserError(f"The 'part' of an onset must be in (0, 1]. Got {part!r}.")
    above = np.asarray(scores, np.float64) - chance
    best = above.max(-1, keepdims=True)
    reached = (best > 0) & (above >= part * best)
    return np.where(reached.any(-1), reached.argmax(-1), above.shape[-1])
