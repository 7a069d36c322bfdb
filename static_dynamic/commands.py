"""What every command line of the project has in common: a slip is one line on stderr and exit code 2."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from static_dynamic.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are those of the toolkit, and whose options are never abbreviated."""

    def __init__(self, prog: str, description: str | None) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, description=description, formatter_class=layout, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing how the command is used."""
        raise UserError(f"{message[0].upper()}{message[1:]}.")


def command(run: Callable[[], object]) -> int:
    """Run a command; the exit code is 0, 2 after a user's slip, 130 if it was stopped by hand."""
    try:
        run()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. Nothing is half-written, and the same command goes on with what was finished.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
    return 0
