"""The one program: ``static-dynamic COMMAND``, or in a checkout ``python main.py COMMAND``.

Without a command a model is measured, so that published commands continue to work: ``python main.py --model i3d …``.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from static_dynamic.common.commands import command, program, start
from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.ranks import here

if TYPE_CHECKING:
    from cyclopts import App

DEFAULT = "measure"
COMMANDS = {
    "Measure": {
        "measure": ("measure:measure", "Measure a model on videos (the default command)."),
        "score": ("score:score", "Compute other scores from the activations of a run."),
        "compare": ("compare:compare", "Compare runs, paired over videos."),
        "report": ("report:report", "Rewrite the page and the plots of a run."),
        "estimators": ("estimators:estimators", "List every score and its meaning."),
    },
    "Models": {
        "models": ("models:app", "List the models, or show one."),
        "stages": ("models:stages", "Show the modules of a model, and the stages among them."),
        "cost": ("cost:cost", "Count the parameters and operations of models."),
        "truth": ("truth:truth", "Retrain the networks of known bias."),
    },
    "Videos and styles": {
        "sheet": ("sheet:sheet", "Draw what styles and scrambles do to a video."),
        "styles": ("styles:styles", "List the built-in styles, or draw them."),
        "scrambles": ("scrambles:scrambles", "Measure how much order the scrambles destroy."),
        "stylize": ("stylize:stylize", "Render every video in every style, as a data set."),
        "audit": ("audit:audit", "Measure what styles keep of the motion of videos."),
        "learn": ("learn:learn", "Learn a style from one or a few painted frames."),
        "generate": ("generate:generate", "Give one clip a learned style."),
        "flow": ("flow:flow", "Compute the optical flow of a data set."),
        "syncmnist": ("syncmnist:syncmnist", "Write a sample of SyncMNIST."),
    },
    "Training": {
        "train": ("train:train", "Train a model that takes clips."),
        "evaluate": ("train:evaluate", "Test a model that takes clips."),
        "regions": ("regions:regions", "Draw where the nodes of a graph network are on a video."),
    },
    "This machine": {
        "doctor": ("doctor:doctor", "Show what works on this machine."),
        "demo": ("demo:demo", "Measure networks trained on appearance, motion or both."),
    },
}
"""Heading → command → its function in `static_dynamic.program`, which is loaded when it is used, and its summary."""
IN_SEVERAL = ("measure", "train", "evaluate")
"""The commands that can run in several processes of one launch."""
ABOUT = """Does a video model work from static or from dynamic information?

Try: static-dynamic measure --videos factorial:24 --model truth_cnn_both

The options of a command: static-dynamic COMMAND --help"""


def app(chosen: str = "") -> "App":
    """The program with all its commands; the chosen one has the help of its docstring instead of a line."""
    from cyclopts import Group

    whole = program("static-dynamic", ABOUT)
    for order, (heading, commands) in enumerate(COMMANDS.items()):
        group = Group(heading, sort_key=order)
        for place, (name, (target, summary)) in enumerate(commands.items()):
            line = None if name == chosen else summary
            whole.command(f"static_dynamic.program.{target}", name=name, help=line, group=group, sort_key=place)
    whole.register_install_completion_command(help="Install completion for your shell.", add_to_startup=False)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if it succeeded, 2 after a user error, 130 after Ctrl-C, 143 after SIGTERM."""
    if arguments is None:
        _look_here_first()
    return command(lambda: run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> None:
    """Run a command line.

    Raises:
        UserError: If it is invalid.
    """
    tokens = _with_command(arguments)
    _refuse_several(tokens[0])
    start(app(tokens[0]), tokens)


def _refuse_several(name: str) -> None:
    """Refuse a command that torchrun started several times over."""
    rank = here()
    if rank.launcher == "torchrun" and name not in (*IN_SEVERAL, "--help", "-h", "--install-completion"):
        raise UserError(
            f"The command {name} runs in one process, and this is {rank} of torchrun: start it without torchrun. "
            f"Several processes are for {', '.join(IN_SEVERAL)}."
        )


def _with_command(arguments: Sequence[str]) -> list[str]:
    """The arguments, after the default command if they begin with an option."""
    names = [name for commands in COMMANDS.values() for name in commands]
    first = arguments[0] if arguments else "--help"
    if first in (*names, "--help", "-h", "--install-completion"):
        return [first, *arguments[1:]]
    if not first.startswith("-"):
        raise unknown("command", first, names)
    return [DEFAULT, *arguments]


def _look_here_first() -> None:
    """Put the current folder first on the import path, since the user's `models` or `config` may be there."""
    if not sys.flags.safe_path:
        folder, place = os.getcwd(), sys.path.pop(0)
        sys.path[:] = [folder, *sys.path, *([] if place in ("", folder) else [place])]


if __name__ == "__main__":
    sys.exit(main())
