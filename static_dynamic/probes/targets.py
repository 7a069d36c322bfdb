"""Targets of probes: one of several classes, a number or an angle, with a value for every video."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError, counted, unknown
from static_dynamic.functional.questions import Angle, Classes, Number, Question
from static_dynamic.media.clip import Video

CLASSES, NUMBER, ANGLE = "classes", "number", "angle"
KINDS = (CLASSES, NUMBER, ANGLE)
ARROW = "arrow of time"
"""The target for which every clip is shown twice: whether it is played forwards or backwards."""
FORWARDS, BACKWARDS = "forwards", "backwards"
LABEL = "label"
"""The class of a video, if it has one."""

Values = Mapping[str, Any] | Sequence[Any] | npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Target:
    """A target that a probe reads out.

    Attributes:
        name: Its name. Without values, it is that of a detail of the videos, or ``label``.
        kind: ``classes``, ``number`` or ``angle`` (in degrees); ``None`` means a number if a value is a float, and
            classes otherwise.
        values: Video → value or, with arrays of activations, one per clip; ``None`` if it is unknown.
        levels: The meaning of the levels, e.g. ``range(0, 360, 45)`` for eight directions; a sequence or a mapping.

    Example:
        >>> Target("direction", "angle", levels=range(0, 360, 45)).kind
        'angle'
    """

    name: str
    kind: str | None = None
    values: Values | None = None
    levels: Mapping[Any, Any] | Sequence[Any] | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise unknown("kind", self.kind, KINDS, where=f"the target {self.name!r}")
        if self.levels is not None and not isinstance(self.levels, Mapping | Sequence | np.ndarray):
            raise UserError(
                f"The levels of the target {self.name!r} must be a sequence or a mapping. Got {self.levels!r:.40}."
            )

    def of(self, value: Any) -> Any:
        """The meaning of a value; ``None`` and NaN mean that it is unknown.

        Raises:
            UserError: If it is a number of a level that does not exist.
        """
        if value is None or (isinstance(value, Real) and value != value):
            return None
        if self.levels is None:
            return value
        try:
            if isinstance(value, Integral) and value < 0 and not isinstance(self.levels, Mapping):
                raise IndexError(value)  # levels are not counted from the end
            return self.levels[value]
        except (LookupError, TypeError):
            raise UserError(
                f"The level {value!r} of the target {self.name!r} does not exist: it has {len(self.levels)} levels."
            ) from None


@dataclass(frozen=True)
class Coded:
    """A target in the form for a probe.

    Attributes:
        name: Its name.
        kind: Its kind.
        there: Which clips have a value, ``(N,)``.
        target: The target of those clips.
        classes: Names of the classes.
    """

    name: str
    kind: str
    there: npt.NDArray[np.bool_]
    target: Question
    classes: tuple[str, ...] = ()


Targets = str | Target | Iterable[str | Target] | Mapping[str, Values | Target]
"""Names of details, targets, or a mapping from a name to ``{video: value}``, to values, or to a target."""


def as_targets(given: Targets) -> list[Target]:
    """Read the requested targets.

    Raises:
        UserError: If there are none, one occurs twice, or is neither name nor target.
    """
    if isinstance(given, Mapping):
        found = [
            replace(value, name=name) if isinstance(value, Target) else Target(name, values=value)
            for name, value in given.items()
        ]
    else:
        some = [given] if isinstance(given, str | Target) else list(given)
        if odd := [one for one in some if not isinstance(one, str | Target)]:
            raise UserError(f"A target of a probe is a name or a Target. Got {odd[0]!r:.80}.")
        found = [Target(one) if isinstance(one, str) else one for one in some]
    names = [target.name for target in found]
    if not names:
        raise UserError(f"At least one target is required: the name of a detail of the videos, or {ARROW!r}.")
    if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
        raise UserError(f"The target {repeated[0]!r} is listed twice.")
    return found


def details_of(video: Video) -> dict[str, Any]:
    """The known details of a video, and its class."""
    return {**video.details, **({} if video.label is None else {LABEL: video.label})}


def values_of_videos(target: Target, videos: Sequence[Video]) -> Mapping[str, Any]:
    """Video → value of a target; every video → forwards for the arrow of time.

    Raises:
        UserError: If none of the videos has a value.
    """
    names = [video.name for video in videos]
    if isinstance(target.values, Mapping):
        found = {name: target.values[name] for name in names if name in target.values}
        if not found:
            raise UserError(
                f"The target {target.name!r} does not have a value for any of the {len(names)} videos: "
                f"{unknown('video', next(iter(target.values), ''), names[:3])}"
            )
        return found
    if target.values is not None:
        raise UserError(f"The values of the target {target.name!r} must be a mapping from the names of videos.")
    if target.name == ARROW:
        return dict.fromkeys(names, FORWARDS)
    details = {video.name: details_of(video) for video in videos}
    if found := {name: said[target.name] for name, said in details.items() if target.name in said}:
        return found
    raise unknown("target", target.name, [*dict.fromkeys(name for said in details.values() for name in said), ARROW])


def values_of_clips(target: Target) -> Sequence[Any]:
    """One value per clip.

    Raises:
        UserError: If the target lacks values.
    """
    if target.values is None or isinstance(target.values, Mapping):
        raise UserError(f"The target {target.name!r} must have one value per clip.")
    plain: Sequence[Any] = target.values.tolist() if hasattr(target.values, "tolist") else target.values
    return plain


def code(target: Target, values: Iterable[Any], groups: Sequence[str]) -> Coded:
    """Prepare a target with one value for each clip for a probe.

    Args:
        target: The target.
        values: One per clip, ``None`` if it is unknown.
        groups: Group of every clip.

    Raises:
        UserError: If it is constant, a value is not a number, or a group contains every clip of a class.
    """
    read = [target.of(value) for value in values]
    if len(read) != len(groups):
        raise UserError(f"The target {target.name!r} must have one value per clip. Got {len(read)} for {len(groups)}.")
    there = np.array([value is not None for value in read])
    found = [value for value in read if value is not None]
    kind = target.kind or (NUMBER if any(_is_fraction(value) for value in found) else CLASSES)
    if kind == CLASSES:
        groups_there = [group for group, known in zip(groups, there, strict=True) if known]
        return _classes(target.name, found, there, groups_there)
    numbers = _numbers(target.name, kind, found)
    turned = numbers % 360 if kind == ANGLE else numbers
    if len(np.unique(turned)) < 2:
        raise UserError(
            f"The target {target.name!r} is the same for every clip{_what(found)}, so it cannot be read out."
        )
    return Coded(target.name, kind, there, Angle(numbers) if kind == ANGLE else Number(numbers))


def _is_fraction(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, Integral | bool | np.bool_)


def _what(found: Sequence[Any]) -> str:
    return f" ({found[0]!s:.40})" if len(found) else ""


def _numbers(name: str, kind: str, found: Sequence[Any]) -> npt.NDArray[np.float64]:
    for value in found:
        if not isinstance(value, Real) or not isfinite(value):
            what = "degrees" if kind == ANGLE else "numbers"
            raise UserError(f"The target {name!r} is of the kind {kind!r}, so it needs {what}. Got {value!r:.40}.")
    return np.array(found, np.float64)


def _classes(name: str, found: Sequence[Any], there: npt.NDArray[np.bool_], groups: Sequence[str]) -> Coded:
    if odd := [value for value in found if not isinstance(value, Hashable)]:
        raise UserError(f"A value of the target {name!r} must be the name of a class or a number. Got {odd[0]!r:.40}.")
    names = sorted(set(found), key=lambda value: (str(type(value)), value))
    if len(names) < 2:
        raise UserError(f"The target {name!r} has one class alone{_what(found)}: two or more are required.")
    holders: dict[Any, set[str]] = defaultdict(set)
    for value, group in zip(found, groups, strict=True):
        holders[value].add(group)
    if alone := [value for value in names if len(holders[value]) == 1]:
        also = f", and {counted(len(alone) - 1, 'more class', 'more classes')} likewise" if alone[1:] else ""
        raise UserError(
            f"The group {min(holders[alone[0]])!r} has every clip of the class {str(alone[0])!r} of {name!r}{also}: "
            "it cannot be learned on other groups. Leave it out, choose other `groups`, or set `kind='number'`."
        )
    place = {value: number for number, value in enumerate(names)}
    values = np.array([place[value] for value in found], np.intp)
    return Coded(name, CLASSES, there, Classes(values, len(names)), tuple(map(str, names)))
