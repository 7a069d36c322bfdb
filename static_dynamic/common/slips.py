"""The errors of a command line, as cyclopts raises them, in the one error form of the project."""

from collections.abc import Iterable

from cyclopts import CoercionError, CycloptsError, MissingArgumentError, UnknownOptionError, ValidationError
from cyclopts.argument import Argument
from cyclopts.exceptions import UnknownCommandError, UnusedCliTokensError

from static_dynamic.common.errors import UserError, unknown

KINDS = {int: "a whole number", float: "a number", bool: "True or False"}
"""Type → what is required."""


def as_user_error(error: CycloptsError) -> UserError:
    """What is wrong, what was given, what is allowed, and the nearest name."""
    match error:
        case UnknownOptionError():
            given = (error.token.keyword or error.token.value).split("=")[0]
            return _unknown(given, error.argument_collection)
        case UnknownCommandError() if error.app and error.unused_tokens:
            return unknown("command", error.unused_tokens[0], (name for name in error.app if name[0] != "-"))
        case UnusedCliTokensError() if error.unused_tokens:
            return UserError(f"Unexpected argument {error.unused_tokens[0]!r}.")
        case MissingArgumentError() if error.argument:
            return _missing(error, error.argument)
        case CoercionError() if error.argument:
            return _invalid(error.argument, error)
        case ValidationError() if error.argument:
            return invalid(_name(error.argument), error.exception_message, error.argument.value)
    return UserError(str(error))


def invalid(name: str, why: str, given: object) -> UserError:
    """The error for an invalid value of an option.

    Example:
        >>> print(invalid("--frames", "Must be >= 1.", 0))
        The value of --frames is invalid: must be >= 1. Got 0.
    """
    return UserError(f"The value of {name} is invalid: {within(why)}. Got {given!r}.")


def within(sentence: str) -> str:
    """A sentence in the form in which it follows a colon.

    Example:
        >>> within("Folder of a run."), within("LaTeX file"), within("True or False")
        ('folder of a run', 'LaTeX file', 'True or False')
    """
    first, _, rest = sentence.rstrip(".").partition(" ")
    plain = first == first.capitalize() and first not in ("True", "False")
    return f"{first.lower() if plain else first} {rest}".rstrip()


def _invalid(argument: Argument, error: CoercionError) -> UserError:
    given = error.token.value if error.token else ""
    if choices := argument.get_choices():
        return unknown("value", given, choices, where=_name(argument))
    needed = KINDS.get(error.target_type or str, "another kind of value") + " is required"
    return invalid(_name(argument), str(error.msg or needed), given)


def _unknown(given: str, arguments: Iterable[Argument]) -> UserError:
    names = [argument.names for argument in arguments if argument.index is None]
    return unknown("option", given, (first for first, *_ in names), further=(one for _, *more in names for one in more))


def _missing(error: MissingArgumentError, argument: Argument) -> UserError:
    if error.keyword or argument.tokens:
        return UserError(f"The option {error.keyword or argument.name} requires a value.")
    if misspelled := [token for token in error.unused_tokens or () if token.startswith("--")]:
        return _unknown(misspelled[0].split("=")[0], error.app.assemble_argument_collection() if error.app else ())
    kind = "argument" if argument.index is not None else "option"
    return UserError(f"The {kind} {_name(argument)} is required{_about(error, argument)}.")


def _about(error: MissingArgumentError, argument: Argument) -> str:
    """The help text of an argument, after a colon."""
    described = error.app.assemble_argument_collection(parse_docstring=True) if error.app else ()
    about = next((one.parameter.help or "" for one in described if one.name == argument.name), "")
    return f": {within(about)}" if about else ""


def _name(argument: Argument) -> str:
    return argument.name if argument.index is None else argument.name.lstrip("-").upper()
