"""Mean share of every stage over seeds, for four or five factors: pairs that differ in both, or in neither.

python misc/mean_var_analysis_4factors.py [DIR …]

It says what mean_var_analysis.py says of three.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import command
from static_dynamic.misc.mean_var_analysis import analyse

PLACE = "dim_outputs/vos_models/results_final_4pairs/tatt_matnet"
"""Where the published script looks."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Print the means.

    Raises:
        UserError: If nothing can be read, or the seeds do not fit each other.
    """
    analyse(arguments, "mean_var_analysis_4factors.py", __doc__, PLACE)


if __name__ == "__main__":
    sys.exit(command(run))
