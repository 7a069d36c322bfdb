"""Parameters and multiply-accumulates of models: the published name of ``static-dynamic cost``.

python misc/estimate_flops_params.py --model 'slow*' [--per-stage] [--out costs.csv]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "cost")
    sys.exit(main())
