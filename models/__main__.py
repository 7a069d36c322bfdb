"""``python -m models list ['slow*']`` and ``python -m models show i3d``."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby

import torch

import models
from models.errors import ModelError


def _times(spec: models.ModelSpec) -> str:
    frames = spec.recipe["frames"]
    counts = (frames,) if isinstance(frames, int) else frames
    return f"{'+'.join(map(str, counts))} x {spec.recipe['rate']}"


def _millions(spec: models.ModelSpec) -> str:
    with torch.device("meta"):  # shapes without memory
        model = spec.build(spec.num_classes)
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.1f}"


def _short(stages: Iterable[str]) -> str:
    """``stage1 stage2 stage3`` → ``stage1-3``."""
    runs = ((stem, list(run)) for stem, run in groupby(stages, key=lambda name: name.rstrip("0123456789")))
    return " ".join(f"{run[0]}-{run[-1].removeprefix(stem)}" if len(run) > 1 else run[0] for stem, run in runs)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def listing(pattern: str) -> str:
    """One line per model that matches."""
    names = models.list_models(pattern)
    if not names:
        raise ModelError(f"No model matches '{pattern}'. Allowed: {', '.join(models.list_models())}.")
    rows = [("name", "aliases", "frames x rate", "params (M)", "classes", "stages")]
    for spec in map(models.describe, names):
        aliases, classes = ", ".join(spec.aliases), str(spec.num_classes)
        rows.append((spec.name, aliases, _times(spec), _millions(spec), classes, _short(spec.stages)))
    return _table(rows)


def details(name: str) -> str:
    """All that is known about a model."""
    spec = models.describe(name)
    recipe = spec.recipe
    facts = [
        ("name", ", ".join((spec.name, *spec.aliases))),
        ("summary", spec.summary),
        ("input", f"{_times(spec)} frames; short side {recipe['short_side']}, crop {recipe['crop']} pixels"),
        ("", f"mean {recipe['mean']}, std {recipe['std']}"),
        ("params", f"{_millions(spec)} M"),
        ("classes", str(spec.num_classes)),
        ("paper", spec.paper),
        ("weights", spec.url or "not published"),
        ("licence", spec.licence or "-"),
    ]
    stages = [("stage", "module", "layout")]
    for stage, (module, layout, item) in spec.stages.items():
        stages.append((stage, module if item is None else f"{module}[{item}]", layout))
    return f"{_table(facts)}\n\n{_table(stages)}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; a user's slip is one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m models", description="The model zoo.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="one line per model").add_argument("pattern", nargs="?", default="*")
    commands.add_parser("show", help="all about one model").add_argument("name")
    options = parser.parse_args(arguments)
    try:
        print(listing(options.pattern) if options.command == "list" else details(options.name))
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
