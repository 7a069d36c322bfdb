"""``python -m models``: the same as ``static-dynamic models``."""

import sys

from static_dynamic.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "models")
    sys.exit(main())
