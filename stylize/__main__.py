"""Stylized data sets: render them, learn styles for them, and measure what a style does.

python -m stylize COMMAND --help tells the options of a command:
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from static_dynamic.common.commands import Parser, command
from static_dynamic.common.errors import unknown
from static_dynamic.common.plugins import add_plugin_option, import_plugins

COMMANDS = {
    "render": ("commands_data", "Render every video in every style, as a data set in a published layout."),
    "audit": ("commands_data", "Measure what styles keep of the motion of videos and change of their appearance."),
    "scrambles": ("commands_data", "Measure how much order the scrambles destroy, and how often two coincide."),
    "styles": ("commands_data", "Name the built-in styles."),
    "train": ("commands_learned", "Learn a style from one or a few painted frames."),
    "generate": ("commands_learned", "Give one clip a learned style."),
}
"""Name → its module, which has ``add_<name>_arguments`` and ``<name>``, and what it does."""


def overview() -> str:
    """What the commands are."""
    width = max(map(len, COMMANDS))
    return "\n".join([str(__doc__), *(f"  {name:{width}}  {summary}" for name, (_, summary) in COMMANDS.items())])


def run(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Raises:
        UserError: For any slip in it.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(overview())
        return
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    module, summary = COMMANDS[name]
    commands = import_module(f"static_dynamic.stylize.{module}")
    options = Parser(f"python -m stylize {name}", summary)
    getattr(commands, f"add_{name}_arguments")(options)
    add_plugin_option(options)
    given = options.parse_args(rest)
    import_plugins(given.plugin)
    getattr(commands, name)(given)


if __name__ == "__main__":
    sys.exit(command(run))
