"""The differences of two measurements in their manifests, which decide whether they may be averaged or compared."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from static_dynamic.common.errors import differences

Manifest = Mapping[str, Any]
"""The content of a ``run.json``, as in :attr:`static_dynamic.results.Result.manifest`."""

COSTS = ("batch_size", "device", "judge")
"""Parts of a study that change its activations by rounding at most."""
DIGEST = re.compile(r"[0-9a-f]{64}")
UNORDERED = ("videos", "styles", "orders")
"""Parts whose order does not matter: all pairs are formed, and all videos count."""


def parts(manifest: Manifest) -> dict[str, object]:
    """Everything that determines the numbers of a measurement, under flat names: ``recipe.crop``, ``pool``.

    The videos are those that were measured. Of a checkpoint only its existence counts, since ``weights``
    distinguishes two. The seeds of the scoring, which draw partners and replicates, are left out. So are the cells,
    which follow from styles, orders and estimators.

    Args:
        manifest: It must have a ``study``.
    """
    study, scoring = manifest["study"], dict(manifest.get("scoring") or {})
    unread = {record["video"] for record in manifest.get("videos") or [] if record.get("problem")}
    if "audit" in manifest and scoring.get("style_weights"):  # measured on clips that the seed drew
        scoring["style_weights"] = "those of the audit"
    found = {
        **study,
        **{name: frozenset(study.get(name, ())) for name in UNORDERED},
        "checkpoint": "a file" if manifest.get("checkpoint") else "none",
        "scoring": scoring,
        "estimators": {one["name"]: one["options"] for one in manifest.get("estimators") or []},
    }
    found.pop("cells", None)
    found["videos"] -= unread
    drawn = [name for name, _ in _flat({"scoring": scoring}) if name.endswith(".seed")]
    return {name: value for name, value in _flat(found) if name not in (*COSTS, *drawn)}


def study_differences(there: Manifest, here: Manifest, but: Collection[str] = ()) -> dict[str, str]:
    """The differences of two measurements: part → difference in words; empty if they are the same.

    A seed of the source that follows the study's seed does not count: it draws frames, not videos.

    Args:
        there: The manifest of one.
        here: The manifest of the other.
        but: Parts that may differ: ``seed``, ``weights``, or ``recipe`` for everything below it.

    Example:
        >>> study_differences({"study": {"pool": "avg", "seed": 1}}, {"study": {"pool": "max", "seed": 2}}, ["seed"])
        {'pool': "pool is 'avg' there, 'max' here"}
    """
    one, other = parts(there), parts(here)
    names = [name for name in {**one, **other} if not _among(name, but) and not _same(name, one, other)]
    return {name: _words(name, one, other) for name in names}


def _same(name: str, one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    following = name.endswith(".seed") and all(values.get(name) == values.get("seed") for values in (one, other))
    return following or one.get(name) == other.get(name)


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            # Files have lists where results in memory have tuples.
            yield f"{above}{name}", list(value) if isinstance(value, tuple) else value


def _among(name: str, names: Collection[str]) -> bool:
    return any(name == other or name.startswith(f"{other}.") for other in names)


def _words(name: str, one: Mapping[str, object], other: Mapping[str, object]) -> str:
    there, here = one.get(name), other.get(name)
    if isinstance(there, frozenset) and isinstance(here, frozenset):
        only = [(sorted(there - here), "there"), (sorted(here - there), "here")]
        return f"{name}: " + ", ".join(f"{_some(members)} only {where}" for members, where in only if members)
    return differences(*({name: _shown(values[name])} if name in values else {} for values in (one, other)))


def _shown(value: object) -> object:
    """The value, or the first digits of a digest."""
    return f"{value[:12]}…" if isinstance(value, str) and DIGEST.fullmatch(value) else value


def _some(members: list[str]) -> str:
    rest = len(members) - 2
    return ", ".join([*map(repr, members[:2]), *([f"{rest} more"] if rest > 0 else [])])
