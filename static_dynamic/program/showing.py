"""Print a measurement: tables that fit the terminal, notes, and the location of the files."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from static_dynamic.common.commands import as_flags
from static_dynamic.common.errors import with_addresses
from static_dynamic.common.tables import rows_of
from static_dynamic.config import Config
from static_dynamic.program.saving import with_classes
from static_dynamic.program.tables import Content, print_table, terminal

if TYPE_CHECKING:
    from rich.console import Console

    from static_dynamic import Result
    from static_dynamic.report.parts import Part


def show(result: "Result", config: Config) -> None:
    """Print the tables, the warnings, and the location of the files."""
    from static_dynamic.report.tables import quality_means, time_seen

    console = terminal()
    print_parts(console, result)
    for name in with_classes(result) if config.joint_encoding else ():
        classes = result.classes(name)
        rows = [
            [stage, *(f"{share:.1f}" for share in row)]
            for stage, row in zip(classes.index, classes.to_numpy(), strict=True)
        ]
        print_table(console, f"Units of every class of {name}, percent", ["stage", *classes.columns], rows)
    if audited := result.manifest.get("audit"):
        columns = ["style", "colour", "texture", "motion", "flicker", "edges", "verdict"]
        rows = [[_short(row[column]) for column in columns] for row in audited]
        print_table(console, "Audit of the styles", columns, rows)
    if result.quality is not None:
        means = quality_means(result.quality).drop(columns=[f"success_{percent}" for percent in range(50, 100, 10)])
        rows = [[str(row[0]), str(row[1]), *(f"{value:.3g}" for value in row[2:])] for row in means.to_numpy()]
        print_table(console, "Quality of the masks, 0..1", list(means.columns), rows)
    if not any(part.has_twins for part in result.parts):
        line = "These numbers are not compared with untrained copies, so they do not show what was learned: `twins=3`."
        console.print(f"Note: {as_flags(line)}", style="yellow", markup=False, soft_wrap=True)
    if seen := time_seen(result.manifest.get("seconds_seen")):
        console.print(seen, markup=False, soft_wrap=True)
    for warning in result.warnings:
        console.print(f"Note: {as_flags(warning)}", style="yellow", markup=False, soft_wrap=True)
    console.print(with_addresses(f"Tables, plots and report.html: {config.folder}/"), markup=False, soft_wrap=True)


def show_spent(seconds: Mapping[str, float]) -> None:
    """Print the seconds of every part of a run; reading, restyling and preparing go on beside the model."""
    print_table(terminal(), "Where the time went", ["part", "seconds"], [[p, f"{s:.1f}"] for p, s in seconds.items()])


def print_parts(console: "Console", result: "Result") -> None:
    """Print the numbers of every estimator."""
    for part in result.parts:
        content = _single(part, _confidence(result)) if part.single else _several(part, _confidence(result))
        print_table(console, *content)


def _confidence(result: "Result") -> str:
    return f"{100 * result.manifest.get('scoring', {}).get('confidence', 0.95):g} % interval"


def _single(part: "Part", interval: str) -> Content:
    """One number per stage, with that of untrained copies."""
    from static_dynamic.report.parts import beside_untrained
    from static_dynamic.report.tables import with_interval

    rows = []
    for row in rows_of(part.numbers[part.numbers["factor"] == part.drawn[0]]):
        value = with_interval(row["mean"], row["low"], row["high"], part.digits)
        twin = with_interval(row["twin"], row["twin_low"], row["twin_high"], part.digits)
        rows.append([row["stage"], value, *([twin, beside_untrained(row)] if part.has_twins else [])])
    columns = ["stage", f"value [{interval}]", *(["untrained [spread]", "note"] if part.has_twins else [])]
    return f"{part.name}: {' '.join(part.label.split())}", columns, rows


def _several(part: "Part", interval: str) -> Content:
    """Only the factors of every stage."""
    from static_dynamic.report.tables import with_interval

    rows = [
        [str(stage), *(with_interval(row["mean"], row["low"], row["high"], part.digits) for row in rows_of(numbers))]
        for stage, numbers in part.numbers.groupby("stage", sort=False)
    ]
    return f"{part.name}: {' '.join(part.label.split())} [{interval}]", ["stage", *part.factors], rows


def _short(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
