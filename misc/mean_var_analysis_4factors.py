"""Mean share of every stage over seeds, for four or five factors: pairs that differ in both, or in neither.

python misc/mean_var_analysis_4factors.py [DIR …]

It is mean_var_analysis.py for more than three factors.
"""

import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import script
from static_dynamic.misc._seeds import Parts
from static_dynamic.misc.mean_var_analysis import analyse

PLACE = "dim_outputs/vos_models/results_final_4pairs/tatt_matnet"
"""Where the published script searches."""


def run(*places: Path, ddof: Literal[0, 1] = 0, out: Path | None = None, across: Parts = ()) -> None:
    """Print the means.

    Args:
        places: Runs, texts, or folders of one of them; each is a seed. By default where the published script searches.
        ddof: 1: sample standard deviation.
        out: CSV file to write, with all digits.
        across: What runs may differ in, in addition to the seed.
    """
    analyse("mean_var_analysis_4factors.py", places or (Path(PLACE),), ddof, out, across)


if __name__ == "__main__":
    sys.exit(script(run))
