"""Options of a command as one typed model, read from flags and from a file (YAML or JSON)."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from static_dynamic.common.commands import Parser
from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.files import as_path
from static_dynamic.common.texts import read_text


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _split_all(value: object) -> object:
    return _split(",".join(map(str, value))) if isinstance(value, list) else _split(value)


CONFIGS = Path(__file__).parents[1] / "configs"
"""The named runs of the package."""
REPEATED = "repeated"
"""Marks an option whose flag may be given several times."""
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(_split)]
Repeated = Annotated[tuple[str, ...], BeforeValidator(_split_all), REPEATED]


class Options(BaseModel):
    """The options of a command: a field is a flag, its description the flag's help."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @field_validator("*")
    @classmethod
    def _at_home(cls, value: Any) -> Any:
        """``~`` is the home folder, also where no shell expands it: ``--videos=~/clips``."""
        return as_path(value) if isinstance(value, Path) else value

    cfg_file: Path | None = Field(None, description="file with these options; flags go first")


Kind = TypeVar("Kind", bound=Options)


def read_options(
    kind: type[Kind],
    arguments: Sequence[str],
    prog: str,
    description: str,
    synonyms: Mapping[str, str] | None = None,
    adapt: Callable[[dict[str, Any]], dict[str, Any]] = lambda options: options,
) -> Kind:
    """Options from flags and, where they name one, from a file.

    Args:
        kind: The options.
        arguments: The command line, without the program.
        prog: Name of the program.
        description: What it does.
        synonyms: Another name of an option → the option.
        adapt: Makes options of what a file and the flags say, where files of another form are read too.

    Raises:
        UserError: For an unknown option (the nearest is named) or a value that does not fit.
    """
    known, rest = _parser(kind, prog, description, synonyms or {}).parse_known_args(list(arguments))
    if rest:
        raise unknown("option", rest[0].split("=")[0], [f"--{name}" for name in kind.model_fields])
    flags = {name: value for name, value in vars(known).items() if value is not None}
    options = adapt({**read_mapping(flags["cfg_file"]), **flags}) if "cfg_file" in flags else flags
    for synonym, name in (synonyms or {}).items():
        options = {name: options.pop(synonym), **options} if synonym in options else options
    try:
        return kind(**options)
    except ValidationError as error:
        raise _as_user_error(kind, error, flags.get("cfg_file")) from None


def _parser(kind: type[Options], prog: str, description: str, synonyms: Mapping[str, str]) -> Parser:
    parser = Parser(prog, description)
    for name, option in kind.model_fields.items():
        # A switch may stand alone, or take True or False as in the published commands.
        is_switch = bool in (option.annotation, *get_args(option.annotation))
        form: dict[str, Any] = {"nargs": "?", "const": "True"} if is_switch else {}
        if REPEATED in option.metadata:
            form = {"action": "append"}
        note = " (needed)" if option.is_required() else _shown(option.default)
        parser.add_argument(
            f"--{name}", help=f"{option.description}{note}".replace("%", "%%"), metavar=name.upper(), **form
        )
    for synonym in synonyms:
        parser.add_argument(f"--{synonym}", help=argparse.SUPPRESS)
    return parser


def _shown(default: object) -> str:
    if default is None:
        return ""
    return f" (default: {','.join(map(str, default)) if isinstance(default, tuple) else default})"


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Names and values of a YAML or JSON file; where there is none, of the configuration of that name in the package.

    Raises:
        UserError: If it cannot be read, or holds something else.
    """
    try:
        options = yaml.safe_load(read_text(_found(path)))
    except yaml.YAMLError as error:
        raise UserError(f"The options in {path} are neither YAML nor JSON: {' '.join(str(error).split())}.") from None
    if not isinstance(options, dict):
        raise UserError(f"The options in {path} must be a mapping of names to values. Got {type(options).__name__}.")
    return options


def _found(path: str | Path) -> Path:
    """A file, or the configuration of that name, with or without ``configs/``, that the package brings."""
    own = {file.relative_to(CONFIGS.parent).as_posix(): file for file in CONFIGS.rglob("*.json")}
    name = Path(path).as_posix()
    file = Path(path) if Path(path).exists() else own.get(name) or own.get(f"{CONFIGS.name}/{name}")
    if file is None:
        known = ", ".join(sorted(own))
        raise UserError(f"Cannot read {path}: there is no such file. Configurations in the package: {known}.")
    return file


def _as_user_error(kind: type[Options], error: ValidationError, file: str | None) -> UserError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][:1])
    if first["type"] == "extra_forbidden":
        return unknown("option", name, kind.model_fields, where=file or "")
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return UserError(f"The option --{name} is needed: {kind.model_fields[name].description}.")
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        return UserError(f"{message[0].upper()}{message[1:]}.")
    return UserError(f"The option --{name} does not fit: {message[0].lower()}{message[1:]}. Got {first['input']!r}.")
