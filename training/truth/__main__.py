"""``python -m training.truth``: the same as ``static-dynamic truth``."""

import sys

from static_dynamic.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "truth")
    sys.exit(main())
