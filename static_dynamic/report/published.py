"""The published result files of segmentation models: our tables written in their forms, and their texts read back.

    final/<model>/<model>_final_001.txt                        a line per stage: dims and percents; 001 is the seed
    idv_scores/<model>/<stage>,<stream>.safetensors            (C, 3): softmax over (dynamic, static, 1) of every unit
    joint_encoding/<model>/<stage>,<stream>.json               {"0": dynamic, "1": static, "2": joint, "3": none}
    joint_encoding/<model>/raw_<stage>,<stream>.safetensors    (3, C): the scores themselves, 1 for the residual

The published arrays and lists are pickles, which can run code; ours are not. A dead unit has no score: it is NaN in the
arrays, so that a row stays a unit, and is not in the lists.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_bytes, write_text
from static_dynamic.common.texts import read_lines
from static_dynamic.report.tables import in_order, stream_and_name

Array = npt.NDArray[np.float64]

PUBLISHED_FACTORS = {
    3: ("dynamic", "static", "residual"),
    4: ("dynamic", "static", "differ", "same"),
    5: ("dynamic", "static", "differ", "same", "residual"),
}
"""Names of the factors by their number in a line, since the texts do not name them."""
CLASSES = ("dynamic", "static", "joint", "residual")
"""Unit classes by their published number."""
SCORES = "scores"
"""Name of the one array in a safetensors file of ours."""
LINE = re.compile(r"Stage:\s*(\S.*?)\s*,\s*Dimensions:\s*\[([^\]]*)\]\s*\[([^\]]*)\]")
FORM = "Stage: layer1,app_stream , Dimensions: [d0, d1, dres] [p0, p1, pres]"


@dataclass(frozen=True)
class Final:
    """The content of a published text.

    Attributes:
        layers: One row per stage and factor: ``stage``, ``factor``, ``dims`` and ``percent``, which is NaN for a stage
            whose units never vary. The dims of such a stage are all 0; those of others add up to its units.
        repeated: Stages that occur more than once, for a seed that was run again; their last lines count.
    """

    layers: pd.DataFrame
    repeated: tuple[str, ...] = ()


def published_name(stage: str) -> str:
    """The published name of a stage; it is unchanged without a stream.

    Example:
        >>> published_name("app_stream.layer1"), published_name("stage3")
        ('layer1,app_stream', 'stage3')
    """
    stream, _, name = stage.rpartition(".")
    return f"{name},{stream}" if stream else name


def stage_name(published: str) -> str:
    """Our name of a published stage.

    Example:
        >>> stage_name("layer1,app_stream"), stage_name("stage3")
        ('app_stream.layer1', 'stage3')
    """
    name, _, stream = published.partition(",")
    return f"{stream}.{name}" if stream else name


def file_name(stage: str) -> str:
    """The published name of a stage, as that of a file; `stage_of_file` undoes it.

    Example:
        >>> file_name("app_stream.layer1"), file_name("encoder/1")
        ('layer1,app_stream', 'encoder%2F1')
    """
    return published_name(stage).replace("%", "%25").replace("/", "%2F")


def stage_of_file(stem: str) -> str:
    """Our name of the stage in the name of a published file.

    Example:
        >>> stage_of_file("layer1,app_stream"), stage_of_file("encoder%2F1")
        ('app_stream.layer1', 'encoder/1')
    """
    return stage_name(stem.replace("%2F", "/").replace("%25", "%"))


def write_published(layers: pd.DataFrame, units: pd.DataFrame, folder: Path, model: str, seed: int) -> None:
    """Write one seed's tables in the published forms.

    The text of a seed is replaced when the seed is run again (the published code appends). The names of the other files
    lack the seed: the last seed is kept, as published.

    Args:
        layers: One row per stage and factor, as in `Result.layers`.
        units: One row per stage and unit, as in `Result.units`; its classes are those that are written.
        folder: The folder of ``final``, ``idv_scores`` and ``joint_encoding``; published as ``dim_outputs/vos_models``.
        model: Name of the model, valid in a file name.
        seed: Number of the text.

    Raises:
        UserError: If the folder cannot be written.
    """
    write_text(folder / "final" / model / f"{model}_final_{seed:03d}.txt", final_text(layers))
    for stage, rows in units.groupby("stage", sort=False):
        name = file_name(str(stage))
        scores = raw_scores(rows)
        _write_array(folder / "idv_scores" / model / f"{name}.safetensors", unit_softmax(scores).T)
        _write_array(folder / "joint_encoding" / model / f"raw_{name}.safetensors", scores)
        members = {str(i): rows.loc[rows["class"] == kind, "unit"].tolist() for i, kind in enumerate(CLASSES)}
        write_text(folder / "joint_encoding" / model / f"{name}.json", json.dumps(members) + "\n")


def final_text(layers: pd.DataFrame) -> str:
    """The published lines of a layer table, stream by stream."""
    stages = in_order(layers, "stage")
    streams = list(dict.fromkeys(stream_and_name(stage)[0] for stage in stages))
    tables = dict(tuple(layers.groupby("stage")))
    lines = []
    for stage in sorted(stages, key=lambda stage: streams.index(stream_and_name(stage)[0])):
        dims, percent = (tables[stage][column].tolist() for column in ("dims", "percent"))
        lines.append(f"Stage: {published_name(stage)} , Dimensions: {dims} {percent}\n")
    return "".join(lines)


def read_final(path: Path) -> Final:
    """Read a published text, or our text in its form.

    Raises:
        UserError: If it cannot be read, is without stages, or a line is malformed; the line is named.
    """
    tables = [_stage_table(line, f"{path}:{number}") for number, line in read_lines(path)]
    if not tables:
        raise UserError(f"{path} does not contain a stage: its lines must have the form '{FORM}'.")
    names = [table["stage"].iloc[0] for table in tables]
    last = dict(zip(names, tables, strict=True))
    return Final(pd.concat(last.values(), ignore_index=True), tuple(name for name in last if names.count(name) > 1))


def _stage_table(line: str, where: str) -> pd.DataFrame:
    """The rows of one line."""
    match = LINE.fullmatch(line.strip())
    try:
        name, first, second = match.groups() if match else ("", "", "")
        dims, percent = [_whole(number) for number in _numbers(first)], _numbers(second)
        columns = {"factor": PUBLISHED_FACTORS[len(dims)], "dims": dims, "percent": percent}
        table = pd.DataFrame({"stage": stage_name(name), **columns})
        return table if any(dims) else table.assign(percent=np.nan)
    except (ValueError, OverflowError, KeyError):
        given = line if len(line) <= 80 else f"{line[:80]}…"
        raise UserError(
            f"{where}: a line must have the form '{FORM}', with 3 to 5 numbers each. Got {given!r}."
        ) from None


def _numbers(text: str) -> list[float]:
    """The numbers of a printed list; NumPy 2 prints them as ``np.float64(28.5)``."""
    return [float(number) for number in re.sub(r"np\.\w+\(|\)", "", text).split(",")]


def _whole(number: float) -> int:
    if number != int(number):
        raise ValueError(number)
    return int(number)


def over_seeds(seeds: Mapping[str, pd.DataFrame], ddof: int = 0, column: str = "percent") -> pd.DataFrame:
    """Mean over seeds of every factor, with its 95 % interval.

        mean ± 1.96 · std / √n

    Args:
        seeds: Layer table of every seed (``stage``, ``factor`` and ``column``) under the name of its file.
        ddof: 0 for the published population standard deviation, too small for few seeds; 1 for that of a sample.
        column: ``percent``, which is truncated, or ``share``.

    Returns:
        One row per stage and factor: ``stage``, ``factor``, ``mean``, ``low``, ``high`` (NaN for one seed) and
        ``seeds``.

    Raises:
        UserError: If the seeds do not all have the same stages and factors.
    """
    columns = {name: table.set_index(["stage", "factor"])[column] for name, table in seeds.items()}
    first, reference = next(iter(columns.items()))
    for name, values in columns.items():
        if odd := sorted(set(values.index) ^ set(reference.index)):
            stage, factor = odd[0]
            here, there = (name, first) if odd[0] in values.index else (first, name)
            raise UserError(
                f"Seeds of one model must have the same stages: {stage} ({factor}) is in {here}, but not in {there}."
            )
    table = np.stack([values.loc[reference.index].to_numpy(float) for values in columns.values()], axis=1)
    n = len(columns)
    mean = table.mean(1)
    reach = 1.96 * table.std(1, ddof=ddof) / np.sqrt(n) if n > 1 else np.full(len(table), np.nan)
    means = pd.DataFrame({"mean": mean, "low": mean - reach, "high": mean + reach, "seeds": n}, reference.index)
    return means.reset_index()


def raw_scores(units: pd.DataFrame) -> Array:
    """Scores of one stage as published: ``(3, C)`` with the rows dynamic, static and 1; NaN for a dead unit."""
    ordered = units.sort_values("unit")
    dynamic, static = (ordered[name].to_numpy(float) for name in ("dynamic", "static"))
    return np.stack([dynamic, static, np.where(np.isnan(dynamic + static), np.nan, 1.0)])


def unit_softmax(scores: Array) -> Array:
    """Softmax over the factors of every unit, ``(F, C)`` → ``(F, C)`` in 0..1; NaN for a dead unit."""
    powers = np.exp(scores - scores.max(0))
    return np.asarray(powers / powers.sum(0))


def _write_array(path: Path, values: Array) -> None:
    from safetensors.numpy import save

    write_bytes(path, save({SCORES: np.ascontiguousarray(values)}))
