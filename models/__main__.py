"""``python -m models list ['slow*']``, ``… show i3d`` and ``… stages torchvision:r3d_18``."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import nn

import models
from models.errors import ModelError
from models.probe import Shapes, listed, probe, suggest


def _times(spec: models.ModelSpec) -> str:
    if spec.recipe is None:
        return "not declared"
    recipe: Mapping[str, Any] = spec.recipe
    if "flows" in recipe:
        return f"{recipe['frames']} + {'/'.join(recipe['flows'])} flow"
    counts = (recipe["frames"],) if isinstance(recipe["frames"], int) else recipe["frames"]
    return f"{'+'.join(map(str, counts))} x {recipe['rate']}"


def _size(recipe: Mapping[str, Any]) -> str:
    if "size" in recipe:
        return f"{' x '.join(map(str, recipe['size']))} pixels"
    return f"short side {recipe.get('short_side') or recipe['crop']}, crop {recipe['crop']} pixels"


def _shapes_only(spec: models.ModelSpec) -> nn.Module:
    with torch.device("meta"):  # shapes without memory
        return spec.build(spec.num_classes)


def _millions(model: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.1f}"


def _spec(model: nn.Module) -> models.ModelSpec:
    spec: models.ModelSpec = vars(model)["spec"]
    return spec


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
        rows.append((spec.name, aliases, _times(spec), _millions(_shapes_only(spec)), classes, _short(spec.stages)))
    return _table(rows)


def details(name: str) -> str:
    """All that is known about a model."""
    spec = models.describe(name)
    if spec.own:  # only the module itself says what it is
        model = models.create_model(name)
        spec = _spec(model)
    else:
        model = _shapes_only(spec)
    recipe: Mapping[str, Any] = spec.recipe or {}
    colours = f"mean {recipe.get('mean', '-')}, std {recipe.get('std', '-')}" if recipe else ""
    facts = [
        ("name", ", ".join((spec.name, *spec.aliases))),
        ("summary", spec.summary),
        ("input", f"{_times(spec)}; {_size(recipe)}" if recipe else _times(spec)),
        ("", colours),
        ("params", f"{_millions(model)} M"),
        ("classes", str(spec.num_classes)),
        ("paper", spec.paper),
        ("weights", spec.url or "not published"),
        ("licence", spec.licence or "-"),
    ]
    stages = [("stage", "module", "layout")]
    for stage, (module, layout, item) in spec.stages.items():
        stages.append((stage, module if item is None else f"{module}[{item}]", layout))
    return f"{_table(facts)}\n\n{_table(stages)}"


def tree(name: str, size: int | None, frames: str | None, depth: int) -> str:
    """Every module that a forward runs, down to a depth, with what it returns and the stage that it is or could be."""
    model = models.create_model(name)
    spec = _spec(model)
    declared: dict[str, list[str]] = {}
    for stage, (path, _, item) in spec.stages.items():
        declared.setdefault(path, []).append(stage if item is None else f"{stage} (element {item})")
    shapes = _input(spec.recipe or {}, size, frames)
    modules = probe(model, shapes)
    could = set() if declared else {module.path for module in suggest(modules)}
    rows = [("module", "class", "output", "stage" if declared else "suggested")]
    for module in modules:
        if module.depth <= depth or module.path in declared or module.path in could:
            times = f" x {module.runs}" if module.runs > 1 else ""
            stage = ", ".join(declared.get(module.path, ["*"] if module.path in could else []))
            rows.append((module.path or "(the model)", module.kind, module.output + times, stage))
    return f"{name} on an input of shape {listed(shapes)}\n\n{_table(rows)}\n\n{_advice(declared, spec.stages)}"


def _input(recipe: Mapping[str, Any], size: int | None, frames: str | None) -> Shapes:
    """Shapes of an input: as asked for, else as the model declares."""
    if not recipe and (size is None or frames is None):
        raise ModelError("This model declares no input: give --frames (e.g. 8, or 8,32 for two pathways) and --size.")
    try:
        asked = [int(count) for count in frames.split(",")] if frames else recipe["frames"]
    except ValueError:
        raise ModelError(f"--frames takes numbers, e.g. 8 or 8,32. Got {frames!r}.") from None
    counts = (asked,) if isinstance(asked, int) else tuple(asked)
    height, width = (size, size) if size else recipe.get("size") or (recipe["crop"],) * 2
    if min(*counts, height, width) < 1:
        raise ModelError(f"--frames and --size must be positive. Got {counts} and {height}.")
    if "flows" not in recipe:
        return [(1, 3, count, height, width) for count in counts]
    time = () if counts == (1,) else counts
    return {
        "Image": (1, *time, 3, height, width),
        "Flow": (1, *time, 3 * len(recipe["flows"]), height, width),
    }


def _advice(declared: Mapping[str, object], stages: Iterable[str]) -> str:
    if declared:
        return f"Stages: {_short(stages)}. Any other module can be named with a layout."
    return (
        "This model declares no stages. Name those you want with the layout of their output, for example\n"
        '  stages={"late": ("layer4", "N C T H W")}         a 3-D convolution\n'
        '  stages={"late": ("blocks.11", "N (1 T H W) C")}  tokens, class token first'
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; a user's slip is one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m models", description="The model zoo.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="one line per model").add_argument("pattern", nargs="?", default="*")
    commands.add_parser("show", help="all about one model").add_argument("name")
    stages = commands.add_parser("stages", help="what is inside a model: modules, output shapes, stages")
    stages.add_argument("name", help="a name of the list, library:model, or package.module:function of your own")
    stages.add_argument("--size", type=int, help="height and width of the input, pixels")
    stages.add_argument("--frames", help="frames of the input; with commas for several pathways")
    stages.add_argument("--depth", type=int, default=2, help="how deep into the module tree (default: 2)")
    options = parser.parse_args(arguments)
    show: dict[str, Callable[[], str]] = {
        "list": lambda: listing(options.pattern),
        "show": lambda: details(options.name),
        "stages": lambda: tree(options.name, options.size, options.frames, options.depth),
    }
    try:
        print(show[options.command]())
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
