"""What all command lines of the project share: invalid input gives one line on stderr and exit code 2.

A command is a typed function, whose docstring is its help, or takes :class:`static_dynamic.common.options.Options`.
Messages name arguments as in Python, in backticks: "start over with `resume=False`". A command shows them as its flags
(:func:`as_flags`), so that every remedy exists where the user is.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, NoReturn, get_args

from cyclopts import App, CycloptsError, Group, Parameter

from static_dynamic.common.errors import UserError
from static_dynamic.common.slips import as_user_error
from static_dynamic.optional import missing

ARGUMENT = re.compile(r"`(\w+)=([^`]*)`")
"""An argument of Python in a message."""
FLAGS = {"store": "out"}
"""Argument of Python → flag, where they differ."""
OPTIONS = Group("Options", sort_key=99)
"""The options without a heading, at the end of the help."""
Several = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]
"""An option that takes several words."""
TRUTHS = {"true", "1", "false", "0"}
"""The values that a switch takes, in lower case."""


def as_flags(message: str) -> str:
    """A message as a command line shows it, where an argument of Python in backticks becomes a flag.

    Example:
        >>> as_flags("Start over with `resume=False`, or choose another `store=FOLDER`.")
        'Start over with --resume False, or choose another --out FOLDER.'
    """
    return ARGUMENT.sub(lambda match: f"{flag(FLAGS.get(match[1], match[1]))} {match[2]}", message)


def flag(name: str) -> str:
    """The flag of an option: ``max_videos`` → ``--max-videos``."""
    return f"--{name.replace('_', '-')}"


def also(*names: str) -> Parameter:
    """Further names of an option, from the published commands and from earlier versions of the program."""
    return Parameter(alias=[f"--{name}" for name in names])


def worth_showing(default: object) -> str | None:
    """A default as the help shows it; ``None`` for a switch that is off."""
    if default is None or default is False or default == ():
        return None
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def program(name: str, about: str = "") -> App:
    """An empty program with the conventions of this project.

    A switch takes no value, takes True or False, or begins with ``--no-``. An option given twice has its last value.
    """
    return App(
        name,
        about,
        version_flags=[],
        suppress_keyboard_interrupt=False,  # `command` handles it
        help_format="plaintext",
        default_parameter=Parameter(
            negative_iterable=(), negative_none=(), allow_repeating=True, show_default=worth_showing
        ),
        group_parameters=OPTIONS,
        group_commands=OPTIONS,
    )


def start(app: App, tokens: Sequence[str]) -> object:
    """Run the command that the tokens of a command line give.

    Raises:
        UserError: If a token is invalid.
    """
    try:
        tokens = _with_values(app, tokens)
        return app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise as_user_error(error) from None


def _with_values(app: App, tokens: Sequence[str]) -> list[str]:
    """Join a switch and its value, the next word in published commands: ``--fuse True`` → ``--fuse=True``."""
    names, apps, _ = app.parse_commands(tokens)
    if names and names[-1].startswith("-"):  # such as --help
        return list(tokens)
    switches = {
        spelled(name)
        for option in apps[-1].assemble_argument_collection()
        if bool in (option.hint, *get_args(option.hint))
        for name in option.names
    }
    joined: list[str] = []
    for token in tokens:
        if joined and spelled(joined[-1]) in switches and token.lower() in TRUTHS:
            joined[-1] += f"={token}"
        else:
            joined.append(token)
    return joined


def spelled(name: str) -> str:
    """A name in one spelling: ``_`` becomes ``-``."""
    return name.replace("_", "-")


def script(run: Callable[..., object]) -> int:
    """Run a script with one command, given as a typed function; the exit code is that of `command`."""
    app = program(os.path.basename(sys.argv[0]), sys.modules[run.__module__].__doc__ or "")
    app.default(run)
    return command(lambda: start(app, sys.argv[1:]))


class Terminated(BaseException):
    """The system or a scheduler asks the process to end (SIGTERM)."""


STOPPED: dict[type[BaseException], int] = {
    KeyboardInterrupt: 128 + signal.SIGINT,
    Terminated: 128 + signal.SIGTERM,
}
"""What stops a command → its exit code, as shells have it."""


def command(run: Callable[[], object]) -> int:
    """Run a command; the exit code is 0, 2 after a user error, 130 after Ctrl-C, 143 after SIGTERM."""
    try:
        with _terminable():
            run()
            sys.stdout.flush()
    except UserError as error:
        print(f"error: {as_flags(str(error))}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if not (sentence := missing(error)):
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return 2
    except tuple(STOPPED) as stop:
        print("Stopped. Nothing is half-written, and the same command resumes from what was finished.", file=sys.stderr)
        return STOPPED[type(stop)]
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
    return 0


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the block in order, as Ctrl-C does, unless a handler is installed already."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated
