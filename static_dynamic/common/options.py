"""Options of a command as one typed model, read from flags and from a file (YAML or JSON)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import yaml
from cyclopts import Group, Parameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from static_dynamic.common.commands import OPTIONS, flag, program, start, worth_showing
from static_dynamic.common.errors import UserError, shown, unknown
from static_dynamic.common.files import as_path
from static_dynamic.common.slips import invalid
from static_dynamic.common.texts import read_text


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _split_all(value: object) -> object:
    return _split(",".join(map(str, value))) if isinstance(value, list | tuple) else _split(value)


CONFIGS = Path(__file__).parents[1] / "configs"
"""The named runs of the package."""
REPEATED = "repeated"
"""Marks an option whose flag may be given several times."""
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(_split)]
Repeated = Annotated[tuple[str, ...], BeforeValidator(_split_all), REPEATED]


LONGEST = 1_000_000
"""Letters of a file of options."""


class Options(BaseModel):
    """The options of a command: each field is a flag, and its description is the flag's help."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    sections: ClassVar[Mapping[str, str]] = {}
    """First field of a section → its heading in the help."""

    cfg_file: Path | None = Field(None, description="YAML or JSON file with these options; flags override it")

    @field_validator("*")
    @classmethod
    def _at_home(cls, value: Any) -> Any:
        """Expand ``~`` to the home folder, also where the shell does not: ``--videos=~/clips``."""
        return as_path(value) if isinstance(value, Path) else value

    @model_validator(mode="before")
    @classmethod
    def _named(cls, options: Any) -> Any:
        """Accept options under any of their names."""
        return cls.renamed(options) if isinstance(options, Mapping) else options

    @classmethod
    def renamed(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options under their main names; ``-`` and ``_`` are equal."""
        aliases = {alias[2:]: name for name, field in cls.model_fields.items() for alias in _aliases(field)}
        plain = {name.replace("-", "_"): value for name, value in options.items()}
        return {aliases.get(name, name): value for name, value in plain.items()}

    @classmethod
    def adapted(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Options from a file and the flags; a subclass may read files of other formats."""
        return options


Kind = TypeVar("Kind", bound=Options)


WORDS = {
    "int_parsing": "a whole number is required",
    "float_parsing": "a number is required",
    "bool_parsing": "True or False is required",
    "greater_than_equal": "must be {ge:g} or more",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "must be {le:g} or less",
    "less_than": "must be less than {lt:g}",
    "literal_error": "must be {expected}",
}
"""Kind of a pydantic error → what is required."""


def takes(kind: type[Kind]) -> Callable[[Callable[[Kind], Any]], Callable[..., Any]]:
    """Turn a function of options into a command whose flags are the fields of the options."""

    def decorate(run: Callable[[Kind], Any]) -> Callable[..., Any]:
        def read_and_run(**given: Any) -> Any:
            return run(_read(kind, {name: value for name, value in given.items() if value is not None}))

        read_and_run.__doc__, read_and_run.__name__ = run.__doc__, run.__name__
        read_and_run.__module__ = run.__module__
        vars(read_and_run)["__signature__"] = Signature(list(_flags(kind)))
        return read_and_run

    return decorate


def read_options(kind: type[Kind], arguments: Sequence[str]) -> Kind:
    """Options from flags and, if the flags name one, from a file.

    Raises:
        UserError: For an unknown option (the nearest is named), or an invalid value.
    """
    app = program("options")
    app.default(takes(kind)(lambda options: options))
    options: Any = start(app, arguments)
    return options


def _read(kind: type[Kind], flags: dict[str, Any]) -> Kind:
    file = flags.get("cfg_file")
    options = kind.adapted({**kind.renamed(read_mapping(file)), **flags}) if file else flags
    try:
        return kind(**options)
    except ValidationError as error:
        raise _as_user_error(kind, error, file) from None


def _flags(kind: type[Options]) -> Iterator[Argument]:
    """The arguments of a command line, as text or switches, which the model then parses."""
    headings = dict.fromkeys(kind.sections.values())
    groups = {heading: Group(heading, sort_key=place) for place, heading in enumerate(headings, 1)}
    group = OPTIONS
    for name, field in sorted(kind.model_fields.items(), key=lambda item: item[0] == "cfg_file"):
        group = OPTIONS if name == "cfg_file" else groups.get(kind.sections.get(name, ""), group)
        is_switch = bool in (field.annotation, *get_args(field.annotation))
        is_repeated = REPEATED in field.metadata
        shown = Parameter(
            alias=_aliases(field),
            help=f"{field.description}{' [required]' if field.is_required() else ''}",
            group=group,
            metavar=None if is_switch else _metavar(field),
            choices=tuple(_choices(field.annotation)) or None,
            show_default=(not field.is_required() and worth_showing(field.default)) or False,
        )
        given = bool if is_switch else tuple[str, ...] if is_repeated else str
        yield Argument(name, Argument.KEYWORD_ONLY, default=None, annotation=Annotated[given | None, shown])


def _aliases(field: FieldInfo) -> list[str]:
    return [alias for part in field.metadata if isinstance(part, Parameter) for alias in part.alias or ()]


def _metavar(field: FieldInfo) -> str:
    kinds = (field.annotation, *get_args(field.annotation))
    if any(_choices(field.annotation)):
        return "CHOICE"
    return next((kind.__name__.upper() for kind in (int, float, Path) if kind in kinds), "TEXT")


def _choices(annotation: object) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from _choices(part)


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Names and values of a YAML or JSON file, or else of the configuration of that name in the package.

    Raises:
        UserError: If it cannot be read, or holds something else.
    """
    text = read_text(_found(path))
    if len(text) > LONGEST:
        raise UserError(f"{path} is too long for a file of options: up to {LONGEST} letters are read.")
    try:
        options = yaml.load(text, _Plain)
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UserError(f"The options in {path} are neither YAML nor JSON: {' '.join(str(error).split())}.") from None
    if not isinstance(options, dict):
        raise UserError(f"The options in {path} must be a mapping of names to values. Got {type(options).__name__}.")
    if odd := [name for name in options if not isinstance(name, str)]:
        raise UserError(f"The options in {path} must have names that are text. Got {shown(odd[0])}.")
    return options


def _found(path: str | Path) -> Path:
    """A file, or the configuration of that name, with or without ``configs/``, in the package."""
    own = {file.relative_to(CONFIGS.parent).as_posix(): file for file in CONFIGS.rglob("*.json")}
    name = Path(path).as_posix()
    file = Path(path) if Path(path).exists() else own.get(name) or own.get(f"{CONFIGS.name}/{name}")
    if file is None:
        known = ", ".join(sorted(own))
        raise UserError(f"Cannot read {path}: the file does not exist. Configurations in the package: {known}.")
    return file


class _Plain(yaml.SafeLoader):
    """Reads YAML without aliases: a few lines of them stand for more values than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As YAML does, but for aliases."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.YAMLError(f"line {mark.line + 1}: aliases (*name) are not read")
        return super().compose_node(parent, index)


def _as_user_error(kind: type[Options], error: ValidationError, file: str | None) -> UserError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][:1])
    if first["type"] == "extra_forbidden":
        return unknown("option", name, kind.model_fields, where=file or "")
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return UserError(f"The option {flag(name)} is required: {kind.model_fields[name].description}.")
    known = WORDS.get(first["type"])
    message = known.format(**first.get("ctx", {})) if known else first["msg"].removeprefix("Value error, ")
    if not name:
        return UserError(f"{message[0].upper()}{message[1:]}.")
    return invalid(flag(name), message, first["input"])
