"""The zoo as text: its models, the details of one, and the modules inside one."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import nn

from static_dynamic import models
from static_dynamic.models.errors import ModelError
from static_dynamic.models.libraries.foreign import pair
from static_dynamic.models.probe import Shapes, listed, probe, suggest


def _times(spec: models.ModelSpec) -> str:
    if spec.recipe is None:
        return "not declared"
    recipe: Mapping[str, Any] = spec.recipe
    if "flows" in recipe:
        return f"{recipe['frames']} + {'/'.join(recipe['flows'])} flow"
    return f"{_joined(recipe.get('frames', '-'), '+')} x {recipe.get('rate', '-')}"


def _size(recipe: Mapping[str, Any]) -> str:
    if "size" in recipe:
        return f"{_joined(recipe['size'], ' x ')} pixels"
    crop = recipe.get("crop", "-")
    short_side = recipe.get("short_side") or (crop if isinstance(crop, (int, str)) else min(crop))
    return f"short side {short_side}, crop {_joined(crop, ' x ')} pixels"


def _joined(value: int | str | Iterable[int], between: str) -> str:
    return str(value) if isinstance(value, (int, str)) else between.join(map(str, value))


def _shapes_only(spec: models.ModelSpec) -> nn.Module:
    try:
        with torch.device("meta"):  # shapes without memory
            return spec.build(spec.num_classes)
    except Exception:  # a library that needs values to build a model; a genuine error is raised again
        return models.create_model(spec)


def _size_of(spec: models.ModelSpec) -> str:
    """Parameters in millions; a dash for a network of a package that is not installed."""
    try:
        return _millions(_shapes_only(spec))
    except ModelError:
        return "-"


def _millions(model: nn.Module) -> str:
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return f"{millions:.1f}" if millions >= 0.1 else f"{millions:.2f}"


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


def listing(pattern: str, params: bool = False) -> str:
    """One line per matching model; a series shares one line, unless nothing else matches.

    Args:
        pattern: A glob of names.
        params: Whether parameters are counted, for which every model is built.
    """
    specs = [models.describe(name) for name in models.list_models(pattern)]
    if not specs:
        raise ModelError(f"No model matches '{pattern}'. Allowed: {', '.join(models.list_models())}.")
    alone = len({_series(spec) for spec in specs}) == 1
    groups = groupby(specs, lambda spec: spec.name if alone else _series(spec))
    header = ("name", "aliases", "frames x rate", *(["params (M)"] * params), "classes", "stages")
    return _table([header, *(_row(name, list(alike), params) for name, alike in groups)])


def _row(name: str, alike: Sequence[models.ModelSpec], params: bool) -> tuple[str, ...]:
    """One row: a model, or several models as their series."""
    spec, sizes = alike[0], [one.num_classes for one in alike]
    aliases = ", ".join(spec.aliases) if len(alike) == 1 else f"{len(alike)} models"
    classes = "-".join(map(str, dict.fromkeys((min(sizes), max(sizes)))))
    return name, aliases, _times(spec), *((_size_of(spec),) if params else ()), classes, _short(spec.stages)


def _series(spec: models.ModelSpec) -> str:
    return spec.series or spec.name


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
        ("weights", spec.url or (f"{spec.packaged}, in a package" if spec.packaged else "not published")),
        ("licence", spec.licence or "-"),
    ]
    stages = [("stage", "module", "layout")]
    for stage, (module, layout, item) in spec.stages.items():
        stages.append((stage, module if item is None else f"{module}[{item}]", layout))
    return f"{_table(facts)}\n\n{_table(stages)}"


def tree(name: str, size: tuple[int, int] | None, frames: tuple[int, ...] | None, depth: int) -> str:
    """List every module that a forward pass runs, down to a depth, with its output and its actual or possible stage."""
    one = frames[0] if frames and len(frames) == 1 else None
    model = models.create_model(name, frames=one, image_size=size and (size[0] if size[0] == size[1] else size))
    spec = _spec(model)
    declared: dict[str, list[str]] = {}
    for stage, (path, _, item) in spec.stages.items():
        declared.setdefault(path, []).append(stage if item is None else f"{stage} (element {item})")
    recipe: Mapping[str, Any] = spec.recipe or {}
    shapes = _input(recipe, size, frames)
    modules = probe(model, shapes, torch.uint8 if recipe.get("values") == "uint8" else None)
    could = set() if declared else {module.path for module in suggest(modules)}
    rows = [("module", "class", "output", "stage" if declared else "suggested")]
    for module in modules:
        if module.depth <= depth or module.path in declared or module.path in could:
            times = f" x {module.runs}" if module.runs > 1 else ""
            stage = ", ".join(declared.get(module.path, ["*"] if module.path in could else []))
            rows.append((module.path or "(the model)", module.kind, module.output + times, stage))
    return f"{name} on an input of shape {listed(shapes)}\n\n{_table(rows)}\n\n{_advice(declared, spec.stages)}"


def _input(recipe: Mapping[str, Any], size: tuple[int, int] | None, frames: tuple[int, ...] | None) -> Shapes:
    """Shapes of an input: those requested, otherwise those that the model declares."""
    given, area = frames or recipe.get("frames"), size or recipe.get("size") or recipe.get("crop")
    if given is None or area is None:
        raise ModelError(
            "This model declares no input: give --frames (e.g. 8, or 8,32 for two pathways) and --image-size."
        )
    counts = (given,) if isinstance(given, int) else tuple(given)
    height, width = pair(area)
    if "flows" not in recipe:
        lengths = {"C": 3, "H": height, "W": width}
        axes = recipe.get("layout", "C T H W").split()
        return [(1, *({**lengths, "T": count}[axis] for axis in axes)) for count in counts]
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
