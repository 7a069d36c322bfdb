"""``python -m static_dynamic.interventions``: the same as ``static-dynamic sheet``."""

import sys

from static_dynamic.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "sheet")
    sys.exit(main())
