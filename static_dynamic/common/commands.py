"""What every command line of the project has in common: a slip is one line on stderr and exit code 2.

Messages name arguments as Python has them, in backticks: "start over with `resume=False`". A command shows them as its
flags (:func:`as_flags`), so that every remedy exists where the user is.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from static_dynamic.common.errors import UserError
from static_dynamic.optional import missing

ARGUMENT = re.compile(r"`(\w+)=([^`]*)`")
"""An argument of Python in a message."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are those of the toolkit.

    Options are never abbreviated, and ``-`` in a name is as good as ``_``.
    """

    def __init__(self, prog: str, description: str | None) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, description=description, formatter_class=layout, allow_abbrev=False)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse does, whichever of the two strokes a name is written with."""
        given = sys.argv[1:] if args is None else args
        return super().parse_known_args([self._spelled(argument) for argument in given], namespace)

    def _spelled(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        if not name.startswith("--") or name in self._option_string_actions:
            return argument
        alike = (known for known in self._option_string_actions if known.replace("-", "_") == name.replace("-", "_"))
        return next(alike, name) + equals + value

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing how the command is used."""
        raise UserError(f"{message[0].upper()}{message[1:]}.")


def as_flags(message: str, flags: Mapping[str, str] | None = None) -> str:
    """A message as a command line shows it: an argument of Python, in backticks, becomes a flag.

    Args:
        message: For Python.
        flags: Name of an argument → name of the flag, where they differ.

    Example:
        >>> as_flags("Start over with `resume=False`, or choose another `store=FOLDER`.", {"store": "save_dir"})
        'Start over with --resume False, or choose another --save_dir FOLDER.'
    """
    return ARGUMENT.sub(lambda match: f"--{(flags or {}).get(match[1], match[1])} {match[2]}", message)


def command(run: Callable[[], object], flags: Mapping[str, str] | None = None) -> int:
    """Run a command; the exit code is 0, 2 after a user's slip, 130 if it was stopped by hand.

    Args:
        run: The command.
        flags: Name of an argument of Python → name of the command's flag, where they differ.
    """
    try:
        run()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {as_flags(str(error), flags)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if not (sentence := missing(error)):
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. Nothing is half-written, and the same command goes on with what was finished.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
    return 0
