"""Unit scores, of published files and of runs, in one form, and the shared parts of these command lines."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.report.published import PUBLISHED_FACTORS, SCORES, stage_name, stage_of_file
from static_dynamic.report.tables import stream_and_name
from static_dynamic.report.theme import format_of
from static_dynamic.results import Result, load

Array = npt.NDArray[np.float64]
Width = Literal["single", "double"]
"""The width of a figure: one column of a page, or two."""


# Runs

COLUMNS = {
    "layers": ("estimator", "stage", "factor", "share", "share_low", "share_high", "percent"),
    "units": ("estimator", "stage", "unit", "dynamic", "static"),
}
"""Columns of the tables of a run that are read."""
RELEASED = "released"
"""The estimator of the published files and of these scripts."""


def read_run(place: Path) -> Result:
    """A run of this project.

    Raises:
        UserError: If it cannot be read, another version wrote it, or the published score was not measured.
    """
    result = load(place)
    for name, columns in COLUMNS.items():
        path, table = place / f"{name}.parquet", getattr(result, name)
        if missing := [column for column in columns if column not in table]:
            raise UserError(f"{path} has no column {missing[0]!r}: another version wrote it. Measure again.")
        if table.empty:
            raise UserError(f"{path} holds no stage.")
    if RELEASED not in result.estimators:
        raise UserError(
            f"{place} holds {', '.join(result.estimators)}, and this is about the published score: measure again with "
            f"`estimators={RELEASED!r}`."
        )
    return result


# Units


def read_units(place: Path) -> pd.DataFrame:
    """Unit scores of every stage: columns ``stage``, ``unit``, ``dynamic``, ``static``; NaN for a dead unit.

    Args:
        place: A run of ours, or a published folder: ``joint_encoding/<model>`` or ``idv_scores/<model>``. Both give
            the same scores, as a softmax with one score known can be undone.

    Raises:
        UserError: If there are none, or a file cannot be read or has another form.
    """
    require_folder(place)
    if (place / "units.parquet").exists():
        units: pd.DataFrame = read_run(place).unit(RELEASED)[["stage", "unit", "dynamic", "static"]]
        return units
    files = [path for path in place.glob("[!.]*") if path.suffix in (".pkl", ".safetensors")]
    files = [path for path in files if path.name.startswith("raw_")] or files
    if not files:
        raise UserError(f"{place} holds neither published scores (*.pkl, *.safetensors) nor a run (units.parquet).")
    return pd.concat([_unit_table(path) for path in _by_stage(files)], ignore_index=True)


def read_scores(path: Path) -> Array:
    """The array in a published pickle or in a safetensors file of ours, ``(C, 3)`` or, if raw, ``(3, C)``.

    A pickle can name nothing but arrays of numbers, so it runs no code.

    Raises:
        UserError: If the file cannot be read or holds anything else.
    """
    try:
        values = _read_pickle(path) if path.suffix == ".pkl" else _read_safetensors(path)
    except UserError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise UserError(f"{path} cannot be read: {reason}.") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiu":
        raise UserError(f"{path} must hold the scores of units, a (C, 3) or (3, C) array. Got {type(values).__name__}.")
    return values.astype(np.float64)


def _read_pickle(path: Path) -> Any:
    from static_dynamic.common.pickles import check_pickle
    from static_dynamic.models.weights.unpickling import HarmlessUnpickler, PlainArray, RefusedError

    try:
        with path.open("rb") as stream:
            check_pickle(stream)
            stream.seek(0)
            content = HarmlessUnpickler(stream, encoding="latin1").load()
    except RefusedError as refused:
        raise UserError(f"{path} was not read: it names '{refused}', which may run code.") from None
    return content.values if isinstance(content, PlainArray) else content


def _read_safetensors(path: Path) -> Any:
    from safetensors.numpy import load_file

    arrays = load_file(path)
    if SCORES not in arrays:
        raise UserError(f"{path} must hold an array {SCORES!r}. Got {', '.join(list(arrays)[:3]) or 'none'}.")
    return arrays[SCORES]


def _by_stage(files: Iterable[Path]) -> list[Path]:
    """Files in the order of their stages; each stage must have one."""
    from static_dynamic.media.images import natural_key

    found: dict[str, Path] = {}
    for path in files:
        if (other := found.setdefault(_stage_of(path), path)) != path:
            raise UserError(f"Stage {_stage_of(path)} is in two files: {other} and {path.name}.")
    return [found[stage] for stage in sorted(found, key=natural_key)]


def _stage_of(path: Path) -> str:
    return stage_of_file(path.stem.removeprefix("raw_"))


def _unit_table(path: Path) -> pd.DataFrame:
    values = read_scores(path)
    raw = path.name.startswith("raw_")
    scores = values if raw else values.T
    if len(scores) not in PUBLISHED_FACTORS:
        wanted = "(3, C)" if raw else "(C, 3)"
        raise UserError(f"{path} must hold the scores of units, {wanted}. Got {values.shape}.")
    dynamic, static = scores[:2] if raw else 1 + np.log(scores[:2] / scores[2])
    return pd.DataFrame({"stage": _stage_of(path), "unit": range(len(dynamic)), "dynamic": dynamic, "static": static})


# Shared parts of the command lines


def require_folder(place: Path) -> None:
    """Raise a UserError if the folder is missing."""
    if not place.is_dir():
        raise UserError(f"The folder {str(place)!r} is missing.")


def pick(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Rows of the stages that match names or globs, ours or published.

    Raises:
        UserError: If one matches no stage.
    """
    stages = list(dict.fromkeys(table["stage"]))
    chosen: set[str] = set()
    for name in names:
        matching = [stage for stage in stages if fnmatchcase(stage, stage_name(name))]
        if not matching:
            raise unknown("stage", name, stages, where="--stages")
        chosen.update(matching)
    return table[table["stage"].isin(chosen)]


def picture(out: Path, name: str) -> Path:
    """The path of the picture of a stage or stream: its name replaces ``%s``, or is at the end.

    Raises:
        UserError: If the ending is not that of a figure.

    Example:
        >>> picture(Path("plots/a_%s.png"), "layer1").as_posix(), picture(Path("b.pdf"), "layer1").as_posix()
        ('plots/a_layer1.png', 'b_layer1.pdf')
    """
    format_of(out)
    name = name.replace(" ", "_").replace("/", "-")
    return Path(str(out).replace("%s", name)) if "%s" in str(out) else out.with_stem(f"{out.stem}_{name}")


def streams(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of every stream; one without a name is called ``model``."""
    names = table["stage"].map(lambda stage: stream_and_name(stage)[0] or "model")
    for stream, rows in table.groupby(names, sort=False):
        yield str(stream), rows


def note(text: str) -> None:
    """Print a note on stderr that does not stop the script."""
    print(f"note: {text}", file=sys.stderr)
