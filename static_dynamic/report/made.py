"""How a result was made, in rows of words: model, input, videos, conditions, scoring, machine, and cost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Manifest = Mapping[str, Any]
NOTHING = "none: random weights, or weights that the caller loaded"
MOST = 24
"""Number of members of a list that are shown."""


class Group(NamedTuple):
    """Rows under one heading.

    Attributes:
        title: The heading.
        rows: Names and values.
    """

    title: str
    rows: list[tuple[str, str]]


def made(manifest: Manifest) -> list[Group]:
    """The known facts about how a result was made, in groups; groups without facts are left out."""
    study = _mapping(manifest.get("study"))
    stages = _mapping(study.get("stages"))
    known = {name: study.get(name) for name in ("model", "weights", "pool")}
    conditions = {name: study.get(name) for name in ("styles", "orders", "seed")}
    computing = {name: study.get(name) for name in ("batch_size", "precision", "device")}
    twins = _members(manifest.get("twins"))
    groups = [
        Group("Model", [*_rows(known), ("checkpoint", ""), *_rows(_mapping(manifest.get("checkpoint")), "checkpoint")]),
        Group("Stages", [(str(name), _tap(tap)) for name, tap in stages.items()]),
        Group("Input", _rows(_mapping(study.get("recipe")))),
        Group("Videos", _rows(_mapping(study.get("source")))),
        Group("Conditions", _rows(conditions)),
        *(Group(f"Estimator {one.get('name')}", _rows(_mapping(one.get("options")))) for one in _estimators(manifest)),
        Group(
            "Untrained networks",
            [(str(i), f"{twin.get('weights')}, seed {twin.get('seed')}") for i, twin in enumerate(twins, start=1)],
        ),
        Group("Scoring", _rows(_mapping(manifest.get("scoring")))),
        Group("Computing", [*_rows(computing), *_rows({"machine": manifest.get("machine")})]),
        Group("Versions", _rows(_mapping(manifest.get("versions")))),
    ]
    return [group for group in map(_told, groups) if group.rows]


def _told(group: Group) -> Group:
    """Drop rows without a known value; a model without a checkpoint gets a text."""
    rows = [row for row in group.rows if row[1]]
    if group.title == "Model" and rows and not any(name.startswith("checkpoint") for name, _ in rows):
        rows.append(("checkpoint", NOTHING))
    return Group(group.title, rows)


def cost(manifest: Manifest) -> list[tuple[str, str]]:
    """The known cost of the model and of the run."""
    found = _mapping(manifest.get("cost"))
    study = _mapping(manifest.get("study"))
    rows = []
    if parameters := found.get("parameters"):
        rows.append(("parameters", f"{parameters / 1e6:,.2f} million"))
    if macs := found.get("macs"):
        rows.append(("multiply-accumulates of a clip", f"{macs / 1e9:,.3g} billion (GMACs)"))
    for stage in _members(found.get("stages")):
        told = f"{stage.get('macs', 0) / 1e9:,.3g} GMACs, {stage.get('parameters', 0) / 1e6:,.3g} million parameters"
        rows.append((f"up to {stage.get('stage')}", told))
    read = [video for video in _members(manifest.get("videos")) if not video.get("problem")]
    conditions = study.get("cells") or [(a, b) for a in study.get("styles", []) for b in study.get("orders", [])]
    networks = 1 + len(_members(manifest.get("twins")))
    if read and conditions:
        forwards = len(read) * len(conditions) * networks
        told = f"{len(read)} × {len(conditions)} conditions × {networks} networks = {forwards:,}"
        rows.append(("clips shown" if "flows" not in _mapping(study.get("recipe")) else "frames shown", told))
    if seconds := manifest.get("seconds"):
        rows.append(("time of the run", f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"))
    return rows


def _estimators(manifest: Manifest) -> list[Mapping[str, Any]]:
    return _members(manifest.get("estimators"))


def _rows(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    return list(_leaves(values, above))


def _leaves(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """Name and text of everything in a mapping of mappings."""
    for name, value in values.items():
        told = f"{above}, {name}".strip(", ").replace("_", " ")
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, told)
        else:
            yield told, text(value)


def text(value: object) -> str:
    """A value in words; empty for nothing.

    Example:
        >>> text([0.45, 0.45]), text(True), text(None), text({})
        ('0.45, 0.45', 'yes', '', '')
    """
    if value is None or (isinstance(value, Mapping | Sequence) and not value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text(each)}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = [f"… {len(value) - MOST} more"] if len(value) > MOST else []
        return ", ".join([*(text(each) or "none" for each in value[:MOST]), *more])
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tap(taps: object) -> str:
    """Where the activations of a stage are taken: module and layout, several side by side."""
    return " + ".join(", ".join(str(each) for each in tap if each is not None) for tap in _lists(taps))


def _lists(value: object) -> list[Sequence[object]]:
    members = value if isinstance(value, list | tuple) else []
    return [each for each in members if isinstance(each, list | tuple)]


def _mapping(value: object) -> Mapping[str, Any]:
    """A part of a manifest that is a mapping; empty if it is missing."""
    return value if isinstance(value, Mapping) else {}


def _members(value: object) -> list[Mapping[str, Any]]:
    """A part of a manifest that is a list of mappings; empty if it is missing."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []
