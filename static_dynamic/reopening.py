"""A run on disk: its result, its store, and further scores from it without the model and the videos."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from static_dynamic.common.errors import UserError
from static_dynamic.common.places import fetch, local
from static_dynamic.estimators.base import Estimator
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.estimators.registry import describe_estimator, find_estimators
from static_dynamic.results import MEASUREMENT, Result, load
from static_dynamic.scoring import Scoring
from static_dynamic.store import STUDY, Store
from static_dynamic.top_clips import top_clips
from static_dynamic.twins import score_beside_twins, twin_stores

STORE = "store"
"""The subfolder of a run with its activations."""


@dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes:
        folder: Folder of the run, or of its store alone.
    """

    folder: Path

    @property
    def stored(self) -> Path:
        """The folder of the store."""
        return self.folder if _is_store(self.folder) else self.folder / STORE

    @cached_property
    def store(self) -> Store:
        """The activations.

        Raises:
            UserError: If they are missing.
        """
        if not _is_store(self.stored):
            raise UserError(
                f"The activations of {self.folder} are missing: {STUDY.file} is not in {self.stored}. Measure again."
            )
        return Store.open(self.stored)

    @cached_property
    def twins(self) -> list[Store]:
        """The stores of the random twins."""
        return self._twins[0]

    @cached_property
    def _twins(self) -> tuple[list[Store], list[str]]:
        """The stores of the random twins, and notes on them for the reader."""
        said = self._before().get("twins")
        return twin_stores(self.store, None if said is None else len(said))

    @cached_property
    def result(self) -> Result:
        """The result of its measurement, or of its last scoring."""
        return load(self.folder)

    def score(
        self, estimators: str | Estimator | Iterable[str | Estimator] | None = None, scoring: Scoring | None = None
    ) -> Result:
        """Compute numbers of other estimators, or with other options, from the same activations.

        Args:
            estimators: By name or as objects; ``None`` takes the usual ones.
            scoring: Pairs and intervals; ``None`` takes those of the run.

        Raises:
            UserError: If an estimator needs clips that were not shown.
        """
        chosen = find_estimators(estimators)
        scoring = scoring or self.scoring
        scores, twins = score_beside_twins(self.store, self.twins, scoring, chosen)
        before = self._before()
        manifest = {
            "study": {name: value for name, value in self.store.study.items() if name not in STUDY.notes},
            "videos": self.store.records(),
            **before,
            "scoring": asdict(scoring),
            "estimators": [describe_estimator(one) for one in chosen],
        }
        quality = self.store.judgements()
        return Result(
            scores.layers,
            scores.units,
            manifest,
            [*before.get("notes", []), *self._unfinished(), *scores.warnings],
            quality,
            scores.samples,
            twins,
            self.store.pictures(),
            top_clips(self.store),
        )

    def _unfinished(self) -> list[str]:
        """The notes on a run that was stopped."""
        there, wanted = len(self.store.records()), len(self.store.study.get("videos", ()))
        told = [f"The store contains {there} of {wanted} videos: its run was not finished."] if there < wanted else []
        return [*told, *self._twins[1]]

    def _before(self) -> dict[str, Any]:
        """The run's manifest; empty if it is missing."""
        there = MEASUREMENT.read(self.folder) or {}
        return {name: value for name, value in there.items() if name not in ("kind", "format", "warnings")}

    @property
    def scoring(self) -> Scoring:
        """The scoring of the run, with defaults for unknown options."""
        said = dict(self._before().get("scoring") or {})
        known = {name: said[name] for name in asdict(Scoring()) if name in said and name != "rule"}
        return replace(Scoring(PairRule(**said.get("rule", {}))), **known)


def _is_store(folder: Path) -> bool:
    fetch(folder, STUDY.file)
    return (folder / STUDY.file).exists()


def open_run(folder: str | Path) -> Run:
    """A run on disk: its ``result``, its ``store``, and ``score`` for other numbers from the same activations.

    Args:
        folder: Folder of a run (with ``run.json`` and ``store/``), or of a store, or its address (``s3://…``).

    Raises:
        UserError: If it contains neither, or a run of another kind.

    Example:
        >>> open_run("runs/i3d").score("needs_order,released").layer()  # doctest: +SKIP
    """
    run = Run(local(folder))
    if MEASUREMENT.read(run.folder) is None and not _is_store(run.stored):
        raise UserError(
            f"{folder} does not contain a run: neither {MEASUREMENT.file} nor a store ({STUDY.file}) exists."
        )
    return run


def score(
    run: Run | Store | str | Path,
    estimators: str | Estimator | Iterable[str | Estimator] | None = None,
    scoring: Scoring | None = None,
) -> Result:
    """Scores from activations on disk, without the model and the videos: see :meth:`Run.score`.

    Args:
        run: A run, its folder, a store, or the folder of a store.
        estimators: By name or as objects; ``None`` takes the usual ones.
        scoring: Pairs and intervals; ``None`` takes those of the run.

    Raises:
        UserError: If the run does not exist, or an estimator needs clips that were not shown.
    """
    opened = run if isinstance(run, Run) else Run(run.folder) if isinstance(run, Store) else open_run(run)
    return opened.score(estimators, scoring)
