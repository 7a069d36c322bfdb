"""Layer tables of seeds: runs or published texts, kept apart, and averaged where they belong together."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Annotated

import pandas as pd
from cyclopts import Parameter

from static_dynamic.common.commands import Several
from static_dynamic.common.errors import UserError, unknown
from static_dynamic.misc._tables import RELEASED, note, read_run
from static_dynamic.report import plots
from static_dynamic.report.published import over_seeds, read_final
from static_dynamic.sources.walk import folders_below
from static_dynamic.studies import Manifest, parts, study_differences

SHARE = ("share", plots.SHARE)
PERCENT = ("percent", "published percent (truncated dims)")
"""Column of a layer table, and its label."""

TABLE = "layers.parquet"
"""The file by which a folder is a run."""
SEED = re.compile(r"_final_\d+\.txt$")
"""End of the name of the text of a seed."""


@dataclass(frozen=True)
class Seeds:
    """Layer tables of one kind.

    Attributes:
        tables: One per seed, under the name of the file or folder that it comes from.
        manifests: How the runs were made, under the same names; empty for published texts.
    """

    tables: Mapping[str, pd.DataFrame]
    manifests: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def quantity(self) -> tuple[str, str]:
        """The column with the size of a factor, and its label: runs give it more exactly than texts."""
        return SHARE if self.manifests else PERCENT

    def some(self, names: Collection[str]) -> "Seeds":
        """The seeds of these names."""
        tables = {name: self.tables[name] for name in names}
        return Seeds(tables, {name: self.manifests[name] for name in names if name in self.manifests})


@dataclass(frozen=True)
class Means:
    """The numbers of some seeds that are drawn and printed.

    Attributes:
        table: One row per stage and factor: ``stage``, ``factor``, ``mean``, ``low``, ``high``, ``seeds``.
        quantity: What ``mean`` is, in words.
        interval: What ``low`` and ``high`` are, in words; empty where there are none.
    """

    table: pd.DataFrame
    quantity: str
    interval: str

    @property
    def label(self) -> str:
        """Quantity and interval, in two lines."""
        return "\n".join(filter(None, (self.quantity, self.interval)))


Parts = Annotated[Several, Parameter(metavar="PART", show_default=False)]
"""The option that lets runs differ in more than the seed."""


def read_seeds(places: Iterable[Path], deep: bool = False) -> Seeds:
    """The layer tables of runs or of published texts.

    Args:
        places: Runs, texts, or folders of one of them.
        deep: Whether folders are searched at any depth.

    Raises:
        UserError: If a place holds none or both, or one cannot be read or is given twice.
    """
    sources = [source for place in places for source in _sources(place, deep)]
    _require_one_kind(sources)
    _require_each_once(sources)
    if not sources[0].is_dir():
        return Seeds({str(text): _final(text) for text in sources})
    results = {str(run): read_run(run) for run in sources}
    manifests = {
        name: {**result.manifest, "estimators": [result.described(RELEASED)]} for name, result in results.items()
    }
    for name, manifest in manifests.items():
        if len(manifests) > 1 and not isinstance(manifest.get("study"), dict):
            raise UserError(
                f"{name}/run.json does not state what was measured, so it cannot be compared with other runs."
            )
    return Seeds({name: result.layer(RELEASED) for name, result in results.items()}, manifests)


def mean_over(seeds: Seeds, ddof: int = 0) -> Means:
    """The mean over seeds with its interval or, of one run, its own share with its interval over videos.

    Raises:
        UserError: If the seeds hold other stages or factors, one repeats another, or texts are of two models.
    """
    _require_one_model(seeds.tables)
    _require_no_repeats(seeds.manifests)
    column, quantity = seeds.quantity
    means, count = over_seeds(seeds.tables, ddof, column), len(seeds.tables)
    interval = f"95 % interval over {count} seeds"
    if count == 1 and seeds.manifests:
        ((name, table),) = seeds.tables.items()
        means = means.assign(low=table["share_low"].to_numpy(float), high=table["share_high"].to_numpy(float))
        confidence = seeds.manifests[name].get("scoring", {}).get("confidence", 0.95)
        interval = f"{100 * confidence:g} % interval over videos"
    return Means(means, quantity, interval if means[["low", "high"]].notna().any(axis=None) else "")


def require_one_study(seeds: Seeds, across: Collection[str] = ()) -> None:
    """Make sure that runs differ in the seed alone; published texts do not state this.

    Args:
        seeds: The seeds.
        across: What else may differ, by the names of `static_dynamic.studies.parts`.

    Raises:
        UserError: If they differ otherwise; the difference is named.
    """
    if across and not seeds.manifests:
        raise UserError("--across is for runs: published texts do not state how they were made.")
    described = {name: manifest for name, manifest in seeds.manifests.items() if "study" in manifest}
    if not described:
        return
    (first, reference), *others = described.items()
    known = {part for manifest in described.values() for name in parts(manifest) for part in _prefixes(name)}
    for name in across:
        if name not in known:
            raise unknown("part of a study", name, sorted(known), where="--across")
    for name, manifest in others:
        if differing := study_differences(reference, manifest, ["seed", *across]):
            rest = dict.fromkeys(part.partition(".")[0] for part in list(differing)[3:])
            raise UserError(
                f"{name} (here) and {first} (there) differ in more than the seed: "
                f"{'; '.join(list(differing.values())[:3])}{'; also in ' * bool(rest)}{', '.join(rest)}. "
                "To average them anyway, name what may differ: --across PART …"
            )


def _prefixes(name: str) -> list[str]:
    """``a.b.c`` → ``a``, ``a.b``, ``a.b.c``."""
    steps = name.split(".")
    return [".".join(steps[:end]) for end in range(1, len(steps) + 1)]


def _require_no_repeats(manifests: Mapping[str, Manifest]) -> None:
    for (first, there), (second, here) in combinations(manifests.items(), 2):
        if not study_differences(there, here):
            raise UserError(f"{second} repeats {first}: not even the seed differs, and a seed counts once.")


def _require_one_model(names: Iterable[str]) -> None:
    """Published texts state their model only in their names."""
    texts = [path for path in map(Path, names) if SEED.search(path.name)]
    models = {SEED.sub("", path.name): path for path in texts}
    if len(models) > 1:
        first, second = list(models.values())[:2]
        raise UserError(f"{first} and {second} belong to two models: a seed's text is <model>_final_<seed>.txt.")


def _require_one_kind(sources: Sequence[Path]) -> None:
    kinds = {source.is_dir(): source for source in reversed(sources)}
    if len(kinds) > 1:
        raise UserError(
            f"{kinds[True]} is a run and {kinds[False]} a published text: the share of the one is not the truncated "
            "percent of the other. Give either runs or texts."
        )


def _require_each_once(sources: Iterable[Path]) -> None:
    seen: dict[Path, Path] = {}
    for source in sources:
        if (other := seen.setdefault(source.resolve(), source)) is not source:
            raise UserError(f"{source} is given twice, the first time as {other}: a seed counts once.")


def _sources(place: Path, deep: bool) -> list[Path]:
    """The runs and texts of a place: itself, or those in it."""
    if place.is_file() or (place / TABLE).exists():
        return [place]
    if not place.exists():
        raise UserError(f"The file or folder {str(place)!r} is missing.")
    runs, texts = [], []
    for folder, names in folders_below(place) if deep else _near(place):
        runs += [folder] * (TABLE in names)
        texts += [folder / name for name in names if name.endswith(".txt") and (deep or folder == place)]
    if not texts + runs:
        raise UserError(f"{place} holds neither published texts (*.txt) nor runs ({TABLE}).")
    return runs + texts


def _near(place: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those in it, each with the names of its files; hidden ones are left out."""
    try:
        folders = sorted(path for path in place.glob("[!.]*") if path.is_dir())
        yield from ((folder, sorted(path.name for path in folder.glob("[!.]*"))) for folder in (place, *folders))
    except OSError as error:
        raise UserError(f"{error.filename or place} cannot be read: {error.strerror}.") from None


def _final(path: Path) -> pd.DataFrame:
    final = read_final(path)
    if final.repeated:
        note(f"{path}: {len(final.repeated)} stages appear more than once; the last lines count.")
    return final.layers
