"""Write a measurement to the folder of the run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from static_dynamic.common.tables import as_csv
from static_dynamic.config import Config, plain
from static_dynamic.estimators.released import Released

if TYPE_CHECKING:
    from static_dynamic import Result

RELEASED = Released.name


def save(result: "Result", config: Config) -> None:
    """Write tables, manifest, plots, the report and the published output file."""
    folder = result.save(config.folder)
    if RELEASED in result.estimators:
        save_published(result, config)
    else:
        print(f"Note: published files are not written, since they require the estimator {RELEASED}.", file=sys.stderr)
    if config.joint_encoding:
        save_classes(result, folder)
    result.report(folder / "report.html")
    result.plot(folder)


def save_published(result: "Result", config: Config) -> None:
    """Write the published files, which hold the released score."""
    from static_dynamic.common.files import write_text
    from static_dynamic.report.published import write_published

    write_text(config.folder / f"{plain(config.model)}_dim_est.csv", published_csv(result))
    if config.dim_outputs:
        tables = result.layer(RELEASED), result.unit(RELEASED)
        write_published(*tables, config.dim_outputs / "vos_models", config.run_name, config.seed)


def save_classes(result: "Result", folder: Path) -> None:
    """Write the unit classes: those of the released score under the published name, others under their own names."""
    from static_dynamic.common.files import write_text

    for name in with_classes(result):
        file = "joint_encoding.csv" if name == RELEASED else f"joint_encoding-{name}.csv"
        write_text(folder / file, as_csv(result.classes(name).round(1), index=True))


def with_classes(result: "Result") -> list[str]:
    """The estimators that sort units into classes."""
    return [name for name in result.estimators if result.described(name)["classes"]]


def published_csv(result: "Result") -> str:
    """The published ``<model>_dim_est.csv``: a line of dims and one of percents for every stage."""
    import pandas as pd

    layers = result.layer(RELEASED).groupby("stage", sort=False)
    rows = [layer[column].tolist() for _, layer in layers for column in ("dims", "percent")]
    return as_csv(pd.DataFrame(rows, dtype=object), header=False)
